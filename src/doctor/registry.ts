import type { Check } from "./check.ts";
import { clock } from "./clock.ts";
import { configuration } from "./configuration.ts";
import { credentials } from "./credentials.ts";
import { destinations } from "./destinations.ts";
import { disk } from "./disk.ts";
import { door } from "./door.ts";
import { gateways } from "./gateways.ts";
import { lanes } from "./lanes.ts";
import { runs } from "./runs.ts";
import { secrets } from "./secrets.ts";
import { senders } from "./senders.ts";
import { spool } from "./spool.ts";
import { store } from "./store.ts";

/** Every check there is. To add one: a file beside this one, a line here, a row in docs/doctor.md. */
export const checks: readonly Check[] = [
  configuration,
  secrets,
  store,
  disk,
  door,
  clock,
  credentials,
  gateways,
  spool,
  senders,
  destinations,
  lanes,
  runs,
];
