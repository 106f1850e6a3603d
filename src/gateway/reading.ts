import { decide, type Given } from "../core/decide.ts";
import { isObject, type JsonObject, parseStranger } from "../core/json.ts";
import { Malformed, type Move } from "../core/move.ts";
import type { Mark, Report, Task } from "../core/records.ts";
import { shortLine } from "../core/words.ts";
import type { Door } from "./door.ts";

/** What a verified delivery asks for: a task, a report, nothing and why, or what is wrong with it. */
export type Reading =
  | { task: Task; marks: Mark[]; move: Move }
  | { withdraw: string; why: string; move: Move }
  | { report: Report }
  | { ignored: string; callOff?: string; move: Move | null }
  | { refused: string; status: 400 | 415; hint: string };

/** Reads the body of a delivery that has proven where it comes from and decides what it asks for; stores nothing. */
export function readingOf(
  door: Pick<Door, "source" | "entry" | "rules">,
  bytes: Uint8Array,
  headers: Headers,
  given: Given,
): Reading {
  if (!isJson(headers.get("content-type")))
    return { refused: "expected JSON", status: 415, hint: "send Content-Type: application/json" };
  try {
    const seen = door.source.read(parse(bytes, door), headers, door.entry);
    if ("ignored" in seen) return { ignored: seen.ignored, move: null };
    if ("report" in seen && door.rules.dry_run) {
      const { workflow, state } = seen.report;
      return { ignored: `dry run: would announce ${shortLine(workflow, 100)} ${state}`, move: null };
    }
    if ("report" in seen) return { report: { ...seen.report, source: given.source } };
    const { move } = seen;
    const decision = decide(move, door.rules, given);
    return { ...decision, move };
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    return { refused: error.message, status: 400, hint: error.hint };
  }
}

const isJson = (contentType: string | null): boolean =>
  contentType !== null &&
  (contentType === "application/json" || /^application\/([\w.-]+\+)?json *(;|$)/i.test(contentType));

const utf8 = new TextDecoder("utf-8", { fatal: true });

function parse(bytes: Uint8Array, door: Pick<Door, "source">): JsonObject {
  const text = decoded(bytes);
  const body = parsed(text, door.source.badJsonHint ?? "send one JSON object");
  if (!isObject(body)) throw new Malformed("expected a JSON object", "send the issue as one JSON object");
  return body;
}

function decoded(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new Malformed("not UTF-8", "send the body in UTF-8");
  }
}

function parsed(text: string, hint: string) {
  try {
    return parseStranger(text);
  } catch (error) {
    const why = error instanceof Error ? error.message : "not valid JSON";
    // The usual cause of a body that does not parse is not that of one that we refuse to take.
    throw new Malformed(why, why === "not valid JSON" ? hint : "send the issue as the tracker has it");
  }
}
