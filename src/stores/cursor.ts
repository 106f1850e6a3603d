import { MeshError } from "../core/error.ts";

/** Reads the cursor of a list, or throws `data` where no list answered it. */
export function seqOf(cursor: string): number {
  if (/^\d{1,15}$/.test(cursor)) return Number(cursor);
  throw new MeshError("data", "not a cursor that a list answered", { hint: "list anew" });
}
