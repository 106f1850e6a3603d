import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Config, secretsOf } from "../config.ts";
import { MeshError } from "../core/error.ts";
import { maskPatterns, secretMask } from "../core/redact.ts";
import { type Report, subjectOf } from "../core/records.ts";
import { defaultRetry } from "../core/retry.ts";
import type { Vault } from "../secrets.ts";
import { type Inward, openForReport, type Opened } from "../stores/open.ts";
import { gateOf } from "../stores/gate.ts";
import type { DestinationRow, NodeStore, PostRow, Store } from "../stores/store.ts";
import { startAnnouncer } from "./announce.ts";
import { type Destinations, destinationsFrom } from "./destinations.ts";
import { maskDeep, masksOf } from "./masked-store.ts";
import { startSender } from "./send.ts";
import { hasSender } from "./senders.ts";
import { nap, type Sleep } from "./stir.ts";

export interface Errand {
  config: Config;
  vault: Vault;
  report: Report;
  /** Where a `console` chat prints, if this process sends. */
  print: (line: string) => void;
  open?: (config: Config) => Promise<Opened | Inward>;
}

/**
 * `sent`: every chat has it. `dead`: one never will. `later`: one has not taken it yet, a gateway goes on trying. `seen`: it was told before.
 * `unheard`: no chat wants it. `handed_in`: this machine could tell no chat itself, and does not wait.
 */
export type Outcome = "sent" | "dead" | "later" | "seen" | "unheard" | "handed_in";

/** What became of a report, and who sends its posts. */
export interface Notified {
  outcome: Outcome;
  sender: "gateway" | "here" | "nobody";
  posts: PostRow[];
}

export interface Patience {
  /** How long to wait for the receipts. */
  ms?: number;
  /** How long to wait at a destination that takes nothing for now; its sender looks every 5 s whether somebody mended it. */
  closed_ms?: number;
  sleep?: Sleep;
}

const firstLook = 20;
const longestLook = 250;
const longestPause = 60_000;

/**
 * Hands a report in and waits until every post about it is sent, dead or in the slow lane, up to a minute. A gateway sends; where none is
 * alive, or the one that was dies meanwhile, this process does. Throws `unavailable` or `later` where the store cannot be had.
 */
export async function notify(errand: Errand, patience: Patience = {}): Promise<Notified> {
  const { ms = 60_000, closed_ms = 6_000, sleep = nap } = patience;
  const notifier = new Notifier(errand, closed_ms);
  const end = performance.now() + ms;
  try {
    for (let wait = firstLook; ; wait = Math.min(longestLook, wait * 2)) {
      const isLast = performance.now() >= end;
      try {
        const notified = await notifier.look(isLast);
        if (notified) return notified;
      } catch (fault) {
        if (isLast || !(await notifier.survives(fault))) throw fault;
      }
      await sleep(wait);
    }
  } finally {
    await notifier.close();
  }
}

/** Whether this machine could tell a chat that the report is for: it knows one, and has the files of its secrets. */
function knowsChats({ chats, secrets_dir }: Pick<Config, "chats" | "secrets_dir">, only?: string[]): boolean {
  return Object.entries(chats)
    .filter(([name]) => only?.includes(name) ?? true)
    .some(([, chat]) => secretsOf(chat).every(({ secret }) => existsSync(join(secrets_dir, secret.name))));
}

class Notifier {
  readonly #errand: Errand;
  readonly #report: Report;
  readonly #subject: string;
  readonly #destinations: Destinations;
  readonly #mask: (text: string) => string;
  #opened: Opened | Inward | null = null;
  #sending: { stop(): Promise<void> } | null = null;
  #said: "new" | "seen" | null = null;
  #asked = 0;
  readonly #closedEnd: number;

  constructor(errand: Errand, closed_ms: number) {
    const masks = masksOf(errand.vault);
    this.#errand = errand;
    this.#closedEnd = performance.now() + closed_ms;
    this.#mask = (text) => maskPatterns(masks.text(text));
    this.#report = maskDeep({ ...errand.report }, secretMask(errand.vault.values()));
    this.#subject = subjectOf(this.#report);
    this.#destinations = destinationsFrom(errand.config, { mask: this.#mask, keyId: errand.vault.keyId });
  }

