import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Config } from "../config.ts";
import { MeshError } from "../core/error.ts";
import { fitsSocket, pointerOf } from "../stores/remote/place.ts";
import type { Store } from "../stores/store.ts";
import { answerError, answerJson, pathOf } from "./answer.ts";
import { type BunServer, broken } from "./listener.ts";
import { type Masks, maskedStore } from "./masked-store.ts";
import { nodeVerbs, operatorVerbs, refusedVerb, type Verb } from "./verbs.ts";

export interface Socket {
  path: string;
  stop(): Promise<void>;
}

export interface SocketOptions {
  config: Pick<Config, "state_dir">;
  store: Store;
  masks: Masks;
}

const largestBody = 16 * 1024 * 1024;

/**
 * Opens the owner's socket at `<state_dir>/meshmac.sock`, for this user only: what nodes and commands on this machine ask of
 * a store that has one owner. Only the owner may call it, for it takes the place of whatever socket is there. A path too
 * long for a socket gets a short one, written down beside it. Throws `permission` where it cannot be made.
 */
export async function openSocket({ config, store, masks }: SocketOptions): Promise<Socket> {
  const closing = new AbortController();
  const verbs = new Map<string, Verb>([
    ...Object.entries(nodeVerbs(maskedStore(store, masks))).map(
      ([verb, act]) => [`/api/v1/node/${verb}`, act] as const,
    ),
    ...Object.entries(operatorVerbs(store)).map(([verb, act]) => [`/api/v1/operator/${verb}`, act] as const),
  ]);
  const wanted = join(config.state_dir, "meshmac.sock");
  const path = placeFor(wanted);
  async function answer(request: Request, server: BunServer): Promise<Response> {
    // A node may wait here for a long time; whoever hangs up is noticed by the closed socket.
    server.timeout(request, 0);
    const asked = pathOf(request.url);
    const verb = verbs.get(asked);
    if (asked === "/healthz") return answerJson(200, { status: "ok" }, Bun.randomUUIDv7());
    if (!verb) return answerError(404, "no such verb", Bun.randomUUIDv7());
    if (request.method !== "POST") {
      return answerError(405, "expected POST", Bun.randomUUIDv7(), { headers: { Allow: "POST" } });
    }
    try {
      const bytes = await request.bytes();
      return await verb({ url: request.url, bytes, signal: request.signal }, closing.signal);
    } catch (error) {
      return refusedVerb(error, asked);
    }
  }
  const limits = { development: false, maxRequestBodySize: largestBody };
  const server = bound(path, () => Bun.serve({ unix: path, ...limits, fetch: answer, error: broken }));
  if (path !== wanted) writeDown(pointerOf(wanted), path);
  return {
    path,
    async stop() {
      closing.abort();
      await Promise.race([server.stop(), Bun.sleep(1000)]);
      await server.stop(true);
      rmSync(path, { force: true });
      if (path === wanted) return;
      rmSync(dirname(path), { recursive: true, force: true });
      rmSync(pointerOf(wanted), { force: true });
    },
  };
}

function placeFor(wanted: string): string {
  mkdirSync(dirname(wanted), { recursive: true, mode: 0o700 });
  rmSync(wanted, { force: true });
  if (fitsSocket(wanted)) return wanted;
  // A fresh directory of our own: nobody else can have put a socket there.
  const path = join(mkdtempSync(join(tmpdir(), "meshmac-")), "meshmac.sock");
  if (fitsSocket(path)) return path;
  throw new MeshError("config", `the path of the socket is too long for this system: ${JSON.stringify(wanted)}`, {
    hint: "set state_dir to a shorter path",
  });
}

/** Binds with a mask that keeps others out from the first moment, not only after a chmod. */
function bound<T>(path: string, bind: () => T): T {
  const before = process.umask(0o177);
  try {
    const server = bind();
    chmodSync(path, 0o600);
    return server;
  } catch (cause) {
    throw new MeshError("permission", `cannot open the socket ${JSON.stringify(path)}`, {
      hint: "check who owns state_dir",
      cause,
    });
  } finally {
    process.umask(before);
  }
}

/** Others read it at any moment, so it appears whole. */
function writeDown(pointer: string, path: string): void {
  writeFileSync(`${pointer}.new`, `${path}\n`, { mode: 0o600 });
  renameSync(`${pointer}.new`, pointer);
}
