import { type Recorded, requestOf } from "../../fixtures/recorded.ts";
import type { Case } from "./case.ts";
import { canaryHeader } from "../core/canary.ts";
import type { Target } from "./target.ts";

export interface Replay extends Recorded {
  name: string;
}

/** Replays recorded exchanges at a door, as canaries unless the gateway is a throw-away, and compares with what was answered then. */
export function recordedCases(target: Target, exchanges: readonly Replay[], as: "canaries" | "deliveries"): Case[] {
  const { name: source, url, verify, secret } = target;
  return exchanges.map((exchange) => {
    const { status, outcome, reason } = exchange.answer;
    return {
      suite: "recorded",
      source,
      name: exchange.name,
      expected: { status: [status], outcome: [outcome], reason },
      ask: (send) => {
        const id = `probe-${crypto.randomUUID()}`;
        const { headers, body } = requestOf(exchange, { verify, secret, id, now: Date.now() });
        const mark = as === "canaries" ? { [canaryHeader]: "1" } : {};
        return send({ method: "POST", url, headers: { ...headers, ...mark }, body });
      },
    };
  });
}
