import { humanDuration } from "../core/units.ts";
import { defineCheck } from "./check.ts";

const waitsTooLong = 3_600_000;
const freshFor = 7 * 86_400_000;

/** Looks for runs that died, and for the oldest one that nobody takes. */
export const runs = defineCheck({
  name: "runs",
  on: "gateway",
  faults: {
    "run-dead": { severity: "error", breaks: "this issue was not built, and will not be by itself" },
    "run-waits": { severity: "warning", breaks: "issues are not built, or hours later" },
  },
  async look(scene) {
    const store = await scene.store();
    const [dead, queued, nodes] = await Promise.all([
      store.list({ states: ["dead"], dropped: false, limit: 100 }),
      store.list({ states: ["queued"], limit: 1000 }),
      store.nodes(),
    ]);
    const oldest = Map.groupBy(queued.runs, ({ lane }) => lane);
    return [
      ...dead.runs
        .filter(({ ended_at }) => scene.now() - (ended_at ?? 0) < freshFor)
        .map(({ run_id, issue_key, script, lost, reason }) => ({
          id: "run-dead" as const,
          about: run_id,
          says: `${issue_key || script} is dead: ${reason ?? "its leases ran out"} (lost ${lost} times)`,
          fix: `look at meshmac runs logs ${run_id.slice(-8)}, then: meshmac runs retry ${run_id.slice(-8)}, or: meshmac runs dead drop ${run_id.slice(-8)}`,
        })),
      ...[...oldest].flatMap(([lane, waiting]) => {
        const first = waiting.at(-1);
        const age = scene.now() - (first?.queued_at ?? scene.now());
        if (!first || age < waitsTooLong) return [];
        const able = nodes.filter(({ facts }) => facts.scripts.includes(first.script));
        const why =
          able.length === 0 ? `no node has the script ${first.script}` : "every node that could is busy or gone";
        const says = `${waiting.length} wait there, the oldest for ${humanDuration(age)}: ${why}`;
        return [
          { id: "run-waits" as const, about: lane, says, fix: "start a worker for it, or see: meshmac lanes list" },
        ];
      }),
    ];
  },
});
