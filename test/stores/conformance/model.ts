import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { isOver, type RunState } from "../../../src/core/records.ts";
import type { Word } from "../../../src/stores/store.ts";
import { askOf, laneOf, leaseOf, resultOf, rulesOf, seen, seenAt, taskOf } from "./given.ts";
import type { Given, Open } from "./given.ts";

// A store in a few lines, and random verbs asked of it and of the real one: what they answer must agree at every step.

interface ModelRun {
  run_id: string;
  lane: "urgent" | "slow";
  state: RunState;
  attempt: number;
  lost: number;
  node: string | null;
  token: string | null;
  cancel: boolean;
  again: boolean;
  late: boolean;
  /** What its node was told. */
  ttl: number;
  endedBy: number;
  told: RunState[];
}

interface Model {
  runs: ModelRun[];
  tokens: Record<string, string>;
  ttl: number;
}

type Step = fc.AsyncCommand<Model, Given>;

const nodes = ["mac-07", "mac-08"];
const maxLost = 2;
const rules = (ttl: number) =>
  rulesOf({
    lanes: {
      urgent: laneOf({ priority: 10_000, locks: ["signing"], max_lost: maxLost }),
      slow: laneOf({ limit: 2, max_lost: maxLost }),
    },
    lease: leaseOf(ttl),
  });

const become = (run: ModelRun, state: RunState): void => {
  run.state = state;
  if (state === "queued") Object.assign(run, { again: true, node: null, token: null });
  else run.told.push(state);
};

const lose = (run: ModelRun): void => {
  run.lost++;
  become(run, run.cancel ? "cancelled" : run.lost >= maxLost ? "dead" : "queued");
};

const late = ({ runs }: Model): ModelRun[] => runs.filter((run) => run.state === "running" && run.late);
const of = ({ runs }: Model, node: string): ModelRun[] =>
  runs.filter((run) => run.state === "running" && run.node === node);
const held = ({ run_id, attempt }: ModelRun) => ({ run_id, attempt });

/** The runs of which one must be leased next: the first waiting lane with room, what came back before what is new. */
function next({ runs }: Model): ModelRun[] {
  const room = { urgent: 1, slow: 2 };
  for (const run of runs) if (run.state === "running") room[run.lane]--;
  for (const lane of ["urgent", "slow"] as const) {
    const waiting = runs.filter((run) => run.state === "queued" && run.lane === lane);
    if (room[lane] < 1 || waiting.length === 0) continue;
    const back = waiting.filter((run) => run.again);
    return back.length > 0 ? back : waiting.slice(0, 1);
  }
  return [];
}

const step = (name: string, run: Step["run"]): Step => ({ check: () => true, run, toString: () => name });

const accept = (lane: ModelRun["lane"]) =>
  step(`accept(${lane})`, async (model, { node }) => {
    const task = taskOf({ lane });
    for (let i = 0; i < 2; i++) {
      expect((await node.accept({ task, marks: [], seen_at: seenAt })).status).toBe("queued");
    }
    const fresh = {
      attempt: 0,
      lost: 0,
      node: null,
      token: null,
      cancel: false,
      again: false,
      late: false,
      ttl: 0,
      endedBy: 0,
    };
    model.runs.push({ ...fresh, run_id: task.run_id, lane, state: "queued", told: ["queued"] });
  });

const lease = (name: string, fresh: boolean, forgetful: boolean) =>
  step(
    `lease(${name}${fresh ? "" : ", same token"}${forgetful ? ", holding nothing" : ""})`,
    async (model, { node }) => {
      for (const run of late(model)) lose(run);
      const token = fresh ? crypto.randomUUID() : (model.tokens[name] ?? crypto.randomUUID());
      model.tokens[name] = token;
      const same = of(model, name).find((run) => run.token === token);
      // A late lease is taken back first; a lost reply to such a lease is asked for as a new one.
      const holding = forgetful ? [] : of(model, name).map(held);
      if (forgetful) for (const run of of(model, name)) if (run !== same) lose(run);
      const answer = await node.lease(askOf({ node: name, token, holding }));
      const allowed = same ? [same] : next(model);
      expect(answer === null).toBe(allowed.length === 0);
      const taken = allowed.find((run) => run.run_id === answer?.task.run_id);
      if (!answer) return;
      if (!taken)
        throw new Error(
          `leased ${answer.task.run_id}, but one of ${allowed.map((run) => run.run_id).join(", ")} was next`,
        );
      if (!same) {
        Object.assign(taken, { node: name, token, again: false, ttl: 0, attempt: taken.attempt + 1 });
        become(taken, "running");
      }
      taken.ttl = Math.max(taken.ttl, model.ttl);
      taken.late = taken.ttl === 0;
      expect(answer.attempt).toBe(taken.attempt);
    },
  );

