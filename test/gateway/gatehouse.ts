import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Config, configFrom } from "../../src/config.ts";
import type { Json, JsonObject } from "../../src/core/json.ts";
import type { DeliveryStep } from "../../src/gateway/outcome.ts";
import { rulesOf } from "../../src/gateway/rules.ts";
import { openServer, type Server, type ServerOptions } from "../../src/gateway/server.ts";
import type { Vault } from "../../src/secrets.ts";
import { openSqlite } from "../../src/stores/sqlite.ts";
import type { Store } from "../../src/stores/store.ts";

export const tokens = {
  jira: "jira-inbound-0123456789abcdef0123456789",
  youtrack: "yt-inbound-00112233445566778899aabbccdd",
  admin: "admin-api-ffeeddccbbaa99887766554433221100",
};

/** A jira body that asks for a build. */
export const wanted = (key = "MOB-12", more: JsonObject = {}): JsonObject => ({
  id: 10_012,
  key,
  fields: {
    summary: `Ship ${key}`,
    status: { name: "Building" },
    labels: ["ci-build"],
    project: { key: "MOB", name: "Mobile" },
    issuetype: { name: "Task" },
    ...more,
  },
});

export interface Wishes {
  gateway?: JsonObject;
  /** More keys of the jira source. */
  jira?: JsonObject;
  /** More keys of the youtrack source. */
  youtrack?: JsonObject;
  lane?: JsonObject;
  commitWithin?: number;
  /** The gateway's clock, epoch milliseconds. */
  now?: () => number;
  /** Does something to the state folder before the gateway opens. */
  prepare?: (state_dir: string) => void;
  /** Where lists of senders' addresses come from. */
  senders?: NonNullable<ServerOptions["senders"]>;
  /** Puts something between the gateway and its store. */
  wrap?: (store: Store) => Store;
}

export interface Gatehouse {
  config: Config;
  server: Server;
  vault: Vault;
  store: Store;
  steps: DeliveryStep[];
  dir: string;
  door: string;
  /** Posts to the jira door as a tracker would. */
  deliver(body?: Json | Payload, headers?: Record<string, string>): Promise<Told>;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A body as it is sent, in contrast to JSON that is still to be written. */
export type Payload = string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>;

export interface Told {
  status: number;
  headers: Headers;
  body: { [key: string]: Json | undefined };
}

/** Opens a gateway's inbound side on free ports, over a real store in a folder of its own. */
export async function openGatehouse(wishes: Wishes = {}): Promise<Gatehouse> {
  const dir = mkdtempSync(join(tmpdir(), "meshmac-gate-"));
  try {
    return await openedIn(dir, wishes);
  } catch (error) {
    rmSync(dir, { recursive: true, force: true });
    throw error;
  }
}

async function openedIn(dir: string, wishes: Wishes): Promise<Gatehouse> {
  secret(dir, "jira/inbound.token", tokens.jira);
  secret(dir, "youtrack/inbound.token", tokens.youtrack);
  secret(dir, "admin/api.token", tokens.admin);
  const task = { script: "build-ios", lane: "ios", repo: "app" };
  const { config, vault } = configFrom(
    {
      gateway: { listen: "127.0.0.1:0", admin: { listen: "127.0.0.1:0" }, ...wishes.gateway },
      repos: { app: "git@git.example:acme/app.git" },
      lanes: { ios: { ...wishes.lane } },
      node: { id: "mac-07" },
      sources: {
        jira: {
          kind: "jira",
          path: "/jira/openclaw",
          token: "jira/inbound.token",
          build_when: [{ status: "Building", labels: "ci-build" }],
          task,
          ...wishes.jira,
        },
        youtrack: {
          kind: "youtrack",
          path: "/youtrack/webhook",
          token: "youtrack/inbound.token",
          build_when: [{ event: "issueUpdated", changed: { Stage: "Building" } }],
          task,
          ...wishes.youtrack,
        },
      },
    },
    { base: dir, env: {} },
  );
  const state_dir = join(dir, "state");
  const store = await openSqlite({ path: join(state_dir, "meshmac.db"), state_dir, role: "owner" });
  await store.publish(rulesOf(config));
  wishes.prepare?.(state_dir);
  const steps: DeliveryStep[] = [];
  const { commitWithin, now, senders, wrap = (inner: Store) => inner } = wishes;
  const on = (step: DeliveryStep) => void steps.push(step);
  const options = { config, vault, store: wrap(store), on, ...(senders && { senders }) };
  const opening = openServer({ ...options, ...(now && { now }), ...(commitWithin !== undefined && { commitWithin }) });
  const server = await opening.catch(async (error: unknown) => {
    await store.close();
    throw error;
  });
  const door = `${server.publicUrl}/jira/openclaw`;

  const close = async () => {
    await server.stop();
    await store.close();
    rmSync(dir, { recursive: true, force: true });
  };
  return {
    config,
    server,
    store,
    vault,
    steps,
    dir,
    door,
    deliver: (body = wanted(), headers = {}) =>
      told(
        fetch(door, {
          method: "POST",
          headers: { "content-type": "application/json", "x-meshmac-jira-token": tokens.jira, ...headers },
          body: isBody(body) ? body : JSON.stringify(body),
        }),
      ),
    close,
    [Symbol.asyncDispose]: close,
  };
}

const isBody = (body: Json | Payload): body is Payload =>
  typeof body === "string" || body instanceof ReadableStream || body instanceof Uint8Array;

/** Reads an answer whose body is JSON. */
export async function told(answer: Promise<Response>): Promise<Told> {
  const { status, headers, ...got } = await answer.then(async (response) => ({
    status: response.status,
    headers: response.headers,
    text: await response.text(),
  }));
  const body: unknown = JSON.parse(got.text);
  if (typeof body !== "object" || body === null) throw new Error(`not an object: ${got.text}`);
  return { status, headers, body: { ...body } };
}

/** Puts a file where the spool's folder should be. For `prepare`. */
export const withoutSpool = (state_dir: string): void => writeFileSync(join(state_dir, "spool"), "not a folder");

/** The same store, but for what `over` does otherwise. */
export const butFor = (store: Store, over: Partial<Store>): Store => ({ ...store, ...over });

export function secret(dir: string, name: string, text: string): void {
  const file = join(dir, "secrets.d", name);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(file, `${text}\n`, { mode: 0o600 });
}

/** Answers as soon as `check` gives something true; fails with `what` after 10 s. */
export async function eventually<T>(
  what: string,
  check: () => T | Promise<T>,
): Promise<Exclude<T, null | undefined | false>> {
  const end = performance.now() + 10_000;
  for (;;) {
    const found = await check();
    if (found) return found as Exclude<T, null | undefined | false>;
    if (performance.now() > end) throw new Error(`never: ${what}`);
    await Bun.sleep(5);
  }
}

/** Sends bytes as they are and answers what comes back until `enough` matches or the other side closes. */
export function raw(url: string, text: string, enough: RegExp): Promise<string> {
  const { port, hostname } = new URL(url);
  return new Promise((resolve, reject) => {
    let got = "";
    const socket = connect(Number(port), hostname, () => socket.write(text));
    socket.on("data", (data) => {
      got += data.toString("latin1");
      if (enough.test(got)) socket.destroy();
    });
    socket.on("close", () => resolve(got));
    socket.on("error", reject);
  });
}
