import { adviceFor } from "./advice.ts";
import type { Case, Result, Send } from "./case.ts";

/** Asks one after another and compares; the order matters, for a duplicate needs its first. */
export async function runCases(cases: readonly Case[], send: Send): Promise<Result[]> {
  const results: Result[] = [];
  for (const { suite, source, name, ask, expected } of cases) {
    const from = performance.now();
    const got = await ask(send);
    const look = adviceFor(expected, got);
    const ms = Math.round(performance.now() - from);
    results.push({ suite, source, name, ok: look === null, expected, got, look, ms });
  }
  return results;
}