const renew = (name: string, behind: number) =>
  step(`renew(${name}${behind ? ", the attempt before" : ""})`, async (model, { node }) => {
    const asked = model.runs
      .filter((run) => run.attempt > behind)
      .map((run) => ({ ...held(run), attempt: run.attempt - behind }));
    const mine = of(model, name);
    const words = asked.map(({ run_id, attempt }): Word => {
      const run = mine.find((one) => one.run_id === run_id && one.attempt === attempt);
      if (!run) return "stale";
      run.late = Math.max(run.ttl, model.ttl) === 0;
      return run.cancel ? "cancel" : "ok";
    });
    const answer = await node.renew(name, asked);
    expect(answer.words).toEqual(words);
    expect(answer.forgotten.map(({ run_id }) => run_id).toSorted()).toEqual(
      (behind ? mine : []).map(({ run_id }) => run_id).toSorted(),
    );
  });

const finish = (pick: number, name: string, behind: number, state: "succeeded" | "failed" | "queued") =>
  step(`finish(run ${pick}, ${name}${behind ? ", the attempt before" : ""}, ${state})`, async (model, { node }) => {
    const run = model.runs[pick % Math.max(1, model.runs.length)];
    if (!run || run.attempt - behind < 1) return;
    const attempt = run.attempt - behind;
    const fits = run.state === "running" && run.node === name && behind === 0;
    // Whether the attempt before ended by itself is remembered for the last one that did.
    const word = fits || run.endedBy === attempt ? "ok" : "stale";
    if (fits) {
      become(run, state === "queued" && run.cancel ? "cancelled" : state);
      run.endedBy = attempt;
    }
    const result = resultOf({ run_id: run.run_id, attempt }, state, { mesh_node_id: name });
    for (let i = 0; i < 2; i++) expect(await node.finish(result)).toBe(word);
  });

const cancel = (pick: number) =>
  step(`cancel(run ${pick})`, async (model, { node }) => {
    const run = model.runs[pick % Math.max(1, model.runs.length)];
    if (!run) return;
    const before = run.state;
    if (!isOver(before)) run.cancel = true;
    if (before === "queued") become(run, "cancelled");
    const word = before === "queued" ? "cancelled" : before === "running" ? "asked" : "over";
    expect(await node.cancel(run.run_id, "not needed")).toBe(word);
  });

const reap = step("reap()", async (model, { store }) => {
  const gone = late(model);
  for (const run of gone) lose(run);
  expect(await store.reap()).toBe(gone.length);
});

const publish = (ttl: number) =>
  step(`publish(ttl ${ttl})`, async (model, { store }) => {
    model.ttl = ttl;
    await store.publish(rules(ttl));
  });

const name = fc.constantFrom(...nodes);
const pick = fc.nat({ max: 7 });
const steps = fc.commands(
  [
    fc.constantFrom("urgent" as const, "slow" as const).map(accept),
    fc.constantFrom("urgent" as const, "slow" as const).map(accept),
    fc
      .tuple(name, fc.constantFrom(true, true, true, false), fc.constantFrom(false, false, true))
      .map((all) => lease(...all)),
    fc.tuple(name, fc.constant(true), fc.constant(false)).map((all) => lease(...all)),
    fc.tuple(name, fc.constantFrom(0, 0, 1)).map((all) => renew(...all)),
    fc
      .tuple(
        pick,
        name,
        fc.constantFrom(0, 0, 0, 1),
        fc.constantFrom("succeeded" as const, "failed" as const, "queued" as const),
      )
      .map((all) => finish(...all)),
    pick.map(cancel),
    fc.constant(reap),
    fc.constantFrom(0, 90_000).map(publish),
  ],
  { maxCommands: 60, size: "max" },
);

/** Everything the model knows of its runs, as the store must show and tell it. */
async function agrees({ runs }: Model, { store, node }: Given): Promise<void> {
  const events = await store.events(10_000);
  for (const run of runs) {
    const { state, attempt, lost } = run;
    expect((await seen(node, run.run_id)).run).toMatchObject({ state, attempt, lost });
    const told = events.filter(({ subject }) => subject === run.run_id);
    expect(told.map((event) => event.state)).toEqual(run.told);
    expect(told.map((event) => event.seq)).toEqual(run.told.map((_, i) => i + 1));
  }
}

export function followingTheModel(open: Open): void {
  describe("random verbs", () => {
    test("answer as the model does", async () => {
      const property = fc.asyncProperty(steps, async (commands) => {
        const given = await open();
        try {
          const model: Model = { runs: [], tokens: {}, ttl: 90_000 };
          await given.store.publish(rules(model.ttl));
          await fc.asyncModelRun(() => ({ model, real: given }), commands);
          await agrees(model, given);
        } finally {
          await given.close();
        }
      });
      await fc.assert(property, { numRuns: 40, seed: 20_261_121, endOnFailure: true });
    }, 60_000);
  });
}
