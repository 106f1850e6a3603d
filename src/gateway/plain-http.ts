import { log } from "../log.ts";
import { judgeHeaders, type Locks } from "./credentials.ts";
import type { Delivery } from "./delivery.ts";
import { type Refusal, refused } from "./outcome.ts";

/** What an answer says to whoever came over plain http. Neither it nor the status tells whether the token was right. */
export const plainHttp = {
  error: "plain http",
  hint: "send it over https; a token that came this way has crossed the network in the clear: rotate it",
};

/** Refuses a delivery that reached a trusted proxy over plain http; a right token in it is named in the log by its key id, for it must be rotated. */
export function refusePlainHttp(delivery: Delivery, locks: Locks): Refusal {
  const { door, request, correlation_id, seen_at } = delivery;
  const credentials = judgeHeaders(door, request.headers, locks, seen_at);
  const key = "wrong" in credentials ? null : credentials.key;
  if (key !== null) {
    log.error("token crossed the network in the clear", { door: door.name, key_id: key, correlation_id });
  }
  return refused(403, plainHttp.error, { hint: plainHttp.hint, cause: "the client came over plain http", key });
}
