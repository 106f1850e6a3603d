import type { Json } from "../core/json.ts";
import { maskPatterns } from "../core/redact.ts";
import type { OperatorStore } from "../stores/store.ts";
import { maskDeep, type Masks } from "./masked-store.ts";

/** Wraps what an operator's command may ask: runs, lanes and deliveries are shown as the gateway shows them, whoever wrote them into a Redis. A log stays as it is; see `Masks.bytes`. */
export function maskedView(store: OperatorStore, masks: Masks): OperatorStore {
  const mask = (text: string) => maskPatterns(masks.text(text));
  const masked = <T extends object>(value: T): T => maskDeep(JSON.parse(JSON.stringify(value)) as Json, mask) as T;
  const over: Partial<OperatorStore> = {
    async list(filter) {
      const { runs, next } = await store.list(filter);
      return { runs: runs.map(masked), next };
    },
    async show(id) {
      const shown = await store.show(id);
      return shown && masked(shown);
    },
    lanes: async () => masked(await store.lanes()),
    deliveries: async (limit, outcome) => (await store.deliveries(limit, outcome)).map(masked),
  };
  return { ...store, ...over };
}
