import { z } from "zod";

export { type StoreUrl, storeUrl } from "../core/store-url.ts";

export const nodeId = z
  .string()
  .regex(/^[A-Za-z0-9][\w.-]{0,63}$/, { error: "expected letters, digits, _ . -, at most 64" });
