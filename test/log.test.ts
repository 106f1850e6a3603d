import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LogFile } from "../src/log/file.ts";

let dir = "";
beforeAll(() => void (dir = mkdtempSync(join(tmpdir(), "meshmac-log-"))));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const main = join(import.meta.dir, "../commands/main.ts");
const read = (path: string) => (existsSync(path) ? readFileSync(path, "utf8") : null);

describe("a log file", () => {
  test("rotates at its size, keeps so many, and loses no line between them", () => {
    const path = join(dir, "a/deep/work.log");
    const file = new LogFile(path, { limit: 100, keep: 3 });
    const lines = Array.from({ length: 12 }, (_, i) => `${String(i).padStart(29, "0")}\n`);
    for (const line of lines) file.write(line);
    expect(readdirSync(join(dir, "a/deep")).toSorted()).toEqual(["work.log", "work.log.1", "work.log.2"]);
    const kept = [".2", ".1", ""].map((suffix) => read(path + suffix) ?? "").join("");
    expect(kept).toBe(lines.slice(3).join(""));
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test("goes on where it ended, and rotates by the size that it finds", () => {
    const path = join(dir, "again.log");
    writeFileSync(path, `${"x".repeat(98)}\n`);
    new LogFile(path, { limit: 100, keep: 2 }).write("next\n");
    expect([read(path), read(`${path}.1`)?.length]).toEqual(["next\n", 99]);
  });

  test("takes a batch longer than its limit whole", () => {
    const path = join(dir, "long.log");
    const file = new LogFile(path, { limit: 10, keep: 2 });
    file.write("0123456789abcdef\n");
    file.write("b\n");
    expect([read(path), read(`${path}.1`)]).toEqual(["b\n", "0123456789abcdef\n"]);
  });

  test.skipIf(!existsSync("/dev/full"))("on a full disk costs lines and nothing else", () => {
    expect(() => new LogFile("/dev/full").write("lost\n")).not.toThrow();
  });
});

/** Waits until a condition holds, for at most 20 s: what is expected afterwards says what was missed. */
async function until(holds: () => boolean): Promise<void> {
  for (const end = Date.now() + 20_000; !holds() && Date.now() < end;) await Bun.sleep(20);
}

/** Starts a worker that waits for a store that is not there. */
function working(env: Record<string, string>, stderr: "pipe" | number = "pipe") {
  const config = join(dir, "meshmac.config.json");
  writeFileSync(
    config,
    JSON.stringify({ store: "redis://127.0.0.1:1/0", node: { id: "mac-07", work_dir: join(dir, "work") } }),
  );
  const child = Bun.spawn([process.execPath, main, "work", "--config", config], {
    env: { PATH: process.env.PATH ?? "", HOME: dir, ...env },
    stdio: ["ignore", "pipe", stderr],
  });
  return { child, stderr: child.stderr instanceof ReadableStream ? child.stderr.text() : Promise.resolve("") };
}

test("MESHMAC_LOG_FILE takes the log in place of stderr", async () => {
  const path = join(dir, "logs/work.log");
  const { child, stderr } = working({ MESHMAC_LOG_FILE: path });
  await until(() => read(path)?.includes("worker started") === true);
  child.kill("SIGTERM");
  await child.exited;
  const lines = (read(path) ?? "").trimEnd().split("\n");
  expect(lines.map((line) => JSON.parse(line).msg)).toContain("worker started");
  expect(await stderr).toBe("");
}, 30_000);

test("a log file that cannot be opened is said, and costs nothing else", async () => {
  writeFileSync(join(dir, "plain"), "");
  writeFileSync(join(dir, "ok.yaml"), "pool: acme-ios\n");
  const child = Bun.spawn([process.execPath, main, "config", "check", "--config", join(dir, "ok.yaml")], {
    env: { PATH: process.env.PATH ?? "", HOME: dir, MESHMAC_LOG_FILE: join(dir, "plain/work.log") },
    stdio: ["ignore", "pipe", "pipe"],
  });
  expect([await child.stderr.text(), await child.exited]).toEqual([
    expect.stringMatching(/^meshmac: MESHMAC_LOG_FILE cannot be opened \(E\w+\), the log goes to stderr\n$/),
    0,
  ]);
});

test("what the process says beside its log is emptied when it begins and has grown long", async () => {
  const path = join(dir, "beside.log");
  writeFileSync(`${path}.stderr`, "x".repeat(2 * 1024 * 1024));
  const fd = openSync(`${path}.stderr`, "a");
  const { child } = working({ MESHMAC_LOG_FILE: path }, fd);
  closeSync(fd);
  await until(() => statSync(`${path}.stderr`).size < 1024);
  child.kill("SIGTERM");
  await child.exited;
  expect(statSync(`${path}.stderr`).size).toBeLessThan(1024);
}, 30_000);
