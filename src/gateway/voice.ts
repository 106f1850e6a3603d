import type { Config } from "../config.ts";
import type { Vault } from "../secrets.ts";
import type { Store } from "../stores/store.ts";
import { startAnnouncer } from "./announce.ts";
import { type Destinations, destinationsFrom } from "./destinations.ts";
import { type PagerAt, pagersFrom } from "./escalate-pagers.ts";
import { startEscalation } from "./escalate.ts";
import { startHeartbeat } from "./heartbeat.ts";
import { renewed } from "./renewed.ts";
import { startSender } from "./send.ts";

export interface VoiceOptions {
  config: Config;
  vault: Pick<Vault, "sendable" | "keyId" | "earlier">;
  store: Store;
  /** Hides secrets in a text. */
  mask: (text: string) => string;
  /** Where a `console` chat prints. */
  print: (line: string) => void;
}

/** All that a gateway says outwards: states to chats and trackers, faults to pagers, that it lives to its heartbeat. */
export interface Voice {
  /** How many posts are being sent now. */
  underWay(): number;
  /** What people must know of paging itself. */
  notes(): string[];
  /** Makes the destinations of another configuration, and answers what puts them in place; throws, and changes nothing, where they cannot be made. */
  ready(config: Config): () => void;
  /** Says nothing more; resolves when what is being sent has come to its end. */
  stop(): Promise<void>;
}

/** Starts everything that a gateway says. A standby takes deliveries; what is to be said of them waits in the store for a gateway that sends. */
export function startVoice({ config: first, vault, store, mask, print }: VoiceOptions): Voice {
  const { sends } = first.gateway;
  const start = phrased(first);
  const announcer = sends ? startAnnouncer({ store, ...start.telling }) : null;
  const sender = sends ? startSender({ store, destinations: start.destinations, mask, print }) : null;
  const escalation = startEscalation({ store, standby: !sends, mask, print, ...start.plan });
  const heartbeat = renewed(
    first,
    ({ heartbeat: said }) => said,
    ({ heartbeat: said }) => startHeartbeat({ heartbeat: said, store }),
  );

  /** What the loops are told of a configuration. */
  function phrased(config: Config) {
    const destinations: Destinations = destinationsFrom(config, { mask, keyId: keyIds });
    const pagers: PagerAt[] = pagersFrom(config, (name) => vault.keyId(name), vault.earlier);
    const adminUrl = config.gateway.admin.url ?? null;
    return {
      destinations,
      telling: { destinations, mask, adminUrl },
      plan: { config, pagers, destinations, adminUrl },
    };
  }

  // A staged value may be the one that mends a destination: then its circuit is probed, as after any change.
  function keyIds(name: string): string {
    return vault
      .sendable(name)
      .map(({ keyId }) => keyId)
      .join();
  }

  return {
    underWay: () => sender?.underWay() ?? 0,
    notes: () => escalation.notes(),
    ready(config) {
      const { destinations, telling, plan } = phrased(config);
      return () => {
        // The sender first: a post of a destination that is new is made by who tells, and sent by who knows it.
        sender?.use(destinations);
        announcer?.use(telling);
        escalation.use(plan);
        heartbeat.use(config);
      };
    },
    async stop() {
      await Promise.all([announcer, sender, escalation, heartbeat].map((loop) => loop?.stop()));
    },
  };
}
