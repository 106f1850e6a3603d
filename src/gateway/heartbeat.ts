import type { Config } from "../config.ts";
import type { Post } from "../core/post.ts";
import { sendPost } from "../http.ts";
import { log } from "../log.ts";
import type { Store } from "../stores/store.ts";
import type { Send } from "./send-try.ts";
import { nap, type Sleep } from "./stir.ts";

export interface HeartbeatOptions {
  heartbeat: Config["heartbeat"];
  store: Pick<Store, "check">;
  send?: Send;
  sleep?: Sleep;
}

/**
 * Asks a dead-man URL every so often for as long as the store can be written, so that somebody outside notices when we no
 * longer do. A failure is said once until it works again. Without a `heartbeat` it does nothing.
 */
export function startHeartbeat({ heartbeat, store, send = sendPost, sleep = nap }: HeartbeatOptions): {
  stop(): Promise<void>;
} {
  if (!heartbeat) return { stop: async () => {} };
  const { url, every, ...outbound } = heartbeat;
  const post: Post = { method: "GET", url };
  const over = new AbortController();
  let failing = false;

  async function beat(): Promise<void> {
    try {
      await store.check();
    } catch {
      return; // silence is the message, and `/readyz` says why
    }
    const answer = await send(post, outbound);
    const why = "failure" in answer ? answer.failure.why : refusalIn(answer.reply.status);
    if (why !== null && !failing) log.warn("heartbeat failed", { to: answer.place, why });
    if (why === null && failing) log.info("heartbeat works again", { to: answer.place });
    failing = why !== null;
  }

  async function run(): Promise<void> {
    while (!over.signal.aborted) {
      await beat();
      await sleep(every, over.signal);
    }
  }

  void run();
  // What is under way needs no end: nobody waits for its answer.
  return { stop: async () => over.abort() };
}

/** A redirect is a failure: where it leads, nobody may be counting. */
const refusalIn = (status: number): string | null => (status >= 200 && status < 300 ? null : `status ${status}`);
