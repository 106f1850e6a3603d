import type { Check } from "./check.ts";
import { clock } from "./clock.ts";
import { configuration } from "./configuration.ts";
import { credentials } from "./credentials.ts";
import { destinations } from "./destinations.ts";
import { disk } from "./disk.ts";
import { door } from "./door.ts";
import { followed } from "./followed.ts";
import { duplicates } from "./duplicates.ts";
import { gateways } from "./gateways.ts";
import { lanes } from "./lanes.ts";
import { nodeClock } from "./node-clock.ts";
import { nodeDisk } from "./node-disk.ts";
import { nodeKeychain } from "./node-keychain.ts";
import { nodeLabels } from "./node-labels.ts";
import { nodeNetwork } from "./node-network.ts";
import { nodePool } from "./node-pool.ts";
import { nodeScripts } from "./node-scripts.ts";
import { nodeSession } from "./node-session.ts";
import { nodeSleep } from "./node-sleep.ts";
import { nodeTalk } from "./node-talk.ts";
import { redis } from "./redis.ts";
import { rotation } from "./rotation.ts";
import { runs } from "./runs.ts";
import { secrets } from "./secrets.ts";
import { senders } from "./senders.ts";
import { spool } from "./spool.ts";
import { store } from "./store.ts";
import { unproven } from "./unproven.ts";

/** Every check there is. To add one: a file beside this one, a line here, a row in docs/doctor.md. */
export const checks: readonly Check[] = [
  configuration,
  secrets,
  rotation,
  store,
  redis,
  disk,
  door,
  clock,
  credentials,
  gateways,
  followed,
  spool,
  senders,
  destinations,
  unproven,
  duplicates,
  lanes,
  runs,
  nodePool,
  nodeScripts,
  nodeTalk,
  nodeLabels,
  nodeClock,
  nodeDisk,
  nodeSleep,
  nodeSession,
  nodeKeychain,
  nodeNetwork,
];
