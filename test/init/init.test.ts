import { afterAll, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as snippets from "../../fixtures/init/snippets.ts";
import { chats } from "../../src/chats/registry.ts";
import { checkFiles, configFrom } from "../../src/config.ts";
import { compose, type Wishes } from "../../src/init/compose.ts";
import { furnish, groupId, writeConfig } from "../../src/init/furnish.ts";
import { sources } from "../../src/sources/registry.ts";

const top = mkdtempSync(join(tmpdir(), "meshmac-init-"));
afterAll(() => rmSync(top, { recursive: true, force: true }));

const wishes = (over: Partial<Wishes> = {}): Wishes => ({
  pool: "acme-ios",
  store: "sqlite:./state/meshmac.db",
  public_url: "https://gateway.acme.example",
  status: "Ready for build",
  script: "build-ios",
  sources: ["jira"],
  chats: ["mattermost"],
  ...over,
});
const configOf = (yaml: string, base = top) => configFrom(Bun.YAML.parse(yaml), { base, env: {} }).config;

test("there is an entry for every kind of source and chat", () => {
  expect(Object.keys(snippets.sources).toSorted()).toEqual(sources.map(({ kind }) => kind).toSorted());
  expect(Object.keys(snippets.chats).toSorted()).toEqual(chats.map(({ kind }) => kind).toSorted());
});

describe("the entry of", () => {
  test.each(sources.map(({ kind }) => kind))(
    "source %s is valid, and tells its own address, header and token",
    (kind) => {
      const { yaml, steps } = compose(wishes({ sources: [kind], chats: [] }), snippets);
      const entry = configOf(yaml).sources[kind];
      expect(entry?.kind).toBe(kind);
      const told = steps.flatMap(({ lines }) => lines).join("\n");
      for (const word of [`https://gateway.acme.example${entry?.path}`, `secrets.d/${entry?.token.name}`])
        expect(told).toContain(word);
      expect(told).not.toMatch(/\{\{(?:url|header|token|status|script)\}\}/);
    },
  );

  test.each(chats.map(({ kind }) => kind))("chat %s is valid, and says how to get what it needs", (kind) => {
    const { yaml, steps } = compose(wishes({ chats: [kind] }), snippets);
    expect(Object.values(configOf(yaml).chats).map((entry) => entry.kind)).toEqual([kind]);
    expect(steps.find(({ title }) => title === kind)?.lines.length).toBeGreaterThan(0);
  });
});

test("all of them together have names of their own", () => {
  const all = { sources: sources.map(({ kind }) => kind), chats: chats.map(({ kind }) => kind) };
  const config = configOf(compose(wishes(all), snippets).yaml);
  expect(Object.keys(config.chats)).toHaveLength(chats.length);
  expect(Object.keys(config.sources)).toHaveLength(sources.length);
});

test("what a user types stays a value, whatever is in it", () => {
  const status = 'Ready "for" \\ build: {{script}} # no\ncomment: {}';
  const { sources: made } = configOf(compose(wishes({ status }), snippets).yaml);
  expect(made.jira?.build_when).toEqual([{ status: [status], labels: ["ci-build"] }]);
});

test("the body to paste into Jira is the one in docs/jira.md", () => {
  const { steps } = compose(wishes(), snippets);
  const lines = steps[0]?.lines ?? [];
  const body = lines
    .slice(lines.findIndex((line) => line.trim() === "{"))
    .map((line) => line.slice(2))
    .join("\n");
  expect(readFileSync(join(import.meta.dir, "../../docs/jira.md"), "utf8")).toContain(body);
});

test("draws tokens that pass every check, 0440 in folders 0750, and keeps what is there", () => {
  const dir = join(top, "drawn");
  mkdirSync(dir);
  const { yaml } = compose(wishes({ sources: ["jira", "youtrack"], chats: ["console"] }), snippets);
  const { config, vault } = configFrom(Bun.YAML.parse(yaml), { base: dir, env: {} });
  const first = furnish(config);
  expect(first.made).toHaveLength(2);
  expect(() => checkFiles(config, vault)).not.toThrow();
  const token = join(dir, "secrets.d/jira/inbound.token");
  expect(statSync(token).mode & 0o7777).toBe(0o440);
  for (const folder of ["secrets.d", "secrets.d/jira"]) expect(statSync(join(dir, folder)).mode & 0o7777).toBe(0o750);
  const before = readFileSync(token, "utf8");
  expect(before).toMatch(/^[0-9a-f]{64}\n$/);
  expect(furnish(config)).toMatchObject({ made: [], kept: first.made });
  expect(readFileSync(token, "utf8")).toBe(before);
});

test("lists what only the other side can give", () => {
  const { yaml } = compose(wishes({ chats: ["slack"] }), snippets);
  const dir = join(top, "wanted");
  mkdirSync(dir);
  const { wanted } = furnish(configOf(yaml, dir));
  expect(wanted).toEqual([{ path: "chats.builds.url", file: join(dir, "secrets.d/slack/builds.url") }]);
  expect(readdirSync(join(dir, "secrets.d/slack"))).toEqual([]);
});

test("leaves a folder as tight as it was", () => {
  const dir = join(top, "tight");
  mkdirSync(join(dir, "secrets.d"), { recursive: true, mode: 0o700 });
  furnish(configOf(compose(wishes(), snippets).yaml, dir));
  expect(statSync(join(dir, "secrets.d")).mode & 0o777).toBe(0o700);
});

test("never writes over a configuration", () => {
  const file = join(top, "meshmac.config.yaml");
  writeFileSync(file, "pool: mine\n");
  expect(() => writeConfig(file, "pool: theirs\n")).toThrow("there is a configuration already");
  expect(readFileSync(file, "utf8")).toBe("pool: mine\n");
});

test("knows groups by name and by number, and says where there is none", () => {
  expect(groupId("4711")).toBe(4711);
  const [name = "", , gid] = (readFileSync("/etc/group", "utf8").split("\n")[0] ?? "").split(":");
  expect(groupId(name)).toBe(Number(gid));
  expect(() => groupId("nobody-is-called-so")).toThrow("no group");
});

test("a disk that takes a part of a configuration keeps none of it, and init may be run again", () => {
  const path = join(mkdtempSync(join(top, "full-")), "meshmac.config.yaml");
  // A block is 512 or 1024 bytes, as the shell has it.
  const limited = 'ulimit -f 2 && exec "$0" "$@"';
  const script = join(import.meta.dir, "full.ts");
  const { exitCode } = Bun.spawnSync(["/bin/sh", "-c", limited, process.execPath, script, path, "5000"], {
    env: { PATH: process.env.PATH ?? "", BUN_RUNTIME_TRANSPILER_CACHE_PATH: "0" },
    stderr: "ignore",
  });
  expect(exitCode).not.toBe(0);
  expect(existsSync(path)).toBe(false);
});
