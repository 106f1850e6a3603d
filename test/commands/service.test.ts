import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readPlist } from "../service/plist.ts";

let dir = "";
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "meshmac-service-"));
  writeFileSync(
    join(dir, "meshmac.config.yaml"),
    "lanes: { ios: { timeout: 2h } }\nnode: { pass_env: [DEVELOPER_DIR] }\n",
  );
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function service(words: string[], env: Record<string, string> = {}) {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "../../commands/main.ts"), "service", ...words], {
    cwd: dir,
    env: { PATH: process.env.PATH ?? "", HOME: dir, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [out, err, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { out, err, status };
}

test("print writes the file for either system, with the configuration's absolute path, on any machine", async () => {
  const { out, status } = await service(["print", "work", "--platform", "darwin", "--binary", "/opt/meshmac"], {
    DEVELOPER_DIR: "/Xcode.app",
    BUN_RUNTIME_TRANSPILER_CACHE_PATH: "0",
  });
  expect(status).toBe(0);
  expect(readPlist(out)).toMatchObject({
    ProgramArguments: ["/opt/meshmac", "work", "--config", join(dir, "meshmac.config.yaml")],
    EnvironmentVariables: { DEVELOPER_DIR: "/Xcode.app" },
    ExitTimeOut: 7260,
  });
  expect(out).not.toContain("BUN_");
  const unit = await service(["print", "serve", "--platform", "linux", "--binary", "/opt/meshmac", "--user", "ada"]);
  expect(unit.out).toContain("\nUser=ada\n");
  expect(unit.out).toContain(`ExecStart=/opt/meshmac serve --config ${join(dir, "meshmac.config.yaml")}\n`);
});

test.each([
  [["install", "work"], 64, "this one runs from its source"],
  [["install", "work", "--dry-run"], 64, "this one runs from its source"],
  [["print", "wrok", "--binary", "/opt/meshmac"], 64, "did you mean work?"],
  [["print", "work", "--binary", "/opt/meshmac", "--drain", "soon"], 64, "--drain: expected a duration"],
  [
    ["print", "work", "--binary", "/opt/meshmac", "--platform", "darwin", "--user", "ada"],
    64,
    "by the user who installs it",
  ],
  [["print", "work", "--platform", "windows"], 64, "expects one of darwin, linux"],
  [["print", "work", "--binary", "/opt/meshmac", "--config", "absent.yaml"], 78, "no configuration file"],
])("%j ends with %i", async (words, expected, said) => {
  const { out, err, status } = await service(words);
  expect([out, status]).toEqual(["", expected]);
  expect(err).toContain(said);
});
