import { MeshError } from "../core/error.ts";
import { log } from "../log.ts";
import { longestToken, type Vault } from "../secrets.ts";

/** The folder of the nodes' tokens under `secrets_dir`. */
export const nodeTokens = "nodes";

/** The name of the secret that is a node's token. */
export const nodeToken = (node: string): string => `${nodeTokens}/${node}.token`;

/** The node that a token belongs to, by the token's name. */
export const nodeOf = (name: string): string => name.slice(nodeTokens.length + 1, -".token".length);

/** Says whose token a request shows, or null. Asks every node's token, current and staged, so that time tells nothing. */
export class NodeTokens {
  readonly #vault: Pick<Vault, "accepts" | "tokens">;
  readonly #faulty = new Set<string>();

  constructor(vault: Pick<Vault, "accepts" | "tokens">) {
    this.#vault = vault;
  }

  whose(headers: Headers): string | null {
    const [scheme = "", given = "", ...rest] = (headers.get("authorization") ?? "").split(" ");
    const fits = /^bearer$/i.test(scheme) && given !== "" && rest.length === 0 && given.length <= longestToken;
    const fitting = this.#vault.tokens(nodeTokens).filter((name) => this.#accepts(name, fits ? given : null));
    // A token that was copied for two nodes says of neither who it is.
    return fitting.length === 1 && fitting[0] !== undefined ? nodeOf(fitting[0]) : null;
  }

  /** Says whether a node has a token. */
  has(node: string): boolean {
    return this.#vault.tokens(nodeTokens).includes(nodeToken(node));
  }

  #accepts(name: string, given: string | null): boolean {
    try {
      const is = this.#vault.accepts(name, given) !== null;
      this.#faulty.delete(name);
      return is;
    } catch (fault) {
      if (!(fault instanceof MeshError)) throw fault;
      if (!this.#faulty.has(name)) log.error("node token not usable", { secret: name, why: fault, hint: fault.hint });
      this.#faulty.add(name);
      return false;
    }
  }
}
