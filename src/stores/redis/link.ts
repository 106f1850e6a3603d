import { Cluster, type Redis } from "ioredis";
import { MeshError } from "../../core/error.ts";
import type { Secret } from "../../core/secret.ts";
import { log } from "../../log.ts";
import { Deadline } from "../deadline.ts";
import { type Client, openClient, openCluster, patience_ms, type RedisUrl, settled } from "./clients.ts";
import { demandDurable, durabilityInWords, readInfo } from "./durability.ts";
import { failure, silent } from "./failure.ts";
import { Password } from "./password.ts";
import { scripts, type Verb } from "./scripts.ts";

export type Reply = string | number | null | Reply[];

export interface LinkOptions {
  url: RedisUrl;
  pool: string;
  password?: Secret | undefined;
  allowVolatile?: boolean | undefined;
}

/** How long an unfit Redis is taken at its word before it is asked again. */
const unfit_ms = 2000;
/** How often it is looked whether another password was staged. */
const provePassword_ms = 1000;

/**
 * The way to one Redis. It is inspected on every new connection, before anything is entrusted to it: nothing is acknowledged
 * that a restart of Redis would lose. While Redis is away every call fails fast, and the link goes on trying in the background.
 */
export class Link {
  readonly place: string;
  readonly prefix: string;
  durability = "not reached yet";
  readonly #options: LinkOptions;
  #client: Client;
  /** The inspection of the present connection; null while there is none. */
  #inspection: Promise<void> | null = null;
  #refused: MeshError | null = null;
  /** What was logged of the present outage: it is told once. */
  #away = false;
  #unfit: string | null = null;
  #closed = false;
  readonly #patience = new Deadline(patience_ms);
  readonly #password: Password | undefined;
  readonly #proving: NodeJS.Timeout | undefined;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.place = options.url.hosts.map(({ host, port }) => `${host}:${port}`).join(",");
    this.prefix = `{${options.pool}}:`;
    this.#password = options.password && new Password(options.password);
    this.#client = openClient(options.url, "asks", this.#password);
    this.#watch(this.#client);
    if (!this.#password) return;
    this.#proving = setInterval(() => this.#provePassword(), provePassword_ms);
    this.#proving.unref();
  }

