import type { Report, Result } from "../../core/records.ts";
import type { Held, Lease, LeaseAsk, LogChunk, NodeStore, Renewal, Wait, Word } from "../store.ts";
import type { Bell, Bells } from "./bells.ts";
import type { Link } from "./link.ts";
import { Turns } from "./turns.ts";
import { held, list, text, texts } from "./rows.ts";

/** What Redis holds of one attempt's log until a gateway has drained it. */
const window = 4 * 1024 * 1024;

/** However quiet it is, a waiting node asks again this often: nothing hangs on one stroke of a bell. */
const recheck_ms = 20_000;

/** Makes a node's verbs. */
export function nodeVerbs(link: Link, bells: Bells): Omit<NodeStore, "close"> {
  const turns = new Turns(link);
  return {
    lease: (ask, wait) => until("work", bells, wait, () => lease(turns, ask)),
    renew: (node, runs, wait) => until("stop", bells, wait, () => renew(turns, node, runs)),

    async log({ bytes, ...chunk }: LogChunk) {
      const next = Number(await link.call("log", { ...chunk, window }, Buffer.from(bytes)));
      return next < 0 ? "stale" : next;
    },

    async finish(result: Result) {
      const { run_id, attempt, state, reason, mesh_node_id: node } = result;
      const ask = { run_id, attempt, state, node, reason: reason ?? "", result: JSON.stringify(result) };
      const said = await turns.take("finish", ask);
      bells.ring("stop"); // whoever still renews it in this process; nobody else holds it
      return said === "ok" ? "ok" : "stale";
    },

    async report(report: Report) {
      const subject = `${report.source}/${report.provider_run_id}`;
      const ask = { subject, state: report.state, node: report.mesh_node_id ?? "", report: JSON.stringify(report) };
      return (await link.call("report", ask)) === "new" ? "new" : "seen";
    },
  };
}

/** One answer on the way: a final one ends the wait, another is asked for again when the bell rings or after `again_ms`. */
interface Answer<T> {
  answer: T;
  final: boolean;
  again_ms: number;
}

/** Asks until the answer is final, the wait is over or its signal fires; in between it sleeps. */
async function until<T>(bell: Bell, bells: Bells, wait: Wait | undefined, ask: () => Promise<Answer<T>>): Promise<T> {
  if (!wait || wait.ms <= 0) return (await ask()).answer;
  const { signal } = wait;
  const end = performance.now() + wait.ms;
  for (;;) {
    const heard = bells.strokes(bell);
    const { answer, final, again_ms } = await ask();
    if (final) return answer;
    const ms = Math.min(end - performance.now(), again_ms);
    await bells.after(bell, heard, { ms, ...(signal && { signal }) });
    if (bells.closed || signal?.aborted || performance.now() >= end) return answer;
  }
}

async function lease(
  turns: Turns,
  { node, facts, token, holding, through = false }: LeaseAsk,
): Promise<Answer<Lease | null>> {
  const reply = await turns.take("lease", {
    node,
    token,
    through,
    facts: JSON.stringify(facts),
    labels: facts.labels,
    scripts: facts.scripts,
    holding: holding.map(({ run_id, attempt }) => `${run_id} ${attempt}`),
  });
  const [first, written, ttl, heartbeat, fence, timeout, admin_url, log_limit] = list(reply);
  if (written === undefined) {
    const runsOut_ms = first === undefined ? recheck_ms : Number(first) + 1;
    return { answer: null, final: false, again_ms: Math.min(runsOut_ms, recheck_ms) };
  }
  const task: Lease["task"] = JSON.parse(text(written));
  const answer = {
    task,
    attempt: Number(first),
    ttl_ms: Number(ttl),
    heartbeat_ms: Number(heartbeat),
    fence_ms: Number(fence),
    timeout_ms: task.timeout_s > 0 ? task.timeout_s * 1000 : Number(timeout),
    log_limit: Number(log_limit),
    run_url: admin_url ? `${text(admin_url)}/runs/${task.run_id}` : null,
  };
  return { answer, final: true, again_ms: 0 };
}

async function renew(turns: Turns, node: string, runs: Held[]): Promise<Answer<Renewal>> {
  const reply = texts(await turns.take("renew", { node, held: runs }));
  const words = reply.slice(0, runs.length).map(word);
  const answer = { words, forgotten: reply.slice(runs.length).map(held) };
  return { answer, final: words.some((said) => said !== "ok"), again_ms: Infinity };
}

const word = (said: string): Word => (said === "ok" || said === "cancel" ? said : "stale");
