import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { configFrom, examineConfig, loadConfig, secretsOf } from "../../src/config.ts";
import { MeshError } from "../../src/core/error.ts";
import { writeSecret } from "../../src/secrets.ts";
import { Folder } from "./folder.ts";

const example = join(import.meta.dir, "../../fixtures/example.config.yaml");
const nobody = { HOME: "/nonexistent" };

async function refusal(loading: Promise<unknown>): Promise<MeshError> {
  const fault = await loading.catch((reason: unknown) => reason);
  if (fault instanceof MeshError) return fault;
  throw new Error(`expected a MeshError, got ${String(fault)}`);
}

test("loads the example as it stands", async () => {
  const { config, file } = await loadConfig({ file: example, env: nobody });
  expect(file).toBe(example);
  expect(config.pool).toBe("acme-ios");
  expect(config.lanes.ios).toMatchObject({ timeout: 45 * 60_000, locks: ["signing"], limit: 4 });
  expect(config.keep).toEqual({
    runs: 30 * 86_400_000,
    logs: 14 * 86_400_000,
    log_bytes: 10 * 1024 ** 3,
    deliveries: 10_000,
  });
  expect(config.logs).toEqual({ limit: 64 * 1024 ** 2 });
  expect(config.node.id).toBe("mac-07");
  expect(Object.keys(config.sources)).toEqual(["jira", "youtrack"]);
});

test("makes every path absolute, from the folder of the file", async () => {
  using folder = new Folder();
  const file = folder.write("etc/meshmac.config.yaml", readFileSync(example, "utf8"));
  const { config } = await loadConfig({ file, env: nobody });
  const at = (path: string) => join(folder.path, "etc", path);
  expect(config.store).toEqual({ kind: "sqlite", path: at("state/meshmac.db") });
  expect(config.secrets_dir).toBe(at("secrets.d"));
  expect(config.state_dir).toBe(at("state"));
  expect(config.gateway.tls).toEqual({ cert: at("tls/cert.pem"), key: at("tls/key.pem"), client_ca: at("tls/ca.pem") });
  expect(config.node).toMatchObject({ scripts_dir: at("scripts"), work_dir: at("work") });
});

test("makes the key files of every outbound entry absolute", () => {
  const files = { ca_file: "ca.pem", client_cert: "/etc/c.pem", client_key: "keys/k.pem" };
  const { config } = configFrom(
    {
      chats: { here: { kind: "console", ...files } },
      pagers: { oncall: { kind: "pagerduty", key: "pagerduty/routing.key", ...files } },
    },
    { base: "/srv/mesh", env: {} },
  );
  const absolute = { ca_file: "/srv/mesh/ca.pem", client_cert: "/etc/c.pem", client_key: "/srv/mesh/keys/k.pem" };
  expect(config.chats.here).toMatchObject(absolute);
  expect(config.pagers.oncall).toMatchObject(absolute);
});

test.each([
  [{ store: "sqlite:data/mesh.db" }, "/srv/data"],
  [{ store: "redis://127.0.0.1:6379/0" }, "/srv/state"],
  [{ store: "sqlite:data/mesh.db", state_dir: "elsewhere" }, "/srv/elsewhere"],
])("keeps the state of %j in %s", (raw, state_dir) => {
  expect(configFrom(raw, { base: "/srv", env: {} }).config.state_dir).toBe(state_dir);
});

test("always has the lane default, and one of each lock that a lane names", () => {
  const { config } = configFrom(
    { lanes: { ios: { locks: ["signing", "simulator"] } }, locks: { simulator: 2 } },
    { base: "/", env: {} },
  );
  expect(config.lanes.default).toMatchObject({ timeout: 3_600_000, max_lost: 3 });
  expect(config.locks).toEqual({ signing: 1, simulator: 2 });
});

test("lets MESH_NODE_ID win over the file", () => {
  const env = { MESH_NODE_ID: "mac-09" };
  expect(configFrom({ node: { id: "mac-07", concurrency: 2 } }, { base: "/", env }).config.node).toMatchObject({
    id: "mac-09",
    concurrency: 2,
  });
  expect(configFrom({}, { base: "/", env }).config.node.id).toBe("mac-09");
});

test("a node's file may hold a few keys alone", () => {
  const { config } = configFrom(
    { pool: "acme", store: "redis://10.0.0.2:6379/0", node: { labels: ["xcode-16"] } },
    { base: "/", env: {} },
  );
  expect(config.node.id).toMatch(/^[A-Za-z0-9][\w.-]{0,63}$/);
  expect(config.sources).toEqual({});
});

test("a node's file may name its gateway and its token in place of a store", () => {
  const node = { id: "mac-07", connect: "https://mesh.example/", token: "nodes/mac-07.token", ca_file: "ca.pem" };
  const { config } = configFrom({ pool: "acme", node }, { base: "/etc/meshmac", env: {} });
  expect(config.node).toMatchObject({
    connect: "https://mesh.example",
    ca_file: "/etc/meshmac/ca.pem",
    timeout: 10_000,
  });
  expect(config.node.token?.name).toBe("nodes/mac-07.token");
  const near = { ...node, connect: "http://127.0.0.1:8789" };
  expect(configFrom({ node: near }, { base: "/", env: {} }).config.node.connect).toBe("http://127.0.0.1:8789");
});

