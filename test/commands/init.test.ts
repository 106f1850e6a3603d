import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";

const main = join(import.meta.dir, "../../commands/main.ts");
const top = mkdtempSync(join(tmpdir(), "meshmac-init-"));
afterAll(() => rmSync(top, { recursive: true, force: true }));

async function init(dir: string, ...flags: string[]) {
  const child = Bun.spawn([process.execPath, main, "init", ...flags], {
    cwd: dir,
    stdout: "pipe",
    stderr: "pipe",
    stdin: "ignore",
  });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { status: await child.exited, out, err };
}

const folder = (): string => mkdtempSync(join(top, "in-"));

test("--yes writes what config check accepts, and a second time writes nothing", async () => {
  const dir = folder();
  const first = await init(dir, "--yes", "--pool", "acme-ios", "--sources", "jira,youtrack", "--chats", "console");
  expect(first).toMatchObject({ status: 0, err: "" });
  const check = Bun.spawnSync([process.execPath, main, "config", "check", "--secrets"], { cwd: dir });
  expect(check.stdout.toString()).toBe("meshmac.config.yaml is valid: 2 sources, 1 lane, 1 chat, 0 pagers\n");
  const before = readFileSync(join(dir, "meshmac.config.yaml"), "utf8");
  const second = await init(dir, "--yes", "--pool", "other");
  expect(second.status).toBe(78);
  expect(second.err).toContain("there is a configuration already");
  expect(readFileSync(join(dir, "meshmac.config.yaml"), "utf8")).toBe(before);
});

test("says which script to write, and to start gateway and worker", async () => {
  const { out } = await init(folder(), "--yes", "--script", "build-ios");
  const [, then = ""] = out.split("\nthen\n");
  expect(then).toMatch(/scripts\/build-ios\.sh .*meshmac serve\n.*meshmac work .*meshmac doctor\n/s);
});

test("shows no token", async () => {
  const dir = folder();
  const { out } = await init(dir, "--yes");
  expect(out).not.toContain(readFileSync(join(dir, "secrets.d/jira/inbound.token"), "utf8").trim());
});

test("refuses what cannot be before it writes anything", async () => {
  const dir = folder();
  const misnamed = await init(dir, "--yes", "--pool", "A B");
  expect(misnamed).toMatchObject({ status: 64 });
  expect(misnamed.err).toContain('--pool expects a-z 0-9 _ -, got "A B"');
  expect(await init(dir, "--yes", "--script", "../x")).toMatchObject({ status: 64 });
  expect(await init(dir, "--yes", "--public-url", "http://gateway.example")).toMatchObject({ status: 64 });
  expect(await init(dir, "--yes", "--store", "mysql://x")).toMatchObject({ status: 78 });
  expect(await init(dir, "--yes", "--chats", "matermost")).toMatchObject({ status: 64 });
  expect(await init(dir)).toMatchObject({ status: 64 });
  expect(existsSync(join(dir, "meshmac.config.yaml")) || existsSync(join(dir, "secrets.d"))).toBe(false);
});

test("asks on a terminal, says what is wrong with an answer, and takes an empty one as usual", async () => {
  const dir = folder();
  const answers = ["Not A Name", "acme-ios", "", "youtrack", "Building", "", "carrier pigeon", "console", ""];
  let seen = "";
  let answered = 0;
  const child = Bun.spawn([process.execPath, main, "init"], {
    cwd: dir,
    terminal: {
      data(terminal, bytes) {
        seen += stripVTControlCharacters(new TextDecoder().decode(bytes));
        // The terminal echoes an answer behind its question: only what ends with a question waits for one.
        if (!/\[[^\]]*\]: $/.test(seen) || questions(seen) === answered) return;
        answered = questions(seen);
        terminal.write(`${answers.shift() ?? ""}\r`);
      },
    },
  });
  expect(await child.exited).toBe(0);
  expect(seen).toContain("expected a-z 0-9 _ -");
  expect(seen).toContain('no "carrier pigeon"; there is mattermost');
  const yaml = readFileSync(join(dir, "meshmac.config.yaml"), "utf8");
  expect(Bun.YAML.parse(yaml)).toMatchObject({
    pool: "acme-ios",
    sources: { youtrack: { build_when: [{ changed: { Stage: ["Building"] } }] } },
    chats: { builds: { kind: "console" } },
  });
});

const questions = (text: string): number => text.match(/\]: /g)?.length ?? 0;
