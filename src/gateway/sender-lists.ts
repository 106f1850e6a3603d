import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { cidrSet, parseCidr, type SenderName } from "../core/cidr.ts";
import { sendPost } from "../http.ts";
import { log } from "../log.ts";
import { atlassianUrl, jiraEgress } from "./atlassian-list.ts";
import type { Send } from "./send-try.ts";
import { nap, type Sleep } from "./stir.ts";
import { youtrackCloud } from "./youtrack-cloud.ts";

/** Whether an address may knock; unknown while the list that would say so has never been had. */
export type Admission = "allowed" | "refused" | "unknown";

/** How old a fetched list is; `fetched_at` in epoch milliseconds, null where there is none. */
export interface SenderListFact {
  name: SenderName;
  fetched_at: number | null;
}

export interface SenderListsOptions {
  state_dir: string;
  url?: string;
  send?: Send;
  sleep?: Sleep;
  /** Epoch milliseconds. */
  now?: () => number;
}

const day = 86_400_000;
const firstPause = 60_000;
const longestPause = 3_600_000;
const oldAfter = 7 * day;
// Nobody waits for it.
const outbound = { timeout: 30_000, allow_http: false };

const keptList = z.object({
  v: z.literal(1),
  fetched_at: z.number(),
  ranges: z.array(z.string().refine((text) => parseCidr(text) !== null)).min(1),
});
type KeptList = z.output<typeof keptList>;

/** Knows the addresses of senders that publish theirs. What is fetched is fetched only once somebody has asked for it. */
export class SenderLists {
  readonly #options: Required<SenderListsOptions>;
  readonly #file: string;
  readonly #over = new AbortController();
  #held: (Pick<KeptList, "fetched_at"> & { holds: (ip: string) => boolean }) | null = null;
  #keeping = false;

  constructor(options: SenderListsOptions) {
    this.#options = { url: atlassianUrl, send: sendPost, sleep: nap, now: Date.now, ...options };
    this.#file = join(options.state_dir, "atlassian-addresses.json");
  }

  /** Makes a test for the sender's addresses; from then on a list that has to be fetched is, now and every day. */
  of(name: SenderName): (ip: string) => Admission {
    if (name === "youtrack-cloud") {
      const holds = cidrSet(youtrackCloud.ranges);
      return (ip) => (holds(ip) ? "allowed" : "refused");
    }
    this.#keep();
    return (ip) => (this.#held === null ? "unknown" : this.#held.holds(ip) ? "allowed" : "refused");
  }

  /** What each fetched list in use is; empty where none is. */
  facts(): SenderListFact[] {
    return this.#keeping ? [{ name: "atlassian", fetched_at: this.#held?.fetched_at ?? null }] : [];
  }

  /** What people must know of the lists in use. */
  notes(): string[] {
    if (!this.#keeping) return [];
    if (this.#held === null)
      return ["the addresses of atlassian could not be fetched yet: a door that allows only those answers 503"];
    const days = Math.floor((this.#options.now() - this.#held.fetched_at) / day);
    return days * day < oldAfter ? [] : [`the addresses of atlassian were last fetched ${days} days ago`];
  }

  /** Fetches no more; what is known stays known. */
  stop(): void {
    this.#over.abort();
  }

  #keep(): void {
    if (this.#keeping) return;
    this.#keeping = true;
    const kept = this.#read();
    if (kept) this.#hold(kept);
    void this.#run();
  }

  async #run(): Promise<void> {
    const { sleep } = this.#options;
    let faults = 0;
    while (!this.#over.signal.aborted) {
      const why = await this.#renew();
      if (this.#over.signal.aborted) return;
      if (why !== null && faults === 0) log.warn("sender addresses not fetched", { sender: "atlassian", why });
      faults = why === null ? 0 : faults + 1;
      await sleep(why === null ? day : Math.min(longestPause, firstPause * 2 ** (faults - 1)), this.#over.signal);
    }
  }

  /** Fetches the list; answers why it could not be had, else null. The one before stays until there is a better one. */
  async #renew(): Promise<string | null> {
    const { url, send, now } = this.#options;
    const answer = await send({ method: "GET", url }, outbound);
    if ("failure" in answer) return answer.failure.why;
    if (answer.reply.status !== 200) return `${answer.place} answered ${answer.reply.status}`;
    let ranges: string[];
    try {
      ranges = jiraEgress(answer.reply.text);
    } catch (fault) {
      return `${answer.place} sent no list: ${fault instanceof Error ? fault.message : "unreadable"}`;
    }
    const list: KeptList = { v: 1, fetched_at: now(), ranges };
    this.#hold(list);
    this.#write(list);
    log.info("sender addresses fetched", { sender: "atlassian", count: ranges.length });
    return null;
  }

  #hold({ fetched_at, ranges }: KeptList): void {
    this.#held = { fetched_at, holds: cidrSet(ranges) };
  }

  #read(): KeptList | null {
    try {
      return keptList.parse(JSON.parse(readFileSync(this.#file, "utf8")));
    } catch (fault) {
      const isThere = !(fault instanceof Error && "code" in fault && fault.code === "ENOENT");
      if (isThere) log.warn("kept sender addresses not readable", { file: this.#file });
      return null;
    }
  }

  #write(list: KeptList): void {
    const draft = `${this.#file}.${process.pid}.new`;
    try {
      mkdirSync(this.#options.state_dir, { recursive: true, mode: 0o700 });
      writeFileSync(draft, `${JSON.stringify(list)}\n`, { mode: 0o600, flush: true });
      renameSync(draft, this.#file);
    } catch (why) {
      rmSync(draft, { force: true });
      log.warn("sender addresses not kept", { file: this.#file, why });
    }
  }
}
