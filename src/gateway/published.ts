import type { Config } from "../config.ts";
import { log } from "../log.ts";
import type { Store } from "../stores/store.ts";
import { rulesOf } from "./rules.ts";

export interface Published {
  /** Publishes what this configuration says, now and from now on. */
  use(config: Config): void;
  stop(): void;
}

const againAfter = 15_000;
// A lane that the store does not know yet needs no label and no lock: a delivery must not find it so for long.
const failedAgainAfter = 500;

/** Publishes lanes, locks and lease numbers: soon again where that failed, and every now and then, as the store may have forgotten them. */
export function keepPublished(store: Pick<Store, "publish">, config: Config): Published {
  let rules = rulesOf(config);
  let failing = false;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;

  async function publish(): Promise<void> {
    try {
      await store.publish(rules);
      failing = false;
    } catch (why) {
      if (!failing) log.warn("rules not published", { why });
      failing = true;
    }
    clearTimeout(timer);
    if (stopped) return;
    timer = setTimeout(publish, failing ? failedAgainAfter : againAfter);
    timer.unref();
  }

  void publish();
  return {
    use(next) {
      rules = rulesOf(next);
      void publish();
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
