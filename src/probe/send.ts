import { MeshError } from "../core/error.ts";
import { objectIn, text } from "../core/json.ts";
import { call, type Way } from "../http.ts";
import { type Got, type Knock, nothing } from "./case.ts";

type Sleep = (ms: number) => Promise<void>;

const patience = 15_000;
const mostTries = 4;
const longestNap = 5000;

/** Sends a knock, by the way given, and reads the answer; waits where the gateway says that this address made too many mistakes, for ours are on purpose. Never throws. */
export async function send(knock: Knock, sleep: Sleep, way?: Way): Promise<Got> {
  for (let tries = 1; ; tries++) {
    const { got, wait } = await once(knock, way);
    if (got.status !== 429 || tries === mostTries) return got;
    await sleep(Math.min(wait, longestNap));
  }
}

async function once({ method, url, headers, body }: Knock, way?: Way): Promise<{ got: Got; wait: number }> {
  try {
    const answer = await call({
      method,
      url,
      headers,
      ...(body !== null && { body }),
      ...(way && { way }),
      timeout_ms: patience,
    });
    const got = gotOf(answer.status, answer.headers, new TextDecoder().decode(answer.bytes));
    return { got, wait: Number(answer.headers.get("retry-after") ?? 1) * 1000 || 1000 };
  } catch (error) {
    if (!(error instanceof MeshError)) throw error;
    return { got: { ...nothing, fault: error.message }, wait: 0 };
  }
}

/** Reads what a door answered. */
export function gotOf(status: number, headers: Headers, body: string): Got {
  const said = objectIn(body);
  const error = text(said.error) || null;
  const correlation_id = headers.get("x-meshmac-correlation-id");
  return {
    status,
    outcome: error === null ? text(said.status) || null : "refused",
    reason: error ?? (text(said.reason) || null),
    correlation_id,
    ours: correlation_id !== null,
    fault: null,
  };
}
