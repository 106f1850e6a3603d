import { afterAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { packageManager, version } from "../package.json" with { type: "json" };

const root = join(import.meta.dir, "..");
const pinned = packageManager.replace("bun@", "");
const slow = 120_000;

const folders: string[] = [];
afterAll(() => {
  for (const made of folders) rmSync(made, { recursive: true, force: true });
});

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "meshmac-install-"));
  folders.push(made);
  return made;
}

function write(file: string, text: string, mode = 0o644): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  chmodSync(file, mode);
}

async function run(command: string[], env: Record<string, string> = {}) {
  const child = Bun.spawn(command, {
    env: { PATH: "/usr/bin:/bin", ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { status: await child.exited, stdout, stderr };
}

/** A checkout with nothing in it but a pin and a program, so that a build needs no network. */
function checkout(main = `console.log("${version}")`, manager = packageManager): string {
  const dir = folder();
  cpSync(join(root, "install.sh"), join(dir, "install.sh"));
  write(join(dir, "package.json"), JSON.stringify({ name: "meshmac", version, packageManager: manager }, null, 2));
  write(join(dir, "commands/main.ts"), main);
  return dir;
}

/** A folder for PATH that holds the Bun of this test run, and whatever else is written into it. */
function tools(programs: Record<string, string> = {}): string {
  const dir = folder();
  symlinkSync(process.execPath, join(dir, "real-bun"));
  if (!("bun" in programs)) symlinkSync(process.execPath, join(dir, "bun"));
  for (const [name, text] of Object.entries(programs)) write(join(dir, name), `#!/bin/sh\n${text}\n`, 0o755);
  return dir;
}

const path = (first: string): string => `${first}:/usr/bin:/bin`;

/** Asks a checkout for its Bun, where PATH begins with these programs. */
async function tried(programs: Record<string, string>, cache = folder()) {
  const env = { PATH: path(tools(programs)), XDG_CACHE_HOME: cache };
  return await run([join(checkout(), "install.sh"), "--tools"], env);
}

const install = (dir: string, prefix: string, ...args: string[]) =>
  run([join(dir, "install.sh"), ...args], { PATH: path(tools()), PREFIX: prefix, HOME: process.env.HOME ?? dir });

const shellcheck = Bun.which("shellcheck");
test.skipIf(shellcheck === null)(
  "shellcheck finds nothing in the shell scripts (skipped only where it is not installed)",
  async () => {
    const demos = [...new Bun.Glob("fixtures/**/*.sh").scanSync(root)];
    const scripts = ["install.sh", "test/run", ".ci/run", ...demos].map((script) => join(root, script));
    expect(await run([shellcheck ?? "", "-x", "-P", root, ...scripts])).toEqual({ status: 0, stdout: "", stderr: "" });
  },
);

describe("install.sh", () => {
  const script = join(root, "install.sh");

  test("says what it takes", async () => {
    const { status, stdout } = await run([script, "--help"]);
    expect(status).toBe(0);
    for (const option of ["--target", "--uninstall", "--help"]) expect(stdout).toContain(option);
  });

  test.each([
    [["--wat"], 'unknown option "--wat"'],
    [["wat"], 'unknown option "wat"'],
    [["--help", "me"], 'unexpected argument "me"'],
    [["--target"], "--target needs a value"],
    [["--target", "bun-windows-x64"], 'unknown target "bun-windows-x64"'],
    [["--target=bun-linux-x64", "more"], 'unexpected argument "more"'],
  ])("refuses %p with one sentence and a hint", async (args, sentence) => {
    const { status, stdout, stderr } = await run([script, ...args]);
    expect({ status, stdout }).toEqual({ status: 64, stdout: "" });
    expect(stderr.split("\n")).toEqual([`install.sh: ${sentence}`, expect.stringMatching(/^hint: ./), ""]);
  });

  test("reads the pin of its own checkout, from wherever it is called", async () => {
    expect((await run([script, "--pin"])).stdout).toBe(`${pinned}\n`);
    const other = checkout("", "bun@9.8.7-canary.1");
    expect((await run([join(other, "install.sh"), "--pin"])).stdout).toBe("9.8.7-canary.1\n");
  });

  test.each(["npm@11.0.0", "bun@latest", "bun@"])("refuses %p as a pin", async (manager) => {
    const { status, stderr } = await run([join(checkout("", manager), "install.sh"), "--pin"]);
    expect({ status, stderr }).toEqual({ status: 78, stderr: expect.stringContaining("pins no Bun") });
  });
});

describe("the pinned Bun", () => {
  const real = '"$(dirname "$0")/real-bun"';

  test("is taken from PATH where it is exactly the one", async () => {
    const dir = tools();
    const { stdout } = await run([join(checkout(), "install.sh"), "--tools"], { PATH: path(dir) });
    expect(stdout).toBe(`${join(dir, "bun")}\n`);
  });

  test("comes through npm into a folder of its own where PATH has another version, and only once", async () => {
    const cache = folder();
    // npm that was told to run no install scripts: the command only explains itself, the real one lies beside it.
    const npm = `while [ "$1" != --prefix ]; do shift; done; to=$2/node_modules; mkdir -p "$to/.bin" "$to/@oven/bun-any/bin"
      printf '#!/bin/sh\\necho no postinstall; exit 1\\n' > "$to/.bin/bun"; chmod +x "$to/.bin/bun"; ln -s "$(readlink ${real})" "$to/@oven/bun-any/bin/bun"`;
    const wanted = join(cache, `meshmac/bun-${pinned}/node_modules/@oven/bun-any/bin/bun`);
    const first = await tried({ bun: "echo 1.0.0", npm }, cache);
    expect(first).toMatchObject({ status: 0, stdout: `${wanted}\n` });
    const second = await tried({ bun: "echo 1.0.0", npm: "echo asked >&2; exit 1" }, cache);
    expect(second).toEqual({ status: 0, stdout: `${wanted}\n`, stderr: "" });
    expect(readdirSync(join(cache, "meshmac"))).toEqual([`bun-${pinned}`]);
  });

  test("comes through Bun's own installer where npm fails, which is kept from the shell's start files", async () => {
    const installer = `[ "$SHELL" = /bin/sh ] && [ "$1" = "bun-v${pinned}" ] && mkdir "$BUN_INSTALL/bin" && ln -s "$REAL" "$BUN_INSTALL/bin/bun"`;
    const curl = `while [ "$1" != -o ]; do shift; done; printf '%s\\n' 'REAL=${process.execPath}' '${installer}' > "$2"`;
    const { status, stdout } = await tried({ bun: "echo 1.0.0", npm: "exit 1", curl, unzip: "" });
    expect({ status, stdout }).toEqual({ status: 0, stdout: expect.stringMatching(/\/bin\/bun\n$/) });
  });

  test("is asked for in words where it cannot be had, and nothing is left behind", async () => {
    const cache = folder();
    const { status, stderr } = await tried({ bun: "echo 1.0.0", npm: "exit 1", curl: "exit 6", unzip: "" }, cache);
    expect(status).toBe(69);
    expect(stderr).toContain(`install.sh: could not get Bun ${pinned}\nhint: `);
    expect(readdirSync(join(cache, "meshmac"))).toEqual([]);
  });
});

describe("a build", () => {
  test(
    "installs, twice without harm, says the full path off PATH, and uninstalls",
    async () => {
      const [dir, prefix] = [checkout(), folder()];
      const binary = join(prefix, "bin/meshmac");
      for (const _ of ["first", "second"]) {
        const { status, stdout } = await install(dir, prefix);
        expect({ status, stdout }).toEqual({
          status: 0,
          stdout: expect.stringContaining(`next: ${binary} up --demo\n`),
        });
      }
      expect(readdirSync(join(prefix, "bin"))).toEqual(["meshmac"]);
      expect(readdirSync(join(dir, "dist"))).toEqual(["meshmac"]);
      expect((await install(dir, prefix, "--uninstall")).stdout).toContain(`removed ${binary}\n`);
      expect(existsSync(binary)).toBe(false);
      expect(await install(dir, prefix, "--uninstall")).toMatchObject({ status: 0 });
    },
    slow,
  );

  test.each([
    ["does not run", "process.exitCode = 3", "ended with status 3"],
    ["says another version", 'console.log("9.9.9")', 'says "9.9.9" for its version'],
    ["does not compile", 'import "./nowhere.ts"', "the build failed"],
  ])(
    "that %s replaces nothing and fails loudly",
    async (_what, main, sentence) => {
      const [dir, prefix] = [checkout(main), folder()];
      write(join(dir, "dist/meshmac"), "the old one");
      const { status, stderr } = await install(dir, prefix);
      expect({ status, stderr }).toEqual({ status: 70, stderr: expect.stringContaining(sentence) });
      expect(stderr).toContain("\nhint: ");
      expect(await Bun.file(join(dir, "dist/meshmac")).text()).toBe("the old one");
      expect(readdirSync(join(dir, "dist"))).toEqual(["meshmac"]);
      expect(existsSync(join(prefix, "bin"))).toBe(false);
    },
    slow,
  );

  test(
    "obeys no bunfig.toml or .env of the folder it is started in, and no BUN_OPTIONS of whoever builds",
    async () => {
      const dir = checkout(`console.log(process.env.PLANTED ?? "${version}")`);
      const evil = folder();
      write(join(evil, "evil.ts"), 'console.log("planted"); process.exit(1)');
      write(join(evil, "bunfig.toml"), 'preload = ["./evil.ts"]');
      write(join(evil, ".env"), "PLANTED=planted");
      const env = { PATH: path(tools()), BUN_OPTIONS: `--preload ${join(evil, "evil.ts")}`, BUN_BE_BUN: "1" };
      expect(await run([join(dir, "install.sh"), "--build"], env)).toMatchObject({ status: 0 });
      const child = Bun.spawn([join(dir, "dist/meshmac")], { cwd: evil, env: {}, stdout: "pipe" });
      expect(await child.stdout.text()).toBe(`${version}\n`);
    },
    slow,
  );

  test(
    "of this very checkout answers its version",
    async () => {
      const [dir, prefix] = [folder(), folder()];
      const parts = [
        "install.sh",
        "package.json",
        "bun.lock",
        "bunfig.toml",
        "tsconfig.json",
        "commands",
        "src",
        "fixtures",
      ];
      for (const part of parts) cpSync(join(root, part), join(dir, part), { recursive: true });
      expect(await install(dir, prefix)).toMatchObject({ status: 0 });
      const { stdout } = await run([join(prefix, "bin/meshmac"), "--version"]);
      expect(stdout).toContain(version);
    },
    slow,
  );
});
