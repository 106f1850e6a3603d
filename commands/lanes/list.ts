import { defineCommand } from "citty";
import { humanDuration } from "../../src/core/units.ts";
import { findingsOf } from "../../src/gateway/health-answers.ts";
import type { Holder, LaneRow, LockRow } from "../../src/stores/store.ts";
import { configArgs, jsonArgs, print } from "../args.ts";
import { withStore } from "../runs/open.ts";
import { plain, table } from "../runs/text.ts";

export default defineCommand({
  meta: { name: "list", description: "Every lane with what waits and runs, every lock with who holds it" },
  args: { ...configArgs, ...jsonArgs },
  async run({ args }) {
    const { lanes, locks } = await withStore(args.config, (store) => store.lanes());
    if (args.json) return print(JSON.stringify({ lanes, locks }));
    if (lanes.length === 0 && locks.length === 0) {
      return print("no lanes: no gateway has published any");
    }
    const now = Date.now();
    const parts = [
      table(
        ["LANE", "PRIORITY", "NEEDS", "WAITING", "RUNNING", "LOCKS"],
        lanes.map((lane) => laneCells(lane, now)),
      ),
    ];
    if (locks.length > 0)
      parts.push(
        table(
          ["LOCK", "HELD", "BY"],
          locks.map((lock) => lockCells(lock, now)),
        ),
      );
    const findings = lanes.flatMap(findingsOf);
    if (findings.length > 0) parts.push(findings.map(plain).join("\n"));
    print(parts.join("\n\n"));
  },
});

function laneCells(lane: LaneRow, now: number): string[] {
  const { depth, running, limit, oldest_queued_at } = lane;
  const since = oldest_queued_at === null ? "" : ` for ${ago(oldest_queued_at, now)}`;
  return [
    lane.lane,
    String(lane.priority),
    lane.needs.join(" "),
    `${depth}${since}`,
    limit === null ? String(running) : `${running} of ${limit}`,
    lane.locks.join(" "),
  ];
}

const lockCells = ({ lock, capacity, held }: LockRow, now: number): string[] => [
  lock,
  `${held.length} of ${capacity}`,
  held.map((holder) => `${whoOf(holder)} for ${ago(holder.since, now)}`).join(", "),
];

/** Names a holder: its run or its hold, and where it is. */
export const whoOf = (holder: Holder): string =>
  `${"run_id" in holder ? holder.run_id.slice(-12) : "lanes hold"} on ${holder.node}`;

const ago = (then: number, now: number): string => humanDuration(Math.max(0, now - then));
