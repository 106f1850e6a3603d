import { humanDuration } from "../core/units.ts";
import { defineCheck } from "./check.ts";

/** Looks for lanes that are paused, and for those in which more waits than they were meant to hold. */
export const lanes = defineCheck({
  name: "lanes",
  on: "gateway",
  faults: {
    "lane-paused": { severity: "warning", breaks: "nothing of this lane is built until it goes on" },
    "lane-deep": {
      severity: "warning",
      breaks: "this lane is asked for more than it builds; nothing is lost, all of it comes later",
    },
  },
  async look(scene) {
    const rows = (await (await scene.store()).lanes()).lanes;
    return rows.flatMap(({ lane, depth, running, max_depth, paused }) => [
      ...(paused
        ? [
            {
              id: "lane-paused" as const,
              about: lane,
              says: `paused for ${humanDuration(Math.max(0, scene.now() - paused.at))}, ${depth} waiting: ${paused.why}`,
              fix: `meshmac lanes resume ${lane}`,
            },
          ]
        : []),
      ...(max_depth !== null && depth > max_depth
        ? [
            {
              id: "lane-deep" as const,
              about: lane,
              says: `${depth} wait and ${running} run, max_depth is ${max_depth}`,
              fix: "add nodes or raise limit; see who holds what: meshmac lanes list",
            },
          ]
        : []),
    ]);
  },
});
