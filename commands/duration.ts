import { MeshError } from "../src/core/error.ts";
import { duration } from "../src/core/units.ts";

/** Milliseconds of a duration that was typed after `flag`; throws `usage` where it is none. */
export function durationOf(flag: string, typed: string): number {
  const { success, data, error } = duration.safeParse(typed);
  if (success) return data;
  throw new MeshError("usage", `${flag}: ${error.issues[0]?.message}, got ${JSON.stringify(typed)}`, {
    hint: `such as ${flag} 20m`,
  });
}
