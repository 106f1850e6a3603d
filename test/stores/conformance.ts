import { describe } from "bun:test";
import type { Store } from "../../src/stores/store.ts";
import { accepting } from "./conformance/accept.ts";
import { alerting } from "./conformance/alerts.ts";
import { announcing } from "./conformance/events.ts";
import { closing } from "./conformance/circuits.ts";
import { debouncing } from "./conformance/debounce.ts";
import { finishing } from "./conformance/finish.ts";
import type { Given, NodeSide, Open } from "./conformance/given.ts";
import { laneKeeping } from "./conformance/lanes.ts";
import { leasing } from "./conformance/lease.ts";
import { logging } from "./conformance/log.ts";
import { followingTheModel } from "./conformance/model.ts";
import { operating } from "./conformance/operate.ts";
import { posting } from "./conformance/posts.ts";
import { renewing } from "./conformance/renew.ts";

// What every store must do, whatever it is made of. No clock is faked, for a Redis has its own: leases of 0 ms, claims of
// 0 ms and `seen_at` take its place. A dropped reply is a verb called twice.

/** Runs the whole suite against the stores that `open` opens, each fresh and empty. */
export function conformance(name: string, open: () => Promise<{ store: Store; close(): Promise<void> }>): void {
  const given: Open = async () => {
    const { store, close } = await open();
    return { store, node: store, close };
  };
  describe(name, () => {
    everyNodeVerb(given);
    announcing(given);
    posting(given);
    closing(given);
    alerting(given);
    followingTheModel(given);
  });
}

/** Runs what a node or an operator can ask, asked of `node`, against the owner's `store`. */
export function nodeConformance(
  name: string,
  open: () => Promise<{ store: Store; node: NodeSide; close(): Promise<void> }>,
): void {
  describe(name, () => everyNodeVerb(open satisfies () => Promise<Given>));
}

function everyNodeVerb(open: Open): void {
  accepting(open);
  debouncing(open);
  leasing(open);
  renewing(open);
  logging(open);
  finishing(open);
  operating(open);
  laneKeeping(open);
}
