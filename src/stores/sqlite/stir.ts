import type { Wait } from "../store.ts";
import type { Inside } from "./inside.ts";

// Where something waits that the caller has seen and left (a destination it does not know, a slot it does not have),
// the next look comes no sooner: a loop around `stirred` cannot spin.
const pace = 250;

/** Makes the verb `stirred`. It goes by what the store holds, not by the bell alone, so no loop sleeps through what came before it asked. */
export function stirring({ db, now, look, news }: Inside, dueAt: () => number | null) {
  const hasEvent = db.prepare<{ yes: number }, []>("SELECT EXISTS (SELECT 1 FROM event) AS yes");
  let lastHeard = -1;

  function untilNext(): number {
    const due = dueAt();
    if (hasEvent.get()?.yes === 1) return 0;
    return due === null ? Number.POSITIVE_INFINITY : Math.max(0, due - now());
  }

  return async function stirred({ ms, signal }: Wait): Promise<void> {
    const since = news.count;
    const next = look(untilNext);
    const nap = next > 0 ? next : news.count === lastHeard ? pace : 0;
    if (nap > 0) await news.wait({ ms: Math.min(ms, nap), signal, since });
    lastHeard = news.count;
  };
}
