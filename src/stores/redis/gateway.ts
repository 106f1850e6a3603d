import type { Json } from "../../core/json.ts";
import type { DeliveryNote } from "../../core/records.ts";
import type {
  ClaimAnswer,
  Expansion,
  NodeStore,
  OperatorStore,
  Rules,
  Settlement,
  Stirring,
  Store,
  Wait,
} from "../store.ts";
import type { Logs } from "../logs.ts";
import type { Bells } from "./bells.ts";
import type { Link } from "./link.ts";
import { claimedOf, eventOf, fields, list, text, unheardOf } from "./rows.ts";

const batch = 100;

type GatewayVerbs = Omit<Store, keyof NodeStore | keyof OperatorStore | "about" | "drain">;

/** Makes the verbs that only a gateway holds. */
export function gatewayVerbs(link: Link, bells: Bells, logs: Logs | null): GatewayVerbs {
  const due = new DueTime();
  let keep: Rules["keep"] | null = null;
  return {
    stirred: makeStirred(bells, due),

    async check() {
      await link.call("check", {});
    },

    notes: () => logs?.notes() ?? [],

    async publish(rules: Rules) {
      keep = rules.keep;
      await link.call("publish", rulesAsText(rules));
    },

    async events(limit, heard) {
      return list(await link.call("events", { limit, ...(heard && { heard }) })).map(eventOf);
    },

    async expand(expansions: Expansion[]) {
      const events = expansions.map(({ event: { id, subject, seq, state }, posts }) => ({
        id,
        subject,
        seq,
        state,
        posts: posts.map(({ announcement, ...post }) => ({ ...post, announcement: JSON.stringify(announcement) })),
      }));
      return list(await link.call("expand", { events })).map((done) => done === 1);
    },

    async claim(claim, ttl_ms, destinations): Promise<ClaimAnswer> {
      const [found, what, more, row] = list(await link.call("claim", { claim, ttl_ms, destinations }));
      if (found === "post") return { post: claimedOf(claim, text(what), text(more), fields(row)) };
      if (what === undefined) return { post: null, next_at: null };
      due.remember(Number(more));
      return { post: null, next_at: Math.ceil(Number(what)) };
    },

    async settle(settlement: Settlement) {
      const follow = "follow" in settlement && settlement.follow;
      const written = follow && { ...follow, announcement: JSON.stringify(follow.announcement) };
      const said = await link.call("settle", { ...settlement, ...(written && { follow: written }) });
      return said === "ok" || said === "opened" || said === "closed" ? said : "stale";
    },

    async reconsider(setups) {
      await link.call("reconsider", { setups });
    },

    async callOff(source, issue_key, why) {
      return text(await link.call("callOff", { source, issue_key, why })) || null;
    },

    async reap(gate_ms) {
      return await untilFewer(50, () => link.call("reap", { ...(gate_ms !== undefined && { gate_ms }) }));
    },

    async beat(gateway: string, facts: Record<string, Json>) {
      await link.call("beat", { gateway, facts: JSON.stringify(facts) });
    },

    async note(deliveries: DeliveryNote[]) {
      const notes = deliveries.map((note) => JSON.stringify(note));
      if (notes.length > 0) await link.call("note", { notes, call: crypto.randomUUID() });
    },

    async alert(key, what, opened_with) {
      return (await link.call("alert", { key, what, opened_with, call: crypto.randomUUID() })) === 1;
    },

    async unheard(age_ms, limit) {
      return list(await link.call("unheard", { age_ms, limit })).map(unheardOf);
    },

    async sweep() {
      const gone = await untilFewer(batch, () => link.call("sweep", { limit: batch }));
      if (logs && keep) {
        // Files have the time of their disk, not Redis'.
        const kept = { before: Date.now() - keep.logs_ms, bytes: keep.log_bytes };
        await logs.sweep(kept, async (run_id) => /^(queued|running)$/.test(text(await link.call("state", { run_id }))));
      }
      return gone;
    },
  };
}

/** Repeats a verb that works in batches until it did less than a whole one; answers the sum. */
async function untilFewer(full: number, verb: () => Promise<unknown>): Promise<number> {
  let sum = 0;
  for (;;) {
    const did = Number(await verb());
    sum += did;
    if (did < full) return sum;
  }
}

// cjson has a null of its own, which is true in Lua: what is not set is left out.
const withoutNulls = (lane: object) => JSON.stringify(lane, (_, value: unknown) => value ?? undefined);

// Settings are read one at a time, as text.
function rulesAsText({ lanes, locks, lease, keep, log_limit, admin_url }: Rules) {
  return {
    lanes: Object.fromEntries(Object.entries(lanes).map(([name, lane]) => [name, withoutNulls(lane)])),
    settings: {
      ...Object.fromEntries(
        Object.entries({ ...lease, ...keep, log_limit }).map(([name, value]) => [name, String(value)]),
      ),
      locks: JSON.stringify(locks),
      admin_url: admin_url ?? "",
    },
  };
}

/** When the next post falls due that a claim could not yet take, by this process's own clock. */
class DueTime {
  #next = Infinity;

  remember(in_ms: number): void {
    this.#next = Math.min(this.#next, performance.now() + in_ms + 1);
  }

  /** Milliseconds until then; 0 once when it is past: its caller claims, and learns of the one after it. */
  left_ms(): number {
    const left = this.#next - performance.now();
    if (left > 0) return left;
    this.#next = Infinity;
    return 0;
  }
}

/** What rang while its caller was busy ends the next wait at once; a caller is known by its signal. */
function makeStirred(bells: Bells, due: DueTime): Store["stirred"] {
  const nobody = {};
  const heardBy = new WeakMap<object, number>();
  return async (what: Stirring, wait: Wait) => {
    const caller = wait.signal ?? nobody;
    const heard = heardBy.get(caller) ?? bells.strokes(what);
    const longest = what === "posts" ? due.left_ms() : Infinity;
    await bells.after(what, heard, { ...wait, ms: Math.min(wait.ms, longest) });
    heardBy.set(caller, bells.strokes(what));
  };
}