test("looks in the named root, the working folder, then the home", async () => {
  using folder = new Folder();
  const at = (name: string, pool: string) => folder.write(`${name}/meshmac.config.yaml`, `pool: ${pool}\n`);
  at("root", "root");
  at("cwd", "cwd");
  at("home/.config/meshmac", "home");
  const poolOf = async (cwd: string, env: Record<string, string>) =>
    (await loadConfig({ cwd: join(folder.path, cwd), env })).config.pool;
  const home = { HOME: join(folder.path, "home") };
  expect(await poolOf("cwd", { ...home, MESHMAC_CONFIG_ROOT: join(folder.path, "root") })).toBe("root");
  expect(await poolOf("cwd", { ...home, OPENCLAW_CONFIG_ROOT: join(folder.path, "root") })).toBe("root");
  expect(await poolOf("cwd", home)).toBe("cwd");
  expect(await poolOf("nowhere", home)).toBe("home");
});

test.each([
  ["yaml", "pool: acme\nlanes: { ios: { limit: 2 } }\n"],
  ["yml", "pool: acme\nlanes: { ios: { limit: 2 } }\n"],
  ["toml", 'pool = "acme"\n[lanes.ios]\nlimit = 2\n'],
  ["json", '{"pool":"acme","lanes":{"ios":{"limit":2}}}'],
])("finds and reads .%s", async (ending, text) => {
  using folder = new Folder();
  folder.write(`meshmac.config.${ending}`, text);
  const { config } = await loadConfig({ cwd: folder.path, env: nobody });
  expect([config.pool, config.lanes.ios?.limit]).toEqual(["acme", 2]);
});

test("runs a .ts only when it is named", async () => {
  using folder = new Folder();
  const file = folder.write("meshmac.config.ts", 'export default { pool: ["ac", "me"].join("") };\n');
  expect((await loadConfig({ file, env: nobody })).config.pool).toBe("acme");
  expect(await refusal(loadConfig({ cwd: folder.path, env: nobody }))).toMatchObject({ kind: "config" });
});

test("says where it looked, and what to do, when there is no configuration", async () => {
  using folder = new Folder();
  const fault = await refusal(loadConfig({ cwd: folder.path, env: nobody }));
  expect(fault.message).toContain(folder.path);
  expect(fault.message).toContain("/etc/meshmac");
  expect(fault.hint).toContain("--config");
});

test.each(["missing.yaml", "notes.txt"])("refuses --config %s", async (file) => {
  using folder = new Folder();
  expect(await refusal(loadConfig({ file, cwd: folder.path, env: nobody }))).toMatchObject({ kind: "config" });
});

test.each([
  ["yaml", "# later\n\n---\n"],
  ["json", "null\n"],
])("takes a .%s that says nothing as all defaults", async (ending, text) => {
  using folder = new Folder();
  folder.write(`meshmac.config.${ending}`, text);
  expect((await loadConfig({ cwd: folder.path, env: nobody })).config.pool).toBe("meshmac");
});

const canary = "canary-4711-do-not-show";
test.each([
  ["meshmac.config.yaml", `pool: acme\ntoken: ${canary}\npool: other\n`, /line 3, column 1: duplicated mapping key/],
  ["meshmac.config.yaml", `pool: [acme\ntoken: ${canary}\n`, /line \d+, column \d+: /],
  ["meshmac.config.toml", `pool = "acme"\ntoken = ${canary}\n`, /line 2, column \d+: /],
  ["meshmac.config.toml", `pool = "acme"\npool = "${canary}"\n`, /line 2, column \d+: /],
  ["meshmac.config.json", `{"pool": ${canary}}`, /cannot be read: JSON Parse error/],
])("says where %s does not parse, without the text around it (%#)", async (name, text, where) => {
  using folder = new Folder();
  folder.write(name, text);
  const fault = await refusal(loadConfig({ cwd: folder.path, env: nobody }));
  expect(fault.message).toStartWith(`${name} cannot be read: `);
  expect(fault.message).toMatch(where);
  expect(fault.message + String(fault.hint)).not.toContain("canary");
});

test("reads nothing but the file: no layers, no rc file, no .env, no package.json", async () => {
  using folder = new Folder();
  folder.write(".env", "MESH_NODE_ID=from-env\nPOOL=x\n");
  folder.write(".meshmacrc", "pool=rc\n");
  folder.write("package.json", '{"meshmac":{"pool":"package"}}');
  folder.write("base.yaml", "pool: base\n");
  const file = folder.write("meshmac.config.yaml", "node: { id: mac-01 }\n$test: { pool: by-env-name }\n");
  const fault = await refusal(loadConfig({ file, env: nobody }));
  expect(fault.message).toContain('unknown key "$test"');
  folder.write("meshmac.config.yaml", "extends: ./base.yaml\n");
  expect((await refusal(loadConfig({ file, env: nobody }))).message).toContain('unknown key "extends"');
  folder.write("meshmac.config.yaml", "node: { id: mac-01 }\n");
  const { config } = await loadConfig({ file, env: nobody });
  expect([config.pool, config.node.id]).toEqual(["meshmac", "mac-01"]);
});

test("binds every secret to the vault, and reads none before it is needed", async () => {
  using folder = new Folder();
  const { config, vault } = configFrom(
    { store_password: "redis/gateway.password", secrets_dir: "s" },
    { base: folder.path, env: {} },
  );
  expect(secretsOf(config).map(({ path, inbound }) => [path, inbound])).toEqual([["store_password", false]]);
  expect(vault.values()).toEqual([]);
  writeSecret(config.secrets_dir, "redis/gateway.password", "correct horse");
  expect(config.store_password?.reveal()).toBe("correct horse");
  expect(vault.values()).toEqual(["correct horse"]);
});

test("knows which secrets open a door", async () => {
  const { loaded } = await examineConfig({ file: example, env: nobody });
  const doors = secretsOf(loaded?.config).filter(({ inbound }) => inbound);
  expect(doors.map(({ path }) => path)).toEqual([
    "gateway.admin.token",
    "sources.jira.token",
    "sources.youtrack.token",
  ]);
});
