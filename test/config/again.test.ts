import { expect, test } from "bun:test";
import { type Config, loadConfig } from "../../src/config.ts";
import { differences, loadAgain } from "../../src/config/again.ts";
import type { JsonObject } from "../../src/core/json.ts";
import { fixedPlaces } from "../../src/gateway/fixed.ts";
import { Folder } from "./folder.ts";

const jira = {
  kind: "jira",
  path: "/jira",
  token: "jira/inbound.token",
  build_when: [{ status: ["Building"] }],
  task: { script: "x" },
};
const nodes = { listen: "127.0.0.1:8789", url: "https://mesh.example" };

/** Loads one file, writes another in its place, and loads that while the first one runs. */
async function again(first: JsonObject, second: JsonObject, fixed?: (next: Config) => string[]) {
  using folder = new Folder();
  const file = folder.write("meshmac.config.json", JSON.stringify(first));
  const running = await loadConfig({ file });
  folder.write("meshmac.config.json", JSON.stringify(second));
  return await loadAgain(file, running, fixed ?? fixedPlaces(running.config));
}

const cases: [what: string, first: JsonObject, second: JsonObject, changed: string[], restart: string[]][] = [
  ["nothing", { sources: { jira } }, { sources: { jira } }, [], []],
  ["what stood there as a default", {}, { escalate_after: "10m", lanes: { default: {} } }, [], []],
  ["a path that is written otherwise", { state_dir: "state" }, { state_dir: "./state/" }, [], []],
  ["the order of names", { locks: { a: 1, b: 2 } }, { locks: { b: 2, a: 1 } }, [], []],
  ["a value", {}, { escalate_after: "11m" }, ["escalate_after"], []],
  [
    "a list",
    { sources: { jira } },
    { sources: { jira: { ...jira, build_when: [{ status: ["Ready"] }] } } },
    ["sources.jira.build_when"],
    [],
  ],
  [
    "the name of a secret",
    { sources: { jira } },
    { sources: { jira: { ...jira, token: "jira/b.token" } } },
    ["sources.jira.token"],
    [],
  ],
  [
    "an entry that is new, and one that is gone",
    { sources: { jira } },
    { sources: { other: jira } },
    ["sources.jira", "sources.other"],
    [],
  ],
  ["an address", {}, { gateway: { listen: "127.0.0.1:1" } }, [], ["gateway.listen"]],
  ["a section that only a start can open", {}, { gateway: { nodes } }, [], ["gateway.nodes.listen"]],
  ["the same, taken away", { gateway: { nodes } }, {}, [], ["gateway.nodes.listen"]],
  [
    "a place that stays and its neighbour",
    {},
    { gateway: { admin: { listen: "127.0.0.1:1", url: "http://localhost:1" } } },
    ["gateway.admin.url"],
    ["gateway.admin.listen"],
  ],
  ["a store, and the folder that follows from it", {}, { store: "sqlite:./other/a.db" }, [], ["store", "state_dir"]],
  ["a body that the listener cuts off", {}, { gateway: { max_body: "17MiB" } }, [], ["gateway.max_body"]],
  ["a larger body that it does not", {}, { gateway: { max_body: "16MiB" } }, ["gateway.max_body"], []],
  ["what is the worker's alone", { node: { id: "a" } }, { node: { id: "a", labels: ["x"] } }, ["node.labels"], []],
];

test.each(cases)("says of %s what changed and what needs a restart", async (_, first, second, changed, restart) => {
  const read = await again(first, second);
  expect([read.changed, read.restart]).toEqual([changed, restart]);
});

test("keeps the running value of what needs a restart, and knows it again the next time", async () => {
  using folder = new Folder();
  const file = folder.write("meshmac.config.json", JSON.stringify({ pool: "acme", store: "sqlite:./a.db" }));
  const running = await loadConfig({ file });
  folder.write("meshmac.config.json", JSON.stringify({ pool: "other", repos: { app: "git@git.example:app.git" } }));
  const first = await loadAgain(file, running, fixedPlaces(running.config));
  expect(first.loaded.config).toMatchObject({
    pool: "acme",
    store: running.config.store,
    repos: { app: expect.any(String) },
  });
  folder.write("meshmac.config.json", JSON.stringify({ pool: "other", store: "sqlite:./a.db" }));
  const second = await loadAgain(file, first.loaded, fixedPlaces(running.config));
  expect([second.changed, second.restart]).toEqual([["repos.app"], ["pool"]]);
});

test("a worker in the same process keeps all of its section", async () => {
  const { changed, restart } = await again({ node: { id: "a" } }, { node: { id: "b", labels: ["x"] } }, (next) =>
    fixedPlaces(next, { worker: true })(next),
  );
  expect([changed, restart]).toEqual([[], ["node"]]);
});

test("refuses what is right by itself and wrong beside what stays", async () => {
  const token = { admin: { listen: "10.0.0.5:1", token: "admin/api.token" } };
  await expect(again({ gateway: token }, { gateway: { admin: { listen: "127.0.0.1:1" } } })).rejects.toMatchObject({
    kind: "config",
    message: expect.stringContaining("gateway.admin.token: is missing"),
  });
});

test("a .ts says what it says now, not what it said when it was first read", async () => {
  using folder = new Folder();
  const file = folder.write("meshmac.config.ts", "export default { escalate_after: '11m' };");
  const running = await loadConfig({ file });
  folder.write("meshmac.config.ts", "export default { escalate_after: '12m' };");
  expect((await loadAgain(file, running, () => [])).changed).toEqual(["escalate_after"]);
});

test("differences go as deep as both sides do", () => {
  expect(differences({ a: { b: 1, c: { d: 2 } }, e: [1] }, { a: { b: 1, c: { d: 3, f: 1 } }, e: [2] })).toEqual([
    "a.c.d",
    "a.c.f",
    "e",
  ]);
});
