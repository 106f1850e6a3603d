import type { Config } from "../config.ts";
import { beatEvery } from "../core/beat.ts";
import type { Json } from "../core/json.ts";
import { longestTimer } from "../core/units.ts";
import { log } from "../log.ts";
import type { Store } from "../stores/store.ts";
import { version } from "../version.ts";

export interface ReaperOptions {
  store: Pick<Store, "about" | "reap" | "sweep" | "beat">;
  config: Pick<Config, "lease"> & { node: Pick<Config["node"], "id"> };
  /** Whether nodes come through this gateway. */
  takesNodes?: boolean;
  /** What this gateway says of itself beside its version. */
  facts?: () => Record<string, Json>;
}

export interface Reaper {
  /** Says now what there is to say of this gateway, beside the usual beats. */
  beat(): void;
  stop(): Promise<void>;
}

const longestReap = 5000;
const sweepEvery = 600_000;

/** Takes back leases that ran out, deletes what is old, and shows that this gateway lives, until stopped. Never throws. */
export function startReaper({ store, config, takesNodes = false, facts = () => ({}) }: ReaperOptions): Reaper {
  // Nodes that come through a gateway could not renew while it was gone: they get one ttl to come back before their leases
  // count. Redis waits by itself, for another gateway may have been there, and direct nodes take back what ran out.
  const grace = store.about.kind === "sqlite" ? config.lease.ttl : 0;
  const reapEvery = Math.min(longestReap, config.lease.ttl / 3);
  const gateway = gatewayId(config);
  const loops = [
    every(reapEvery, "leases not reaped", grace, async () => {
      const lost = await store.reap(takesNodes ? 3 * reapEvery : undefined);
      if (lost > 0) log.warn("leases reaped", { count: lost });
    }),
    every(sweepEvery, "old runs not swept", sweepEvery, async () => {
      const gone = await store.sweep();
      if (gone > 0) log.info("old runs swept", { count: gone });
    }),
  ];
  const beats = every(beatEvery, "heartbeat not written", 0, () => store.beat(gateway, { version, ...facts() }));
  return {
    beat: () => beats.soon(),
    async stop() {
      await Promise.all([...loops, beats].map((loop) => loop.stop()));
      // Whoever asks which gateways live need not wait until this one has been silent for long enough.
      const gone = store.beat(gateway, { version, ...facts(), sends: false, stopped: true });
      await Promise.race([gone.catch(() => {}), Bun.sleep(patience)]);
    },
  };
}

/** What this process is called among the gateways of its store. */
export const gatewayId = ({ node }: { node: { id: string } }): string => `${node.id}/${process.pid}`;

/** Does one thing again and again, `ms` after it was last done; a failure is said once until it works again. */
export function every(
  ms: number,
  failed: string,
  firstAfter: number,
  act: () => Promise<void>,
): { soon(): void; stop(): Promise<void> } {
  let failing = false;
  let acting: Promise<void> = Promise.resolve();
  let stopped = false;
  let timer = setTimeout(turn, Math.min(firstAfter, longestTimer));

  function turn(): void {
    acting = once().then(() => {
      if (!stopped) timer = setTimeout(turn, Math.min(ms, longestTimer));
    });
  }

  async function once(): Promise<void> {
    try {
      await act();
      failing = false;
    } catch (error) {
      if (!failing) log.warn(failed, { why: error });
      failing = true;
    }
  }

  return {
    /** Does it once more, when what is under way is done. */
    soon() {
      if (!stopped) acting = acting.then(once);
    },
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await Promise.race([acting, Bun.sleep(patience)]);
    },
  };
}

const patience = 2000;
