import type { Database } from "bun:sqlite";
import type { Pause, Rules } from "../store.ts";
import { firstRules, type Inside } from "./inside.ts";

/** Makes the verbs whose word is kept in a setting: `publish`, `pause` and `check`. */
export function settings(inside: Inside) {
  const { db, commit, work, now } = inside;
  const set = db.prepare<null, [string, string]>(
    "INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
  );
  let paused: Record<string, Pause> = read(db, "paused") ?? {};

  return {
    paused: (lane: string): boolean => Object.hasOwn(paused, lane),
    pauses: (): Record<string, Pause> => paused,

    async publish(rules: Rules): Promise<void> {
      await commit(() => set.run("rules", JSON.stringify(rules)));
      inside.rules = rules;
      work.ring();
    },

    async pause(lane: string, why: string | null): Promise<void> {
      // Made inside the step: two pauses of one turn must not forget each other.
      await commit(() => {
        const { [lane]: before, ...others } = paused;
        const pause = before?.why === why ? before : why === null ? null : { why, at: now() };
        const next = pause === null ? others : { ...others, [lane]: pause };
        set.run("paused", JSON.stringify(next));
        paused = next;
      });
      work.ring();
    },

    check: async (): Promise<void> => void (await commit(() => set.run("checked", String(now())))),
  };
}

/** Reads the rules that were published last, by whatever process, or those that hold before. */
export function publishedRules(db: Database): Rules {
  const rules: Partial<Rules> = read(db, "rules") ?? {};
  // An older version knew fewer of them.
  return { ...firstRules, ...rules, keep: { ...firstRules.keep, ...rules.keep } };
}

function read<T>(db: Database, name: string): T | null {
  const row = db.query<{ value: string }, [string]>("SELECT value FROM setting WHERE name = ?").get(name);
  return row && JSON.parse(row.value);
}
