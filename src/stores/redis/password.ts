import { Cluster, type Redis } from "ioredis";
import type { Live, Secret } from "../../core/secret.ts";

type Client = Redis | Cluster;

// Every refusal stands in Redis' ACL LOG.
const restAfterRefusal = 5000;

/** The password of one client. For the time of a rotation there are two: the new one is tried first, and where Redis refuses it, the other. */
export class Password {
  readonly #secret: Secret;
  #turn = 0;
  #tried: Live | null = null;
  #proven: string | null = null;
  #notBefore = 0;

  constructor(secret: Secret) {
    this.#secret = secret;
  }

  /** The one to try now. */
  text(): string {
    const lives = this.#secret.lives();
    this.#tried = lives[this.#turn] ?? lives[0] ?? null;
    return this.#tried?.text ?? "";
  }

  /** Whether one was refused and there is another to try. */
  get hasAnother(): boolean {
    return this.#turn > 0;
  }

  /** Follows a client: what is tried when it connects anew, and what came of it. */
  follow(client: Redis): void {
    client.on("error", (error: unknown) => {
      if (!(error instanceof Error) || !error.message.startsWith("WRONGPASS")) return;
      this.#tried?.used(true);
      this.#turn = (this.#turn + 1) % Math.max(1, this.#secret.lives().length);
    });
    client.on("reconnecting", () => void (client.options.password = this.text()));
    client.on("ready", () => {
      this.#tried?.used(false);
      this.#proven = this.#tried?.keyId ?? null;
      this.#turn = 0;
    });
  }

  /**
   * Shows a password that was staged since the connection was made to Redis, over that connection, so that it is known to be
   * right before the next connection needs it. One that is refused changes nothing: the connection stays what it was.
   */
  async prove(client: Client, user: string | undefined): Promise<void> {
    const first = this.#next();
    if (!first || first.keyId === this.#proven || performance.now() < this.#notBefore) return;
    const nodes = client instanceof Cluster ? client.nodes("master") : [client];
    try {
      for (const node of nodes) await (user === undefined ? node.auth(first.text) : node.auth(user, first.text));
      first.used(false);
      this.#proven = first.keyId;
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith("WRONGPASS")) return;
      first.used(true);
      this.#notBefore = performance.now() + restAfterRefusal;
    }
  }

  #next(): Live | null {
    try {
      return this.#secret.lives()[0] ?? null;
    } catch {
      return null; // it cannot be read now; the vault says so
    }
  }
}
