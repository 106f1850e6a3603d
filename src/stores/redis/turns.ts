import { MeshError } from "../../core/error.ts";
import { list, text } from "./rows.ts";
import type { Link, Reply } from "./link.ts";

type TurnVerb = "lease" | "renew" | "finish";

interface Asked {
  ask: [verb: TurnVerb, ask: object];
  resolve: (reply: Reply) => void;
  reject: (fault: unknown) => void;
}

/** How many asks go in one request, at most: Redis serves nobody else meanwhile, for about a millisecond. */
const most = 16;

/**
 * Sends what nodes ask in one moment as one request, in its order: what one script reads of lanes and locks serves all of
 * them. Each ask is a step of its own, with its own answer.
 */
export class Turns {
  readonly #link: Link;
  #waiting: Asked[] = [];

  constructor(link: Link) {
    this.#link = link;
  }

  /** Runs one verb. Throws what `Link.call` throws, for all that went with it, or `bug` for this ask alone. */
  take(verb: TurnVerb, ask: object): Promise<Reply> {
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    this.#waiting.push({ ask: [verb, ask], resolve, reject });
    if (this.#waiting.length === 1) setImmediate(() => this.#send());
    return promise;
  }

  #send(): void {
    const all = this.#waiting;
    this.#waiting = [];
    for (let from = 0; from < all.length; from += most) void this.#sendSome(all.slice(from, from + most));
  }

  async #sendSome(asked: Asked[]): Promise<void> {
    try {
      const asks = asked.map(({ ask }) => ask);
      const replies = list(await this.#link.call("turn", asks));
      for (const [i, { ask, resolve, reject }] of asked.entries()) {
        const [fine, said] = list(replies[i]);
        if (fine === 1) resolve(said ?? null);
        else reject(new MeshError("bug", `redis could not ${ask[0]}: ${text(said)}`));
      }
    } catch (fault) {
      for (const { reject } of asked) reject(fault);
    }
  }
}
