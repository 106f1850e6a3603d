import { z } from "zod";
import { configSchema } from "./schema.ts";

/** One value of a configuration as it is written, and who wrote it. */
export interface Shown {
  path: string;
  value: unknown;
  from: "file" | "environment" | "default";
}

/** The part of JSON Schema that zod writes for a configuration. */
interface Node {
  default?: unknown;
  const?: unknown;
  properties?: Record<string, Node>;
  additionalProperties?: Node | boolean;
  oneOf?: Node[];
}

/** Writes the schema of the configuration file as JSON Schema (draft 2020-12), for editors. */
export function jsonSchema(): object {
  return { title: "meshmac.config", ...z.toJSONSchema(configSchema(), { io: "input", unrepresentable: "any" }) };
}

/**
 * Lists every value of a configuration, those of the file as they stand there and those that nobody wrote as their
 * defaults, in the order of the schema. `nodeId` is what the environment says instead of `node.id`.
 */
export function shown(raw: unknown, nodeId?: string): Shown[] {
  const schema: Node = z.toJSONSchema(configSchema(), { io: "input", unrepresentable: "any" }) as Node;
  const values = walk(schema, raw, "", "file");
  return !nodeId
    ? values
    : [...values.filter(({ path }) => path !== "node.id"), { path: "node.id", value: nodeId, from: "environment" }];
}

function walk(schema: Node, value: unknown, path: string, from: Shown["from"]): Shown[] {
  if (value === undefined) return schema.default === undefined ? [] : walk(schema, schema.default, path, "default");
  if (!isObject(value)) return [{ path, value, from }];
  const node = meant(schema, value);
  const known = node.properties ?? {};
  const rest = typeof node.additionalProperties === "object" ? node.additionalProperties : {};
  const own = Object.keys(value).filter((key) => !(key in known));
  const names = [...Object.keys(known), ...own];
  // What has no keys of its own and no defaults either is shown as it stands.
  if (names.length === 0) return from === "default" ? [] : [{ path, value, from }];
  return names.flatMap((key) =>
    walk(known[key] ?? rest, value[key], path === "" ? key : `${path}.${key}`, key in value ? from : "default"),
  );
}

/** Of a choice by `kind`, the branch that was chosen. */
const meant = (schema: Node, value: Record<string, unknown>): Node =>
  schema.oneOf?.find(({ properties }) => properties?.kind?.const === value.kind) ?? schema;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
