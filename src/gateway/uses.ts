import { type Config, secretsOf } from "../config.ts";
import type { Use } from "../core/records.ts";
import { removeExpired } from "../rotation/expire.ts";
import type { Vault } from "../secrets.ts";
import type { Store } from "../stores/store.ts";
import { every, gatewayId } from "./reap.ts";

export interface UsesOptions {
  store: Pick<Store, "tally">;
  vault: Pick<Vault, "uses" | "watch">;
  config: Config;
}

const flushEvery = 1000;
// Who wants to retire a value asks how long ago each gateway has said anything; nothing to say is said too.
const sayAgainAfter = 5000;
const sweepEvery = 60_000;

/** Writes down, a second after it changed, which secret values this gateway has loaded and how each was used; and deletes values before the last change whose time is over. Never throws. */
export function startUses({ store, vault, config }: UsesOptions): { stop(): Promise<void> } {
  const named = secretsOf(config);
  const namesOf = (inbound: boolean) => named.filter((one) => one.inbound === inbound).map(({ secret }) => secret.name);
  vault.watch(namesOf(false));
  vault.watch(namesOf(true), { inbound: true });
  const gateway = gatewayId(config);
  let said = "";
  let saidAt = Number.NEGATIVE_INFINITY;

  async function flush(): Promise<void> {
    const uses = vault.uses();
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
    async stop() {
      await Promise.all(loops.map((loop) => loop.stop()));
      await Promise.race([flush().catch(() => {}), Bun.sleep(flushEvery)]);
    },
  };
}

/** What of it matters when it changes: not the ages. */
const gist = (uses: Use[]): string =>
  JSON.stringify(
    uses.map(({ secret, key_id, role, count, refused, taken }) => [secret, key_id, role, count, refused, taken]),
  );
