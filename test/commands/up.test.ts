import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Folder } from "../config/folder.ts";

const main = join(import.meta.dir, "../../commands/main.ts");

function start(folder: Folder, ...words: string[]) {
  return Bun.spawn([process.execPath, main, ...words], {
    cwd: folder.path,
    env: { PATH: process.env.PATH ?? "", HOME: folder.path, USER: "builder" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
}

async function meshmac(folder: Folder, ...words: string[]) {
  const child = start(folder, ...words);
  const [code, out, err] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()]);
  return { code, out, err };
}

/** Starts `up`, waits until it has said everything, stops it, and answers what it said. */
async function upOnce(folder: Folder): Promise<string> {
  const child = start(folder, "up");
  const decoder = new TextDecoder();
  let out = "";
  for await (const chunk of child.stdout) {
    out += decoder.decode(chunk, { stream: true });
    if (out.includes("Ctrl-C ends this")) child.kill("SIGTERM");
  }
  expect(await child.exited).toBe(0);
  return out;
}

test("what a demo left can be looked at and built again without a configuration, and its curl line is no duplicate", async () => {
  using folder = new Folder();
  const demo = await meshmac(folder, "up", "--demo");
  expect(demo.code, demo.err).toBe(0);
  const listed = await meshmac(folder, "runs", "list", "--json");
  const [run] = JSON.parse(listed.out).runs;
  expect([listed.code, run.issue_key, run.state]).toEqual([0, "MOB-12", "succeeded"]);
  const log = await meshmac(folder, "runs", "logs", run.run_id);
  expect(log.out).toContain("building MOB-12 at main");
  expect((await meshmac(folder, "runs", "retry", run.run_id)).out).toStartWith("queued ");

  const [, key] = /"key":"(MOB-\d+)"/.exec(await upOnce(folder)) ?? [];
  expect(key).toMatch(/^MOB-\d{4}$/);
});

test("a configuration in the usual places comes before what a demo left", async () => {
  using folder = new Folder();
  folder.write(".meshmac/meshmac.db", "");
  folder.write("meshmac.config.yaml", "pol: acme\n");
  expect(await meshmac(folder, "runs", "list")).toMatchObject({ code: 78, err: expect.stringContaining("pool") });
});

describe("refuses", () => {
  test("a folder that it cannot make, with its path and what to do", async () => {
    using folder = new Folder();
    folder.write("taken", "");
    const { code, out, err } = await meshmac(folder, "up", "--demo", "--state-dir", "taken/state");
    expect([code, out]).toEqual([78, ""]);
    expect(err).toContain(`--state-dir ${JSON.stringify(join(folder.path, "taken/state"))} cannot be used (ENOTDIR`);
    expect(err).toContain("hint: ");
  });

  test.each([
    ["an empty --state-dir", ["--state-dir="], "--state-dir needs a value"],
    ["--state-dir beside --config", ["--state-dir=a", "--config=b.yaml"], "--config and --state-dir together"],
  ])("%s", async (_, words, why) => {
    using folder = new Folder();
    const { code, err } = await meshmac(folder, "up", "--demo", ...words);
    expect([code, err.split("\n")[0]]).toEqual([64, `meshmac: ${why}`]);
    expect(existsSync(join(folder.path, "secrets.d"))).toBe(false);
  });
});
