import { isObject, type Json, text } from "../../src/core/json.ts";
import { dead, judgeStatus, type Reply, sent, type Verdict } from "../../src/core/post.ts";
import { isOver, type RunState, runStates } from "../../src/core/records.ts";
import { defaultRetry } from "../../src/core/retry.ts";
import type { Destination } from "../../src/gateway/destinations.ts";
import { openRemote, type Received } from "../fakes/remote.ts";
import { injected } from "./gateways.ts";

/** What a chat can do: take messages, change them, or tell a repeat by its transaction. */
export type Skill = "posts" | "edits" | "idempotent";

export interface Arrival {
  subject: string;
  state: RunState;
  /** The message that it made or changed. */
  message: number;
}

/** A chat that fails by the dice: 30 % 5xx, 10 % 429, 10 % taken and the connection reset. It notes all that took effect. */
export function openWall(skill: Skill, dice: () => number, requests: number) {
  const arrivals: Arrival[] = [];
  const messages: Arrival[] = [];
  const transactions = new Map<string, number>();

  function take({ text: body }: Received) {
    const said: Json = JSON.parse(body);
    if (!isObject(said)) return { status: 400 };
    const before = skill === "idempotent" ? transactions.get(text(said.transaction)) : undefined;
    if (before !== undefined) return { status: 200, body: JSON.stringify({ id: String(before) }) };
    const state = runStates.find((one) => one === said.state);
    if (!state) return { status: 400 };
    const message = said.edit === undefined ? messages.length : Number(said.edit);
    const arrival = { subject: text(said.subject), state, message };
    messages[message] = arrival;
    arrivals.push(arrival);
    transactions.set(text(said.transaction), message);
    return { status: 200, body: JSON.stringify({ id: String(message) }) };
  }

  const script = Array.from({ length: requests }, () => injected(dice()));
  return { skill, arrivals, messages, ...openRemote({ service: take, script }) };
}

export type Wall = ReturnType<typeof openWall>;

/** The wall as a destination of the house, with waits that a test has the patience for. */
export function destinationAt({ skill, url }: Pick<Wall, "skill" | "url">): Destination {
  const edits = skill !== "posts";
  return {
    name: `chat:${skill}`,
    kind: skill,
    policy: { ...defaultRetry, max_attempts: 1000, base_delay_ms: 2, max_delay_ms: 20 },
    outbound: { timeout: 300, allow_http: false },
    canDegrade: false,
    edits,
    hears: new Set(runStates),
    wants: () => true,
    post: ({ key, again = "", subject, state, handle }) => ({
      method: "POST",
      url,
      body: { transaction: key + again, subject, state, ...(edits && handle !== null && { edit: handle }) },
    }),
    judge,
    keep: ({ handle }, made) => (edits ? (handle ?? made) : undefined),
  };
}

function judge({ status, text: body }: Reply): Verdict {
  if (status !== 200) return judgeStatus(status);
  const said: Json = JSON.parse(body);
  return isObject(said) ? sent(text(said.id)) : dead("no answer of ours");
}

const rank = (state: RunState): number => (isOver(state) ? 2 : runStates.indexOf(state));

/** What a wall shows that it should not, in words; `unsure` says whether the house itself doubts that it sent a state once. */
export function faultsOf(
  { skill, arrivals, messages }: Wall,
  runs: Map<string, RunState>,
  unsure: (subject: string, state: RunState) => boolean,
): string[] {
  const faults: string[] = [];
  for (const [subject, end] of runs) {
    const mine = arrivals.filter((arrival) => arrival.subject === subject);
    const about = `${skill} ${subject}: ${mine.map(({ state, message }) => `${state}@${message}`).join(" ")}`;
    if (!mine.some(({ state }) => state === end)) faults.push(`${about}: ${end} is missing`);
    if (mine.some(({ state }, n) => n > 0 && rank(state) < rank(mine[n - 1]?.state ?? "queued")))
      faults.push(`${about}: out of order`);
    if (skill !== "posts" && messages.findLast((message) => message.subject === subject)?.state !== end)
      faults.push(`${about}: shows another state`);
    const twice = mine.filter(({ state }, n) => mine.findIndex((one) => one.state === state) < n);
    for (const { state } of twice) {
      if (skill === "idempotent" || !unsure(subject, state)) faults.push(`${about}: ${state} twice`);
    }
  }
  return faults;
}
