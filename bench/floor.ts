// What a door cannot do without: token, JSON, store write, answer. bun bench/floor.ts '<JSON of FloorAsk>' prints its port
// and serves until it is told to end.
import { createHash, timingSafeEqual } from "node:crypto";
import { at, type Json, text } from "../src/core/json.ts";
import type { Task } from "../src/core/records.ts";
import { storeUrl } from "../src/core/store-url.ts";
import { openOwned } from "../src/stores/open.ts";

export interface FloorAsk {
  store: string;
  state_dir: string;
  header: string;
  token: string;
}

const digest = (value: string): Buffer => createHash("sha256").update(value).digest();

async function serve({ store: url, state_dir, header, token }: FloorAsk): Promise<void> {
  const store = await openOwned({ store: storeUrl.parse(url), pool: "bench", state_dir });
  const wanted = digest(token);
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    development: false,
    async fetch(request) {
      if (!timingSafeEqual(digest(request.headers.get(header) ?? ""), wanted))
        return new Response(null, { status: 401 });
      const body: Json = JSON.parse(await request.text());
      const task = taskOf(text(at(body, "issue.key")));
      const marks = [{ key: `i/${task.issue_key}`, window_ms: 300_000 }];
      const accepted = await store.accept({ task, marks, seen_at: task.accepted_at });
      return Response.json(accepted);
    },
  });
  process.stdout.write(`${server.port}\n`);
  process.on("SIGTERM", () => void server.stop(true).then(() => store.close()));
}

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
