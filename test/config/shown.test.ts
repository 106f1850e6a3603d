import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { configSchema } from "../../src/config.ts";
import { jsonSchema, type Shown, shown } from "../../src/config/shown.ts";

const example: unknown = Bun.YAML.parse(
  readFileSync(join(import.meta.dir, "../../fixtures/example.config.yaml"), "utf8"),
);
const of = (values: Shown[], path: string) => values.find((one) => one.path === path);

test("says of every value who wrote it", () => {
  const raw = { pool: "acme", gateway: { drain_delay: "0s" }, chats: { builds: { kind: "matrix" } } };
  const values = shown(raw, "mac-09");
  expect(of(values, "pool")).toEqual({ path: "pool", value: "acme", from: "file" });
  expect(of(values, "gateway.drain_delay")).toEqual({ path: "gateway.drain_delay", value: "0s", from: "file" });
  expect(of(values, "gateway.max_body")).toEqual({ path: "gateway.max_body", value: "256KiB", from: "default" });
  expect(of(values, "chats.builds.timeout")).toEqual({ path: "chats.builds.timeout", value: "10s", from: "default" });
  expect(of(values, "node.id")).toEqual({ path: "node.id", value: "mac-09", from: "environment" });
});

test("every value that is shown, written into a file, means what was in force", () => {
  const written: Record<string, unknown> = {};
  for (const { path, value } of shown(example)) put(written, path.split("."), value);
  expect(inForce(written)).toEqual(inForce(example));
});

test("the schema for editors refuses an unknown key and knows every kind", () => {
  const text = JSON.stringify(jsonSchema());
  expect(text).toContain('"additionalProperties":false');
  for (const kind of ["jira", "youtrack", "mattermost", "pagerduty", "console"])
    expect(text).toContain(`"const":"${kind}"`);
});

const inForce = (raw: unknown): unknown => JSON.parse(JSON.stringify(configSchema().parse(raw)));

function put(into: Record<string, unknown>, [key = "", ...rest]: string[], value: unknown): void {
  if (rest.length === 0) return void (into[key] = value);
  const inner = (into[key] ??= {});
  if (typeof inner === "object" && inner !== null) put(inner as Record<string, unknown>, rest, value);
}
