import { resolve } from "node:path";
import type { Archive } from "../core/archive.ts";
import { openLogs } from "./logs.ts";
import { logVerbs } from "./redis/logs.ts";
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

export interface RedisOptions extends LinkOptions {
  /** Where a gateway keeps the logs that it drained; without it only what is still in Redis can be read. */
  state_dir?: string;
  /** Where logs are read from that are here no more. */
  archive?: Archive | undefined;
  /** Milliseconds after which this gateway goes on with a log that another one has begun to drain and left. */
  takeOverAfter?: number;
}

/**
 * Opens a pool in Redis, after at most 3 s also where Redis is down: its verbs then throw `unavailable`, and work again when
 * Redis is back. Every connection is inspected before it is used; `allowVolatile` takes a Redis that keeps nothing.
 */
export async function openRedis({ state_dir, archive, takeOverAfter, ...options }: RedisOptions): Promise<RedisStore> {
  const link = new Link(options);
  const logs = state_dir === undefined ? null : openLogs(resolve(state_dir, "logs"), archive);
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
    ...gatewayVerbs(link, bells, logs),
    ...logVerbs(link, logs, takeOverAfter),
    async close() {
      bells.close();
      link.close();
    },
  };
}
