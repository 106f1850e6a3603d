import { join } from "node:path";
import type { JsonObject } from "../../src/core/json.ts";
import { eventually, type Household, jiraBody } from "./household.ts";

const binary = process.env.MESHMAC_BINARY ?? join(import.meta.dir, "../../dist/meshmac");

/** Numbers in [0, 1) that are the same for the same seed (mulberry32). */
export function chanceFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Wishes {
  /** Kills some of the runs at some moment; the command is then run again, as a person would. */
  killing?: () => number;
  stdin?: string;
  /** Runs it again until it ends with this status: `commit` says "not now" for a while. */
  until?: number;
  /** Milliseconds that all of it may take. */
  within?: number;
}

/** Runs `meshmac rotate` to its end, whatever happens to it on the way. */
export async function rotate(
  house: Household,
  args: string[],
  { killing, stdin, until, within }: Wishes = {},
): Promise<{ code: number; stdout: string }> {
  return await eventually(
    `rotate ${args.join(" ")}`,
    async () => {
      const child = Bun.spawn([binary, "rotate", ...args, "--config", house.config], {
        cwd: house.dir,
        env: { PATH: process.env.PATH ?? "", HOME: house.dir, USER: "builder" },
        stdin: stdin === undefined ? "ignore" : Buffer.from(stdin),
        stdout: "pipe",
        stderr: "pipe",
      });
      // From before its first line to after its last: a whole run takes about a tenth of a second.
      const timer = killing && killing() < 0.6 ? setTimeout(() => child.kill("SIGKILL"), killing() * 180) : undefined;
      const [stdout, stderr, code] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
        child.exited,
      ]);
      clearTimeout(timer);
      if (child.signalCode === "SIGKILL") return null;
      if (until !== undefined && code !== until) {
        if (code !== 75) throw new Error(`rotate ${args.join(" ")} ended with ${code}: ${stderr}`);
        return null;
      }
      if (killing && code !== 0) throw new Error(`rotate ${args.join(" ")} ended with ${code}: ${stderr}`);
      return { code, stdout };
    },
    within,
  );
}

/**
 * A hundred deliveries a second, as trackers send them. What finds no gateway while one was killed on purpose is sent again;
 * whatever else is not answered with 200 counts as refused.
 */
export class Senders {
  sent = 0;
  /** Answers to valid tokens that were not 200. */
  readonly refused: string[] = [];
  /** Requests that were under way while the gateway was away on purpose, and got no answer. */
  unheard = 0;
  /** Old tokens that were accepted by a request that began a second or more after their commit. */
  readonly lateAccepts: string[] = [];
  readonly #url: () => string;
  readonly #accepted = new Map<string, number>();
  readonly #timer: NodeJS.Timeout;
  readonly #underWay = new Set<Promise<unknown>>();
  #tokens: string[];
  #authorities: string[] | null;
  #paused = false;
  #fault = "";
  /** Odd while the gateway is away on purpose. */
  #lapses = 0;

  /** `authorities` are those that a TLS gateway's certificate may be of. */
  constructor(url: () => string, tokens: string[], authorities: string[] | null = null) {
    this.#url = url;
    this.#tokens = tokens;
    this.#authorities = authorities;
    this.#timer = setInterval(() => this.#tick(), 10);
  }

  /** From now on these are valid, and sent in turn. */
  use(tokens: string[]): void {
    this.#tokens = tokens;
  }

  /** From now on a gateway's certificate is of one of these. */
  trust(authorities: string[]): void {
    this.#authorities = authorities;
  }

  /** Does something during which there is no gateway: a kill, and the start of the next one. */
  async lapse(act: () => Promise<void>): Promise<void> {
    this.#lapses++;
    await act();
    this.#lapses++;
  }

  async pause(): Promise<void> {
    this.#paused = true;
    await Promise.all(this.#underWay);
  }

  resume(): void {
    this.#paused = false;
  }

  /** Resolves when so many more deliveries with this token were taken. */
  async taken(token: string, count: number): Promise<void> {
    const enough = (this.#accepted.get(token) ?? 0) + count;
    await eventually(`${count} deliveries with a token`, () => (this.#accepted.get(token) ?? 0) >= enough);
  }

  /** Sends the old token until it is refused, and once more a second after its commit. */
  async refusedFor(token: string): Promise<void> {
    const committedAt = performance.now();
    for (let refusals = 0; refusals < 3;) {
      const begunAt = performance.now();
      const status = await this.#post(token, ignored);
      if (status === 401) refusals++;
      else if (status === 200 && begunAt - committedAt >= 1000) {
        this.lateAccepts.push(`${Math.round(begunAt - committedAt)} ms after the commit`);
        return;
      }
      await new Promise((next) => setTimeout(next, 400));
    }
  }

  /** Sends a token that an undo brought back until the gateway has seen it: from then on it is valid. */
  async acceptedAgain(token: string): Promise<void> {
    await eventually("a token to be back", async () => (await this.#post(token, ignored)) === 200);
  }

  /** Asks for one build, however often it takes. */
  async build(body: JsonObject): Promise<void> {
    await eventually("a build", async () => (await this.#post(this.#tokens[0] ?? "", body)) === 200);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#underWay);
  }

  #tick(): void {
    if (this.#paused || this.#underWay.size > 200) return;
    const token = this.#tokens[this.sent++ % this.#tokens.length] ?? "";
    const sending = this.#send(token).finally(() => this.#underWay.delete(sending));
    this.#underWay.add(sending);
  }

  async #send(token: string): Promise<void> {
    const before = this.#lapses;
    const status = await this.#post(token, ignored);
    const wasAway = before % 2 === 1 || before !== this.#lapses;
    if (status === null && wasAway) this.unheard++;
    else if (status === 200) this.#accepted.set(token, (this.#accepted.get(token) ?? 0) + 1);
    else this.refused.push(`${status ?? this.#fault} at delivery ${this.sent}, value ${this.#tokens.indexOf(token)}`);
  }

  /** The status, or null where no gateway answered. */
  async #post(token: string, body: JsonObject): Promise<number | null> {
    try {
      const answer = await fetch(`${this.#url()}/jira/openclaw`, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-Meshmac-Jira-Token": token },
        body: JSON.stringify(body),
        // A kept connection may be closed for idleness just when it is used again: HTTP's own race, and no refusal.
        keepalive: false,
        ...(this.#authorities && { tls: { ca: this.#authorities } }),
      });
      await answer.arrayBuffer();
      return answer.status;
    } catch (fault) {
      this.#fault = fault instanceof Error ? fault.message : String(fault);
      return null;
    }
  }
}

/** A delivery that asks for no build: what it says of the token is what a build would. */
const ignored = jiraBody("MOB-1", { status: "Done" });
