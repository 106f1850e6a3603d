import { exactMask } from "../../src/core/redact.ts";
import { configSchema } from "../../src/config.ts";
import { startAnnouncer } from "../../src/gateway/announce.ts";
import { destinationsFrom } from "../../src/gateway/destinations.ts";
import { type Sender, startSender } from "../../src/gateway/send.ts";
import { openRedis, type RedisStore } from "../../src/stores/redis.ts";
import { bindAll, chatAt } from "./stage.ts";

/** Opens the announcing and sending half of a gateway on a Redis of this port, posting to one chat. */
export async function openSpeaker(
  port: number,
  hook: string,
): Promise<{ store: RedisStore; sender: Sender; close(): Promise<void> }> {
  const config = configSchema().parse({ chats: chatAt("builds", { timeout: "1s" }), retry: { base_delay_ms: 10 } });
  bindAll(config, { "builds/hook.url": hook });
  const mask = exactMask([hook]);
  const destinations = destinationsFrom(config, { mask });
  const store = await openRedis({
    url: { kind: "redis", tls: false, hosts: [{ host: "127.0.0.1", port }], db: 0 },
    pool: "pair",
  });
  const announcer = startAnnouncer({ store, destinations, mask, adminUrl: null });
  const sender = startSender({ store, destinations, mask, print: () => {}, margin: 200 });
  const close = async (): Promise<void> => {
    await Promise.all([announcer.stop(), sender.stop()]);
    await store.close();
  };
  return { store, sender, close };
}

// Run by send-pair.test.ts as a process of its own, which is then killed.
if (import.meta.main) await openSpeaker(Number(process.env.PAIR_PORT), process.env.PAIR_HOOK ?? "");
