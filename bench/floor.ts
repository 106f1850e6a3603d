// What a door cannot do without: token, JSON, store write, answer. bun bench/floor.ts '<JSON of FloorAsk>' prints its port
// and serves until it is told to end.
import { createHash, timingSafeEqual } from "node:crypto";
import { at, type Json, text } from "../src/core/json.ts";
import type { Task } from "../src/core/records.ts";
import { storeUrl } from "../src/core/store-url.ts";
import { openCertificate } from "../src/gateway/certificate.ts";
import { listen } from "../src/gateway/listener.ts";
import { openOwned } from "../src/stores/open.ts";

export interface FloorAsk {
  store: string;
  state_dir: string;
  header: string;
  token: string;
  /** Speaks TLS: as Bun does it, or as the gateway does, which can change its certificate. */
  tls?: { cert: string; key: string; by: "bun" | "gateway" };
}

const digest = (value: string): Buffer => createHash("sha256").update(value).digest();

async function serve({ store: url, state_dir, header, token, tls }: FloorAsk): Promise<void> {
  const store = await openOwned({ store: storeUrl.parse(url), pool: "bench", state_dir });
  const wanted = digest(token);
  async function answer(request: Request): Promise<Response> {
    if (!timingSafeEqual(digest(request.headers.get(header) ?? ""), wanted)) return new Response(null, { status: 401 });
    const body: Json = JSON.parse(await request.text());
    const task = taskOf(text(at(body, "issue.key")));
    const marks = [{ key: `i/${task.issue_key}`, window_ms: 300_000 }];
    const accepted = await store.accept({ task, marks, seen_at: task.accepted_at });
    return Response.json(accepted);
  }
  const server = tls?.by === "gateway" ? listenAsGateway(tls, answer) : listenAsBun(tls, answer);
  process.stdout.write(`${server.port}\n`);
  process.on("SIGTERM", () => void server.stop(true).then(() => store.close()));
}

type Answer = (request: Request) => Promise<Response>;

const listenAsBun = (tls: FloorAsk["tls"], answer: Answer) =>
  Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    development: false,
    ...(tls && { tls: { cert: Bun.file(tls.cert), key: Bun.file(tls.key) } }),
    fetch: answer,
  });

const listenAsGateway = (tls: NonNullable<FloorAsk["tls"]>, answer: Answer) =>
  listen({
    name: "the floor",
    at: { host: "127.0.0.1", port: 0 },
    certificate: openCertificate(tls),
    largestBody: 1024 * 1024,
    answer,
  });

function taskOf(issue: string): Task {
  const now = Date.now();
  const run_id = Bun.randomUUIDv7();
  return {
    v: 1,
    run_id,
    source: "jira",
    issue_key: issue,
    issue_id: issue,
    issue_url: null,
    project: "MOB",
    transition_id: "Ready for build",
    summary: "Make the splash screen faster",
    requested_by: "Robin Example",
    repo_url: "git@git.example:acme/app.git",
    ref: "main",
    script: "build-ios",
    lane: "ios",
    params: {},
    timeout_s: 2700,
    idempotency_key: `jira:${issue}:Ready for build:${Math.floor(now / 300_000)}`,
    correlation_id: run_id,
    accepted_at: now,
  };
}

if (import.meta.main) {
  const ask: FloorAsk = JSON.parse(process.argv[2] ?? "{}");
  await serve(ask);
}