  /** Waits a little for the first connection. Throws when Redis is there and unfit: `config`, or `permission` for a wrong password. */
  async ready(): Promise<void> {
    do await settled(this.#client, patience_ms);
    while (this.#password?.hasAnother && this.#client.status !== "ready");
    if (this.#refused) throw this.#refused;
    await this.#inspection?.catch((error: unknown) => {
      if (error instanceof MeshError && error.kind === "config") throw error;
    });
  }

  /** Runs one verb's script as one atomic step. Throws MeshError, within about 3 s, whatever Redis does. */
  async call(verb: Verb, ask: object, more?: string | Buffer): Promise<Reply> {
    const inspection = this.#demandConnection();
    const args = [this.prefix, json(ask), ...(more === undefined ? [] : [more])];
    const reply = (await this.#within(inspection.then(() => this.#run(verb, args)))) as Reply;
    // The command may have been sent again over a newer connection: what it reached must be durable as well.
    if (this.#inspection !== inspection) await this.#within(this.#demandConnection());
    return reply;
  }

  /** Like `call`, for a verb that answers a list of numbers and of bytes that need not be text. */
  async callRaw(verb: Verb, ask: object): Promise<unknown[]> {
    const inspection = this.#demandConnection();
    const answer = await this.#within(inspection.then(() => this.#run(verb, [this.prefix, json(ask)], true)));
    if (this.#inspection !== inspection) await this.#within(this.#demandConnection());
    return Array.isArray(answer) ? answer : [];
  }

  /** Reads the newest entries of a stream, newest first; the value of each entry's one field. */
  async newest(name: string, before: string, count: number): Promise<[id: string, value: string][]> {
    const inspection = this.#demandConnection();
    const read = async () => await this.#client.xrevrange(this.prefix + name, before, "-", "COUNT", count);
    const entries = await this.#within(inspection.then(read));
    return entries.map(([id, fields]) => [id, fields[1] ?? ""]);
  }

  /** Opens a connection of the same kind that may block. */
  listener(): Client {
    const { url, password } = this.#options;
    const open = this.#client instanceof Cluster ? openCluster : openClient;
    const client = open(url, "listens", password && new Password(password));
    client.on("error", () => {}); // the link itself tells of outages
    return client;
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#proving);
    this.#inspection = null;
    this.#client.disconnect();
  }

  #demandConnection(): Promise<void> {
    if (this.#inspection) return this.#inspection;
    throw this.#refused ?? silent(this.place);
  }

  async #run(verb: Verb, args: (string | Buffer)[], raw = false): Promise<unknown> {
    const { sha, lua } = scripts[verb];
    const run = async (by: "evalsha" | "eval", what: string): Promise<unknown> =>
      await this.#client[raw ? (`${by}Buffer` as const) : by](what, 1, this.prefix, ...args);
    try {
      return await run("evalsha", sha);
    } catch (error) {
      // Redis was restarted, or somebody flushed its scripts.
      if (error instanceof Error && error.message.startsWith("NOSCRIPT")) return await run("eval", lua);
      throw error;
    }
  }

  async #within<T>(answer: Promise<T>): Promise<T> {
    try {
      return await this.#patience.within(answer, () => silent(this.place));
    } catch (error) {
      throw this.#refused ?? failure(error, this.place);
    }
  }

  #watch(client: Client): void {
    client.on("ready", () => {
      if (client === this.#client) this.#inspect(client);
    });
    client.on("close", () => {
      if (client !== this.#client || this.#closed) return;
      this.#inspection = null;
      this.#tellAway();
    });
    client.on("error", (error: unknown) => {
      const why = failure(error, this.place);
      if (why.kind === "permission" && !this.#password?.hasAnother) this.#refused = why;
    });
  }

  #provePassword(): void {
    if (this.#inspection && !this.#closed) void this.#password?.prove(this.#client, this.#options.url.user);
  }

  #inspect(client: Client): void {
    this.#refused = null;
    const inspection = this.#demandFit(client).catch((error: unknown) => {
      const why = failure(error, this.place);
      this.#tellUnfit(why);
      const again = setTimeout(() => {
        if (this.#inspection === inspection) this.#inspect(client);
      }, unfit_ms);
      again.unref();
      throw why;
    });
    inspection.then(() => this.#tellBack()).catch(() => {});
    this.#inspection = inspection;
  }

  async #demandFit(client: Client): Promise<void> {
    const infos = await Promise.all(mastersOf(client).map(async (node) => readInfo(await node.info())));
    const [first] = infos;
    if (!first) throw silent(this.place); // a cluster of which no master is known yet
    if (!(client instanceof Cluster) && first.cluster_enabled === "1" && (await knowsItsAddress(client)))
      return await this.#joinCluster(client);
    this.durability = durabilityInWords(first, await appendfsync(client));
    if (!this.#options.allowVolatile) for (const info of infos) demandDurable(info, this.place);
  }

  async #joinCluster(single: Client): Promise<void> {
    const cluster = openCluster(this.#options.url, "asks", this.#password);
    this.#client = cluster;
    this.#watch(cluster);
    single.disconnect();
    await settled(cluster, patience_ms);
    await this.#demandFit(cluster);
  }

  #tellAway(): void {
    if (this.#away) return;
    this.#away = true;
    log.warn("store lost", { store: this.place });
  }

  #tellUnfit({ message: why }: MeshError): void {
    if (this.#unfit !== why) log.warn("store refused", { store: this.place, why });
    this.#unfit = why;
  }

  #tellBack(): void {
    if (!this.#away && this.#unfit === null) return;
    this.#away = false;
    this.#unfit = null;
    log.info("store reached again", { store: this.place, durability: this.durability });
  }
}

const mastersOf = (client: Client) => (client instanceof Cluster ? client.nodes("master") : [client]);

// A cluster of one node that never met another does not know its own address, and no client can follow it. It needs no following.
async function knowsItsAddress(client: Redis): Promise<boolean> {
  const slots: unknown = await client.cluster("SLOTS");
  const hosts = (Array.isArray(slots) ? slots : []).map((range: unknown) =>
    String(Array.isArray(range) ? range[2] : ""),
  );
  return hosts.length > 0 && hosts.every((host) => !host.startsWith(","));
}

async function appendfsync(client: Client): Promise<string | null> {
  try {
    const [node = client] = mastersOf(client);
    const answer: unknown = await node.call("CONFIG", "GET", "appendfsync");
    return Array.isArray(answer) ? String(answer[1]) : null;
  } catch {
    return null; // an access list may keep CONFIG to administrators
  }
}

/** Writes JSON that Redis' cjson reads: it refuses the escape of half a surrogate pair, so that becomes U+FFFD. */
function json(ask: object): string {
  const text = JSON.stringify(ask);
  return /\\ud[89a-f]/.test(text)
    ? JSON.stringify(ask, (_, value: unknown) => (typeof value === "string" ? value.toWellFormed() : value))
    : text;
}
