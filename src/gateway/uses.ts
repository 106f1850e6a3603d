import { type Config, secretsOf } from "../config.ts";
import type { Use } from "../core/records.ts";
import { removeExpired } from "../rotation/expire.ts";
import type { Vault } from "../secrets.ts";
import type { Store } from "../stores/store.ts";
import { every, gatewayId } from "./reap.ts";

export interface UsesOptions {
  store: Pick<Store, "tally">;
  vault: Pick<Vault, "uses" | "watch" | "release">;
  config: Config;
  /** What is used beside the secrets of the vault: the certificate. */
  more?: () => Use[];
}

const flushEvery = 1000;
// Who wants to retire a value asks how long ago each gateway has said anything; nothing to say is said too.
const sayAgainAfter = 5000;
const sweepEvery = 60_000;

export interface Uses {
  /** Watches what this configuration names, and nothing else, from now on. */
  use(config: Config): void;
  stop(): Promise<void>;
}

/** Writes down, a second after it changed, which secret values this gateway has loaded and how each was used; and deletes values before the last change whose time is over. Never throws. */
export function startUses({ store, vault, more = () => [], ...first }: UsesOptions): Uses {
  let { config } = first;
  const gateway = gatewayId(config);
  watch(vault, config);
  let said = "";
  let saidAt = Number.NEGATIVE_INFINITY;

  async function flush(): Promise<void> {
    const uses = [...vault.uses(), ...more()];
    const now = gist(uses);
    if (now === said && performance.now() - saidAt < sayAgainAfter) return;
    const at = performance.now();
    await store.tally(gateway, uses);
    [said, saidAt] = [now, at];
  }

  const loops = [
    every(flushEvery, "uses of secrets not written", 0, flush),
    every(sweepEvery, "earlier secrets not deleted", sweepEvery, () => removeExpired(config, Date.now())),
  ];
  return {
    use(next) {
      const named = watch(vault, next);
      vault.release(namesIn(config).filter((name) => !named.has(name)));
      config = next;
    },
    async stop() {
      await Promise.all(loops.map((loop) => loop.stop()));
      await Promise.race([flush().catch(() => {}), Bun.sleep(flushEvery)]);
    },
  };
}

const namesIn = (config: Config): string[] => secretsOf(config).map(({ secret }) => secret.name);

/** Watches every secret of a configuration, and answers their names. */
function watch(vault: Pick<Vault, "watch">, config: Config): Set<string> {
  const named = secretsOf(config);
  const namesOf = (inbound: boolean) => named.filter((one) => one.inbound === inbound).map(({ secret }) => secret.name);
  vault.watch(namesOf(false));
  vault.watch(namesOf(true), { inbound: true });
  return new Set(namesIn(config));
}

/** What of it matters when it changes: not the ages. */
const gist = (uses: Use[]): string =>
  JSON.stringify(
    uses.map(({ secret, key_id, role, count, refused, taken }) => [secret, key_id, role, count, refused, taken]),
  );