  /** Does what is next; answers once it is over, at the last look in any case. */
  async look(isLast: boolean): Promise<Notified | null> {
    const { open = openForReport, config } = this.#errand;
    const opened = (this.#opened ??= await open(config));
    const said = (this.#said ??= await this.#handIn(opened.store));
    if ("inward" in opened) return { outcome: said === "new" ? "handed_in" : "seen", sender: "gateway", posts: [] };
    if (!knowsChats(config, this.#report.chats)) return await this.#handedIn(opened, said);
    const posts = await this.#posts(opened);
    if (isLast || posts?.every(isOver)) return this.#notified(opened, posts ?? null);
    if (this.#sending) return null;
    const isAttended = await hasGateway(opened);
    if (isAttended && said === "seen") return this.#notified(opened, posts ?? null);
    if (!isAttended && opened.own) this.#sending = this.#send(opened.own);
    return null;
  }

  /** Whether another look may go better: another command has the file for a moment, or its owner has just gone. */
  async survives(fault: unknown): Promise<boolean> {
    if (!(fault instanceof MeshError)) return false;
    const passes =
      fault.kind === "later" || (fault.kind === "unavailable" && (this.#said !== null || this.#asked === 1));
    if (passes && !this.#sending) await this.#closeStore();
    return passes;
  }

  async close(): Promise<void> {
    await this.#sending?.stop();
    await this.#closeStore();
  }

  async #handIn(store: NodeStore): Promise<"new" | "seen"> {
    this.#asked++;
    const said = await store.report(this.#report);
    // An answer that was lost is no duplicate.
    return this.#asked === 1 ? said : "new";
  }

  /** The posts of this report; `over` where nothing more will come of one soon. Undefined while there are none yet. */
  async #posts({ store }: Opened): Promise<Expected[] | undefined> {
    const posts = (await store.posts(this.#subject))?.filter(({ state }) => state === this.#report.state);
    const waits = posts?.some(({ status }) => status === "waiting") && performance.now() >= this.#closedEnd;
    const closed = new Map((waits ? (await store.destinations()).filter(isClosed) : []).map((row) => [row.name, row]));
    return posts?.map((post) => {
      const gate = closed.get(gateOf(post.destination));
      const { max_attempts } = this.#destinations.get(post.destination)?.policy ?? defaultRetry;
      const over =
        post.status === "waiting" ? gate !== undefined || post.tries >= max_attempts : post.status !== "sending";
      return { over, post: { ...post, why: post.why ?? gate?.why ?? null } };
    });
  }

  async #handedIn(opened: Opened, said: "new" | "seen"): Promise<Notified> {
    return { outcome: said === "new" ? "handed_in" : "seen", sender: await senderOf(opened), posts: [] };
  }

  async #notified(opened: Opened, awaited: Expected[] | null): Promise<Notified> {
    const posts = awaited?.map(({ post }) => post) ?? null;
    const outcome = this.#said === "seen" && !this.#sending ? "seen" : outcomeOf(posts);
    return { outcome, sender: this.#sending ? "here" : await senderOf(opened), posts: posts ?? [] };
  }

  /** Announces what waits for it, and sends to the chats that this report is for; comments are left to a gateway. */
  #send(store: Store): { stop(): Promise<void> } {
    const { config, print } = this.#errand;
    const mask = this.#mask;
    const destinations = this.#destinations;
    const only = this.#report.chats?.map((chat) => `chat:${chat}`);
    const told = [...destinations].filter(([name]) => only?.includes(gateOf(name)) ?? name.startsWith("chat:"));
    const announcer = startAnnouncer({ store, destinations, mask, adminUrl: config.gateway.admin.url ?? null });
    const sender = startSender({ store, destinations: new Map(told), mask, print });
    return { stop: async () => void (await Promise.all([announcer.stop(), sender.stop()])) };
  }

  async #closeStore(): Promise<void> {
    const opened = this.#opened;
    this.#opened = null;
    await opened?.store.close();
  }
}

/** A post that is waited for. */
interface Expected {
  post: PostRow;
  over: boolean;
}

const isOver = ({ over }: Expected): boolean => over;

/** Whether a destination takes nothing for longer than anybody waits here. */
const isClosed = ({ circuit, paused_until }: DestinationRow): boolean =>
  circuit === "open" || (paused_until ?? 0) > Date.now() + longestPause;

function outcomeOf(posts: PostRow[] | null): Outcome {
  if (posts === null) return "later";
  if (posts.length === 0) return "unheard";
  if (posts.some(({ status }) => status === "dead")) return "dead";
  return posts.every(({ status }) => status === "sent" || status === "replaced") ? "sent" : "later";
}

/** Whether a gateway will send: the process that owns the file, or one that beat lately and is no standby. */
async function hasGateway({ own }: Opened): Promise<boolean> {
  if (own === null) return true;
  if (own.about.kind === "sqlite") return false;
  return await hasSender(own);
}

const senderOf = async (opened: Opened): Promise<"gateway" | "nobody"> =>
  (await hasGateway(opened)) ? "gateway" : "nobody";
