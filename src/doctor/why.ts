import { MeshError } from "../core/error.ts";
import { maskPatterns } from "../core/redact.ts";
import { systemFault } from "../core/system-fault.ts";

/** The first line of what went wrong, without what must not be shown. */
export function whyOf(fault: unknown): string {
  const known = fault instanceof MeshError ? fault : (systemFault(fault) ?? fault);
  const text = known instanceof Error ? known.message : String(known);
  return maskPatterns(text.split("\n")[0] ?? "");
}

/** What to do about it: the hint that came with it, else `otherwise`. */
export const hintOf = (fault: unknown, otherwise: string): string =>
  (fault instanceof MeshError ? fault.hint : undefined)?.split("\n")[0] ?? otherwise;
