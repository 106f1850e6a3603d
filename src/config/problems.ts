import type { z } from "zod";
import { MeshError } from "../core/error.ts";
import { nearest } from "../core/nearest.ts";
import { got, place, typeName } from "./place.ts";

/** One thing that is wrong in a configuration: where, and what. */
export interface Problem {
  path: string;
  says: string;
}

type Path = readonly PropertyKey[];

/** Lists everything that is wrong, each with its place, as one `config` error. */
export function refused(name: string, problems: readonly Problem[]): MeshError {
  const lines = problems.map(({ path, says }) => `\n  ${path === "" ? says : `${path}: ${says}`}`);
  const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
  return new MeshError("config", `${name} has ${count}${lines.join("")}`, {
    hint: "meshmac config check says when all is well; meshmac config schema, for an editor, what each key takes",
  });
}

/** What zod asks for the text of an issue whose schema has none of its own. */
export function explain(issue: z.core.$ZodRawIssue): string {
  if (issue.code === "unrecognized_keys")
    return issue.keys.map((key) => unknownKey(key, keysOf(issue.inst))).join("\n");
  if (issue.input === undefined && issue.code === "invalid_type") return "is missing";
  switch (issue.code) {
    case "invalid_type":
      return `expected ${typeName(issue.expected)}`;
    case "invalid_value":
      return `expected ${issue.values.length > 1 ? "one of " : ""}${issue.values.join(", ")}`;
    case "invalid_union":
      return `expected one of ${"options" in issue && Array.isArray(issue.options) ? issue.options.join(", ") : "several types"}`;
    case "too_small":
      return bound(issue.origin, "at least", issue.minimum);
    case "too_big":
      return bound(issue.origin, "at most", issue.maximum);
    case "invalid_format":
      return `expected ${issue.format === "url" ? "a URL" : `text like ${issue.pattern ?? issue.format}`}`;
    default:
      return "is not valid";
  }
}

/** Turns zod's issues into problems, one per unknown key, and of a choice only the branch that was meant. */
export function problemsOf(issues: readonly z.core.$ZodIssue[], within: Path = []): Problem[] {
  return issues.flatMap((issue) => {
    const path = [...within, ...issue.path];
    const at = (says: string): Problem => ({ path: place(path), says });
    switch (issue.code) {
      case "unrecognized_keys":
        return issue.message.split("\n").map(at);
      case "invalid_union":
        if (issue.errors.length > 0) return ofChoice(issue.errors, issue.input, path);
        return [at(withGot(issue.message, valueAt(issue.input, issue.discriminator), path))];
      case "invalid_key":
        return [at(`this name cannot be used, ${issue.issues[0]?.message ?? "try another"}`)];
      default:
        return [at(withGot(issue.message, issue.input, path))];
    }
  });
}

/** A choice such as "a text or a list": complains inside the branch whose type was right, else names the types. */
function ofChoice(branches: readonly (readonly z.core.$ZodIssue[])[], input: unknown, path: Path): Problem[] {
  const meant = branches.find((issues) => !issues.some(wrongType));
  if (meant) return problemsOf(meant, path);
  const types = branches.flatMap((issues) =>
    issues.filter((issue) => issue.code === "invalid_type").map((issue) => typeName(issue.expected)),
  );
  return [
    {
      path: place(path),
      says: input === undefined ? "is missing" : withGot(`expected ${types.join(" or ")}`, input, path),
    },
  ];
}

const wrongType = (issue: z.core.$ZodIssue): boolean => issue.code === "invalid_type" && issue.path.length === 0;

function withGot(message: string, input: unknown, path: Path): string {
  if (!message.startsWith("expected") || message.includes(", got ")) return message;
  return input === undefined ? `is missing, ${message}` : `${message}, got ${got(input, path)}`;
}

function unknownKey(key: string, known: readonly string[]): string {
  const meant = nearest(key, known);
  return `unknown key ${JSON.stringify(key)}${meant ? ` (did you mean ${JSON.stringify(meant)}?)` : ""}`;
}

function keysOf(schema: unknown): string[] {
  const shape = valueAt(valueAt(valueAt(schema, "_zod"), "def"), "shape");
  return typeof shape === "object" && shape !== null ? Object.keys(shape) : [];
}

const valueAt = (value: unknown, key: string | undefined): unknown =>
  typeof value === "object" && value !== null && key !== undefined ? Reflect.get(value, key) : undefined;

function bound(origin: string, than: string, limit: number | bigint): string {
  const unit = origin === "string" ? " characters" : origin === "array" ? " entries" : "";
  return `expected ${than} ${limit}${unit}`;
}
