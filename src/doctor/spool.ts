import type { Json } from "../core/json.ts";
import { humanDuration } from "../core/units.ts";
import type { GatewayRow } from "../stores/store.ts";
import { defineCheck } from "./check.ts";
import { live } from "./silence.ts";

// A source's rate may hold deliveries back for a while; that is what it is for.
const longest = 10 * 60_000;

/** Asks what the gateways keep on their disks for the store, and whether they could. */
export const spool = defineCheck({
  name: "spool",
  on: "gateway",
  faults: {
    "spool-waits": { severity: "warning", breaks: "builds that were asked for have not begun" },
    "spool-unusable": { severity: "error", breaks: "a delivery that comes while the store is away is lost" },
    "spool-refused": { severity: "error", breaks: "builds that were asked for will not begin" },
  },
  async look(scene) {
    const rows = live(await (await scene.store()).gateways());
    return rows.flatMap((row) => {
      const { waiting, oldest_ms, refused, fault } = spoolOf(row);
      const age = typeof oldest_ms === "number" ? oldest_ms : 0;
      return [
        ...(age > longest
          ? [
              {
                id: "spool-waits" as const,
                about: row.gateway,
                says: `${String(waiting)} deliveries wait in the spool of ${row.gateway}, the oldest for ${humanDuration(age)}`,
                fix: "raise the source's rate or the lane's max_depth; the gateway's log says which",
              },
            ]
          : []),
        ...(typeof fault === "string"
          ? [
              {
                id: "spool-unusable" as const,
                about: row.gateway,
                says: `the spool of ${row.gateway} takes nothing: ${fault}`,
                fix: "look at the disk, owner and mode of state_dir/spool, and at gateway.spool.limit",
              },
            ]
          : []),
        ...(typeof refused === "number" && refused > 0
          ? [
              {
                id: "spool-refused" as const,
                about: row.gateway,
                says: `${row.gateway} has set ${refused} deliveries aside that the store refused`,
                fix: "read them under state_dir/spool/refused; another name of that folder hands them in once more",
              },
            ]
          : []),
      ];
    });
  },
});

/** What a gateway said of its spool; one of an older version says nothing. */
function spoolOf({ facts }: GatewayRow): Record<string, Json> {
  const said = facts.spool;
  return typeof said === "object" && said !== null && !Array.isArray(said) ? said : {};
}
