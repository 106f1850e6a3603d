import { Bell } from "../bell.ts";
import type { Stirring, Wait } from "../store.ts";
import type { Inside } from "./inside.ts";

// Where something waits that the caller has seen and left (a destination it does not know, a slot it does not have),
// the next look comes no sooner: a loop around `stirred` cannot spin.
const pace = 250;

/** Makes the verb `stirred`. It goes by what the store holds, not by the bell alone, so no loop sleeps through what came before it asked. */
export function stirring({ db, now, look, events, posts }: Inside, dueAt: () => number | null) {
  const hasEvent = db.prepare<{ yes: number }, []>("SELECT EXISTS (SELECT 1 FROM event) AS yes");
  const waits = {
    events: {
      bell: events,
      lastHeard: -1,
      untilNext: () => (hasEvent.get()?.yes === 1 ? 0 : Number.POSITIVE_INFINITY),
    },
    posts: { bell: posts, lastHeard: -1, untilNext: untilDue },
    // Logs are files here: there is nothing to drain, and nobody rings.
    logs: { bell: new Bell(), lastHeard: -1, untilNext: () => Number.POSITIVE_INFINITY },
  };

  function untilDue(): number {
    const due = dueAt();
    return due === null ? Number.POSITIVE_INFINITY : Math.max(0, due - now());
  }

  return async function stirred(what: Stirring, { ms, signal }: Wait): Promise<void> {
    const waiting = waits[what];
    const { bell } = waiting;
    const since = bell.count;
    const next = look(waiting.untilNext);
    const nap = next > 0 ? next : since === waiting.lastHeard ? pace : 0;
    if (nap > 0) await bell.wait({ ms: Math.min(ms, nap), signal, since });
    waiting.lastHeard = bell.count;
  };
}
