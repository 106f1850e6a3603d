import type { z } from "zod";
import { MeshError } from "../../core/error.ts";
import type { Answer } from "../../http.ts";
import type { Wait } from "../store.ts";
import { errorSaid } from "./protocol.ts";

/** One request to whoever answers for the store. */
export interface Request {
  /** `node/lease`, with its query. */
  verb: string;
  type: string;
  body: string | Uint8Array;
  /** How long the other side may wait before it answers; the request takes that long and then some. */
  wait_ms: number;
  signal?: AbortSignal;
}

/** The way to another process that answers for the store. */
export interface Line {
  /** Who is at its other end, as errors call it. */
  who: string;
  /** Answers whatever status came back; throws `unavailable` when none came. */
  send(request: Request): Promise<Answer>;
  /** Says what a status means that no verb answers with, or null where it is nothing special. */
  refusal(status: number): MeshError | null;
}

export interface Asking {
  /** Asks with JSON and answers what was said; throws what the other side threw, with its kind, message and hint. */
  ask<T>(verb: string, body: unknown, said: z.ZodType<T>, wait?: Wait): Promise<T>;
  /** Sends bytes instead. */
  give<T>(verb: string, bytes: Uint8Array, said: z.ZodType<T>): Promise<T>;
  /** Asks with JSON for what is not. */
  fetchBytes(verb: string, body: unknown): Promise<Answer>;
}

/** Speaks the protocol of nodes and operators over a line. */
export function asking(line: Line): Asking {
  async function said<T>(request: Request, schema: z.ZodType<T>): Promise<T> {
    const answer = await line.send(request);
    const words = read(answer.bytes);
    // A verb about another node's run is refused, and still says what it means for the asker: stale.
    const means = answer.status === 200 || answer.status === 403 ? schema.safeParse(words) : undefined;
    if (means?.success) return means.data;
    if (answer.status !== 200) throw refusalIn(answer.status, words);
    throw new MeshError("unavailable", `${line.who} answered in words this version does not know`, {
      hint: "run the same meshmac version in every process",
      cause: means?.error,
    });
  }

  function refusalIn(status: number, words: unknown): MeshError {
    const refused = errorSaid.safeParse(words);
    if (!refused.success)
      return line.refusal(status) ?? new MeshError("unavailable", `${line.who} answered with status ${status}`);
    const { kind, error, hint } = refused.data;
    return new MeshError(kind, error, hint === undefined ? {} : { hint });
  }

  return {
    ask: (verb, body, schema, wait) => said(json(verb, body, wait), schema),
    give: (verb, bytes, schema) => said({ verb, type: "application/octet-stream", body: bytes, wait_ms: 0 }, schema),
    async fetchBytes(verb, body) {
      const answer = await line.send(json(verb, body));
      if (answer.status !== 200) throw refusalIn(answer.status, read(answer.bytes));
      return answer;
    },
  };
}

/** The other end waits no longer than this; who wants to wait longer asks again. */
export const waitMs = (wait: Wait | undefined): number => Math.min(Math.max(0, Math.floor(wait?.ms ?? 0)), 60_000);

function read(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}

const json = (verb: string, body: unknown, wait?: Wait): Request => ({
  verb,
  type: "application/json",
  body: JSON.stringify(body),
  wait_ms: waitMs(wait),
  ...(wait?.signal && { signal: wait.signal }),
});
