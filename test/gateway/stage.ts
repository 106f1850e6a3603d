import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { configSchema } from "../../src/config.ts";
import { sha256 } from "../../src/core/intent.ts";
import type { JsonObject } from "../../src/core/json.ts";
import type { Task } from "../../src/core/records.ts";
import { Secret } from "../../src/core/secret.ts";
import { startAnnouncer } from "../../src/gateway/announce.ts";
import { type Destinations, destinationsFrom } from "../../src/gateway/destinations.ts";
import { type Sender, startSender } from "../../src/gateway/send.ts";
import { masksOf } from "../../src/gateway/masked-store.ts";
import { nap } from "../../src/gateway/stir.ts";
import { openSqlite } from "../../src/stores/sqlite.ts";
import type { PostRow, Settlement, Store } from "../../src/stores/store.ts";
import { askOf, heldOf, leased, queue, resultOf, rulesOf, until } from "../stores/conformance/given.ts";

/** Secrets by name; a test changes one as a rotation would. */
export type Texts = Record<string, string>;

export const jiraToken = "jira-rest-0123456789abcdef0123456789abcdef";

interface Wishes {
  chats?: JsonObject;
  sources?: JsonObject;
  retry?: JsonObject;
  texts?: Texts;
}

/** A real store with a clock that the test moves, an announcer and a sender, and what they wrote. */
export class Stage {
  readonly #dir = mkdtempSync(join(tmpdir(), "meshmac-send-"));
  readonly destinations: Destinations;
  readonly settlements: (Settlement & { destination?: string })[] = [];
  readonly printed: string[] = [];
  readonly #running: { stop(): Promise<void> }[] = [];
  readonly mask: (text: string) => string;
  #ahead = 0;
  #looks = 0;
  #senders: Sender[] = [];
  store!: Store;

  private constructor(wishes: Wishes) {
    const texts = wishes.texts ?? {};
    const config = configSchema().parse({
      chats: wishes.chats ?? {},
      sources: wishes.sources ?? {},
      retry: { base_delay_ms: 10, max_delay_ms: 40, ...wishes.retry },
    });
    // A kind's own rate is told by the real clock, which no test waits for.
    for (const entry of Object.values(config.chats)) entry.rate ??= "1000/s";
    bindAll(config, texts);
    this.mask = masksOf({ values: () => Object.values(texts) }).text;
    this.destinations = destinationsFrom(config, { mask: this.mask, keyId: (name) => sha256(texts[name] ?? "") });
  }

  static async open(wishes: Wishes): Promise<Stage> {
    const stage = new Stage(wishes);
    const path = join(stage.#dir, "meshmac.db");
    const store = await openSqlite({ path, state_dir: stage.#dir, now: stage.now });
    await store.publish(rulesOf());
    stage.store = {
      ...store,
      claim: (...asked) => {
        stage.#looks++;
        return store.claim(...asked);
      },
      settle: async (settlement) => {
        const answer = await store.settle(settlement);
        stage.settlements.push(settlement);
        return answer;
      },
    };
    return stage;
  }

  readonly now = (): number => Date.now() + this.#ahead;

  announcing(): this {
    const { store, destinations, mask } = this;
    this.#running.push(startAnnouncer({ store, destinations, mask, adminUrl: null }));
    return this;
  }

  sending(more: Partial<Parameters<typeof startSender>[0]> = {}): Sender {
    const { store, destinations, mask, now } = this;
    const sender = startSender({
      store,
      destinations,
      mask,
      now,
      print: (line) => void this.printed.push(line),
      // The clock is the test's: a wait is a short one, after which the loop looks at that clock again.
      sleep: (ms, signal) => nap(Math.min(ms, 3), signal),
      chance: () => 0,
      ...more,
    });
    this.#running.push(sender);
    this.#senders.push(sender);
    return sender;
  }

  /** Moves the clock on. */
  skip(ms: number): void {
    this.#ahead += ms;
  }

  /** Moves the clock on, and lets every sender look and send what that made due. */
  async later(ms: number): Promise<void> {
    this.skip(ms);
    await this.quiet();
  }

  /** Resolves when the senders have looked twice over and nothing is under way. */
  async quiet(): Promise<void> {
    const { length } = this.#senders;
    await until(async () => this.#senders.every((sender) => sender.underWay() === 0));
    const enough = this.#looks + 3 * length;
    await until(async () => this.#looks >= enough && this.#senders.every((sender) => sender.underWay() === 0));
  }

  /** Resolves when this many settlements are written. */
  async settled(count: number): Promise<Settlement[]> {
    await until(async () => this.settlements.length >= count);
    return this.settlements;
  }

  /** Hands in a finished build of somebody else's. */
  async report(id: string, more: JsonObject = {}): Promise<string> {
    const build = { source: "github", workflow: `nightly-${id}`, state: "succeeded" as const, branch: "main" };
    const rest = { commit: null, run_url: null, mesh_node_id: null, provider_run_id: id, failing_target: null };
    await this.store.report({ ...build, ...rest, ...more });
    return `${build.source}/${id}`;
  }

  /** Takes a run of the source `jira` through queued, running and its end; answers its id. */
  async run(state: "succeeded" | "failed" = "failed", issue_key = "MOB-12", more: Partial<Task> = {}): Promise<string> {
    const task = await queue(this.store, { issue_key, source: "jira", ...more });
    const lease = await leased(this.store, askOf());
    await this.store.finish(resultOf(heldOf(lease), state, { failing_target: "AppTests.CartTests/testTotal" }));
    return task.run_id;
  }

  async posts(run_id: string): Promise<PostRow[]> {
    return (await this.store.show(run_id))?.posts ?? [];
  }

  async close(): Promise<void> {
    await Promise.all(this.#running.map((loop) => loop.stop()));
    await this.store.close();
    rmSync(this.#dir, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** A mattermost chat that hears every state, its url in the secret `<name>/hook.url`. */
export const chatAt = (name: string, more: JsonObject = {}): JsonObject => ({
  [name]: {
    kind: "mattermost",
    url: `${name}/hook.url`,
    states: ["queued", "running", "succeeded", "failed", "cancelled", "dead"],
    ...more,
  },
});

/** The source `jira`, commenting on a site. */
export const jiraAt = (site: string, more: JsonObject = {}): JsonObject => ({
  jira: {
    kind: "jira",
    path: "/jira",
    token: "jira/inbound.token",
    build_when: [{ status: ["Building"] }],
    task: { script: "build-ios" },
    comment: { site, api: "cloud", email: "bot@acme.example", token: "jira/rest.token", ...more },
  },
});

/** Gives every secret in a configuration its text. */
export function bindAll(value: unknown, texts: Texts): void {
  if (value instanceof Secret) return value.bind(() => texts[value.name] ?? "");
  if (typeof value !== "object" || value === null) return;
  for (const inner of Object.values(value)) bindAll(inner, texts);
}
