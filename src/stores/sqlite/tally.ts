import type { Use } from "../../core/records.ts";
import { aged, keptTallies, type TallyRow } from "../../core/use.ts";
import type { Inside } from "./inside.ts";

/** Makes the verbs `tally` and `uses`. */
export function tallying({ db, now }: Inside) {
  const set = db.prepare<null, [string, string, number]>(`
    INSERT INTO tally (gateway, uses, at) VALUES (?, ?, ?)
    ON CONFLICT (gateway) DO UPDATE SET uses = excluded.uses, at = excluded.at`);
  const prune = db.prepare<null, [number, number]>(
    "DELETE FROM tally WHERE at < ? OR gateway NOT IN (SELECT gateway FROM tally ORDER BY at DESC LIMIT ?)",
  );
  const all = db.prepare<{ gateway: string; uses: string; at: number }, []>(
    "SELECT gateway, uses, at FROM tally ORDER BY gateway",
  );

  return {
    tally(gateway: string, uses: Use[]): void {
      const time = now();
      if (set.run(gateway, JSON.stringify(uses), time).changes > 0)
        prune.run(time - keptTallies.ms, keptTallies.gateways);
    },

    uses: (): TallyRow[] =>
      all.all().map(({ gateway, uses, at }) => {
        const silent_ms = Math.max(0, now() - at);
        return { gateway, silent_ms, uses: aged(JSON.parse(uses), silent_ms) };
      }),
  };
}
