import { expect, test } from "bun:test";
import { configSchema } from "../../src/config.ts";
import type { Json } from "../../src/core/json.ts";
import { isOver, type RunState, runStates } from "../../src/core/records.ts";
import { destinationsFrom } from "../../src/gateway/destinations.ts";
import type { PostRow, Store } from "../../src/stores/store.ts";
import { type Column, columns, type Far } from "../chats/columns.ts";
import { named } from "../chats/stands.ts";
import { bindAll, type Texts } from "../gateway/stage.ts";
import { diceOf } from "./dice.ts";
import { type Ends, injected, stores, survive } from "./gateways.ts";

// The same faults, at every kind of chat through its strict server and with its own adapter. `CHAOS_RUNS=500` for more.

const count = Number(process.env.CHAOS_RUNS ?? 20);
const seed = Number(process.env.CHAOS_SEED ?? 20_261_121);

test.each(stores)(
  "%s: every kind of chat is told every end, in order, and twice only where the house says that it may be",
  async (name, open) => {
    const dice = diceOf(seed);
    const { store, close } = await open();
    const fars = columns.map(
      (column) => [column, column.open(Array.from({ length: count * 40 }, () => injected(dice())))] as const,
    );
    for (const [, far] of fars) far.hurry();
    const printed = fars.find(([{ kind }]) => kind === "console")?.[1].printed ?? [];
    try {
      const told = { count, dice, print: (line: string) => void printed.push(line) };
      const { ends, deaths } = await survive(store, destinationsOf(fars), told);
      expect(deaths).toBeGreaterThan(count / 6);
      const rows = await rowsOf(store, ends);
      const faults = fars.flatMap(([column, far], n) =>
        faultsAt(column, far, ends, (run_id) => rows.get(`${n} ${run_id}`) ?? []),
      );
      expect([`${name}, seed ${seed}`, ...faults]).toEqual([`${name}, seed ${seed}`]);
    } finally {
      for (const [, far] of fars) far[Symbol.dispose]();
      await close();
    }
  },
  60_000 + count * 4000,
);

/** A chat for each column, with waits that a test has the patience for. */
function destinationsOf(fars: (readonly [Column, Far])[]) {
  const chats: { [name: string]: Json } = {};
  const texts: Texts = {};
  for (const [n, [, far]] of fars.entries()) {
    const apart = named(`c${n}`, far);
    const retry = { max_attempts: 100, base_delay_ms: 2, max_delay_ms: 20 };
    chats[`c${n}`] = { ...apart.entry, states: [...runStates], rate: "10000/s", timeout: "500ms", retry };
    Object.assign(texts, apart.texts);
  }
  const config = configSchema().parse({ chats });
  bindAll(config, texts);
  return destinationsFrom(config, { mask: (text) => text });
}

/** Every post, by the number of its chat and its run. */
async function rowsOf(store: Store, ends: Ends): Promise<Map<string, PostRow[]>> {
  const rows = new Map<string, PostRow[]>();
  for (const run_id of ends.keys()) {
    for (const post of (await store.posts(run_id)) ?? []) {
      expect(post.status).toBeOneOf(["sent", "replaced"]);
      const at = `${post.destination.replace(/^chat:c/, "")} ${run_id}`;
      rows.set(at, [...(rows.get(at) ?? []), post]);
    }
  }
  return rows;
}

interface Seen {
  key: string;
  state: RunState;
}

/** What a text of ours is about; the key and the state stand in every layout. */
function seenIn(text: string): Seen {
  const [key = ""] = /RUN-\d+/.exec(text) ?? [];
  const state = runStates.find((one) => new RegExp(`\\b${one}\\b`).test(text));
  if (!state) throw new Error(`no state in ${text}`);
  return { key, state };
}

const rank = (state: RunState): number => (isOver(state) ? 2 : runStates.indexOf(state));

/** What a chat shows that it should not, in words. */
function faultsAt(column: Column, far: Far, ends: Ends, postsOf: (run_id: string) => PostRow[]): string[] {
  const faults = far.faults.map((fault) => `${column.name} refused: ${fault}`);
  const messages = Map.groupBy(
    far.shown().map(({ text }) => seenIn(text)),
    ({ key }) => key,
  );
  const taken = far.requests.filter(({ answered = 500 }) => answered < 300).map(({ text }) => seenIn(text));
  const arrivals = Map.groupBy(column.kind === "console" ? far.printed.map(seenIn) : taken, ({ key }) => key);
  const edits = far.shown().some((message) => message.edits > 0);
  for (const [run_id, { issue_key, state: end }] of ends) {
    const shown = (messages.get(issue_key) ?? []).map(({ state }) => state);
    const heard = (arrivals.get(issue_key) ?? []).map(({ state }) => state);
    const about = `${column.name} ${issue_key}: heard ${heard.join(" ")}, shows ${shown.join(" ")}`;
    if (shown.at(-1) !== end) faults.push(`${about}: ${end} is missing`);
    if (heard.some((state, n) => n > 0 && rank(state) < rank(heard[n - 1] ?? "queued")))
      faults.push(`${about}: out of order`);
    const rows = postsOf(run_id);
    const unsure = rows.filter((row) => row.unsure);
    // A create whose answer was lost and that a newer state overtook leaves a message behind; the newer one makes its own.
    const overtaken = unsure.filter(({ status }) => status === "replaced").length;
    const doubtful = column.afterSilence === 1 ? overtaken : unsure.length > 0 ? heard.length : 0;
    if (edits && shown.length > 1 + doubtful) faults.push(`${about}: a message too many`);
    if (edits) continue;
    for (const state of new Set(shown)) {
      const times = shown.filter((one) => one === state).length;
      const may = column.afterSilence === 2 && unsure.some((row) => row.state === state);
      if (times > 1 && !may) faults.push(`${about}: ${state} twice`);
    }
  }
  return faults;
}
