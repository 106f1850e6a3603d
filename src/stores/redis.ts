import type { Store } from "./store.ts";
import { Bells } from "./redis/bells.ts";
import { gatewayVerbs } from "./redis/gateway.ts";
import { Link, type LinkOptions } from "./redis/link.ts";
import { nodeVerbs } from "./redis/node.ts";
import { operatorVerbs } from "./redis/operator.ts";

export interface RedisStore extends Store {
  /** Resolves when this Redis is fit to carry a pool, or away; throws `config` (78) when it is there and would lose what it is given, `permission` (77) for a wrong password. */
  ready(): Promise<void>;
}

/**
 * Opens a pool in Redis, after at most 3 s also where Redis is down: its verbs then throw `unavailable`, and work again when
 * Redis is back. Every connection is inspected before it is used; `allowVolatile` takes a Redis that keeps nothing.
 */
export async function openRedis(options: LinkOptions): Promise<RedisStore> {
  const link = new Link(options);
  const bells = new Bells(link.prefix, () => link.listener());
  const ready = () => link.ready();
  await ready().catch(() => {}); // who wants to know asks `ready`; every verb will say it too

  return {
    get about() {
      return { kind: "redis" as const, durability: link.durability };
    },
    ready,
    ...nodeVerbs(link, bells),
    ...operatorVerbs(link),
    ...gatewayVerbs(link, bells),
    async close() {
      bells.close();
      link.close();
    },
  };
}
