import { describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import type { Task } from "../../src/core/records.ts";
import { readResultFile } from "../../src/core/result-file.ts";
import { environmentOf } from "../../src/worker/environment.ts";
import { taskOf } from "../worker/memory-store.ts";

// Hundreds of real processes on a busy machine.
setDefaultTimeout(120_000);

const script = join(import.meta.dir, "../../fixtures/scripts/build-ios.sh");
const commit = "0a1b2c3d".repeat(5);

/** A Mac in a folder: a home, a folder per run, and what is on PATH there. */
class Mac {
  readonly dir = mkdtempSync(join(tmpdir(), "meshmac-ios-"));
  readonly canary = join(this.dir, "canary");
  #runs = 0;

  /** `fakes` come before the system's own programs. */
  constructor(fakes: Record<string, string>) {
    mkdirSync(join(this.dir, "home"));
    for (const [name, body] of Object.entries(fakes)) this.write(`bin/${name}`, `#!/bin/sh\n${body}`, 0o755);
  }

  write(path: string, text: string, mode = 0o644): void {
    const file = join(this.dir, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    chmodSync(file, mode);
  }

  /** Runs the script as a worker would, in the environment that the worker makes. */
  async run(task: Partial<Task>, own: Record<string, string> = {}) {
    const run_id = `01975f3e-0000-7000-8000-${String(this.#runs++).padStart(12, "0")}`;
    const place = join(this.dir, "runs", run_id);
    mkdirSync(join(place, "work"), { recursive: true });
    const lease = {
      attempt: 1,
      ttl_ms: 1,
      heartbeat_ms: 1,
      fence_ms: 1,
      timeout_ms: 1,
      run_url: "https://builds.example/r/1",
      log_limit: 1024,
    };
    const files = { task: join(place, "task.json"), result: join(place, "result") };
    const node = {
      id: "mac-07",
      labels: [],
      concurrency: 1,
      scripts_dir: "",
      work_dir: "",
      pass_env: Object.keys(own),
    };
    const machine = {
      PATH: `${this.dir}/bin:/usr/bin:/bin`,
      HOME: join(this.dir, "home"),
      USER: "builder",
      LANG: "C",
      TMPDIR: this.dir,
    };
    const env = environmentOf({ ...lease, task: taskOf({ run_id, ...task }) }, files, {
      node,
      own: { ...machine, ...own },
      isOwn: () => false,
    });
    const child = Bun.spawn([script], {
      cwd: join(place, "work"),
      env: { ...env, CALLS: join(place, "calls") },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    const status = await child.exited;
    const said = existsSync(files.result) ? readFileSync(files.result, "utf8") : "";
    return {
      status,
      log: out + err,
      place,
      env,
      said,
      result: readResultFile(said),
      calls: callsIn(join(place, "calls")),
    };
  }

  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** What a fake was called with: arguments end with NUL, calls with a line feed behind one. */
function callsIn(file: string): string[][] {
  if (!existsSync(file)) return [];
  const calls = readFileSync(file, "utf8").split("\0\n").filter(Boolean);
  return calls.map((call) => call.split("\0"));
}

const record = (name: string) => `{ printf '%s\\0' ${name} "$@"; printf '\\n'; } >>"$CALLS"\n`;
// Takes everything that it is told, as a git without any check of its own would.
const git = `${record("git")}case "$*" in *hash-object*) cat >/dev/null; echo ${"c".repeat(40)} ;; *rev-parse*) echo ${commit} ;; *"init --quiet /"*) mkdir -p "$3/.git/objects/info" ;; esac\n`;
const xcodebuild = `${record("xcodebuild")}echo "$XCODE_SAYS"; exit "\${XCODE_EXITS:-0}"\n`;

const params = { scheme: "App" };

test("fetches, checks out, builds once, and says what came of it", async () => {
  using mac = new Mac({ git, xcodebuild });
  const { status, calls, place, result, said } = await mac.run({ params, ref: "feature/login" });
  const cache = join(mac.dir, "home/Library/Caches/meshmac", `${"c".repeat(40)}.git`);
  const mine = `refs/meshmac/${place.split("/").at(-1)}-1`;
  const top = join(place, "work");
  expect(calls).toEqual([
    ["git", "check-ref-format", "refs/heads/feature/login"],
    ["git", "hash-object", "--stdin"],
    ["git", "init", "--quiet", "--bare", expect.stringContaining(`${cache}.`)],
    [
      "git",
      "-C",
      cache,
      "fetch",
      "--quiet",
      "--no-tags",
      "--no-recurse-submodules",
      "--end-of-options",
      "git@github.com:acme/app.git",
      `+feature/login:${mine}`,
    ],
    ["git", "-C", cache, "rev-parse", "--verify", "--quiet", `${mine}^{commit}`],
    ["git", "-C", cache, "update-ref", "refs/kept/last", commit],
    ["git", "init", "--quiet", `${top}/source`],
    ["git", "-C", `${top}/source`, "checkout", "--quiet", "--detach", commit],
    [
      "xcodebuild",
      "-scheme",
      "App",
      "-configuration",
      "Debug",
      "-destination",
      "generic/platform=iOS Simulator",
      "-derivedDataPath",
      `${top}/derived`,
      "-resultBundlePath",
      `${top}/result.xcresult`,
      "build",
    ],
    ["git", "-C", cache, "update-ref", "-d", mine],
  ]);
  expect(status).toBe(0);
  expect(said.match(/^summary=/gm)).toHaveLength(1);
  expect(result).toEqual({
    commit,
    failing_target: null,
    summary: "build of App at 0a1b2c3d succeeded",
    run_url: "https://builds.example/r/1",
  });
});

describe("a build that fails", () => {
  test.each([
    ["Test Case '-[AppTests.LoginTests testRefuses]' failed (0.1 seconds).", "AppTests.LoginTests.testRefuses"],
    [
      "note: (in target 'Other' from project 'App')\n** BUILD FAILED **\nThe following build commands failed:\n\tCompileSwift normal arm64 (in target 'AppKit' from project 'App')",
      "AppKit",
    ],
    ["ld: symbol not found", null],
  ])("is tried once, and says what failed (%#)", async (says, failing_target) => {
    using mac = new Mac({ git, xcodebuild });
    const { status, result, calls, log } = await mac.run(
      { params: { ...params, action: "test" } },
      { XCODE_SAYS: says, XCODE_EXITS: "65" },
    );
    expect(status).toBe(65);
    expect(result).toMatchObject({
      failing_target,
      summary: "test of App at 0a1b2c3d failed: xcodebuild ended with 65",
    });
    expect(calls.filter(([name]) => name === "xcodebuild")).toHaveLength(1);
    expect(log).toContain(says);
  });

  test.each([
    [{}, "the task names no scheme"],
    [{ scheme: "-exportArchive" }, "a parameter begins with a dash"],
    [{ scheme: "App", destination: "-x" }, "a parameter begins with a dash"],
    [{ scheme: "App", action: "clean; id" }, "the task names an action other than build, test and analyze"],
  ])("is not begun with %j", async (given, summary) => {
    using mac = new Mac({ git, xcodebuild });
    const { status, result, calls } = await mac.run({ params: given });
    expect([status, result.summary, calls]).toEqual([1, summary, []]);
  });
});

/** What somebody may type into a tracker, with the command that must never run. */
const hostileText = (canary: string) => {
  const command = `touch ${canary}`;
  const shapes = [
    `--upload-pack=${command}`,
    `--exec=${command}`,
    `-c core.sshCommand="${command}"`,
    `$(${command})`,
    `\`${command}\``,
    `"; ${command}; "`,
    `'; ${command}; '`,
    `x\n${command}\n`,
    `x\r\n${command}`,
    `x\0${command}`,
    `\u001B]0;${command}\u0007\u001B[2J`,
    `\u202E${command}\u2066`,
    `../../../../../../bin/sh -c "${command}"`,
    `| ${command}`,
    `& ${command} &`,
    `ext::sh -c "${command}"`,
    `{a,$(${command})}`,
    `\${IFS}$(${command})`,
    `+refs/heads/*:refs/heads/* ; ${command}`,
    `%(${command})`,
    `\\$(${command})`,
  ];
  const big = `$(${command})${"x".repeat(1_048_576)}`;
  return fc.oneof(
    { weight: 20, arbitrary: fc.constantFrom(...shapes) },
    {
      weight: 20,
      arbitrary: fc
        .tuple(fc.string({ unit: "binary", maxLength: 40 }), fc.constantFrom(...shapes))
        .map((parts) => parts.join("")),
    },
    { weight: 1, arbitrary: fc.constant(big) },
  );
};

describe("hostile fields", () => {
  test("execute nothing, five hundred of them: git and xcodebuild see only what they are meant to", async () => {
    using mac = new Mac({ git, xcodebuild });
    const fields = [
      "ref",
      "scheme",
      "configuration",
      "destination",
      "summary",
      "requested_by",
      "issue_key",
      "branch note",
      "action",
    ];
    const count = 63;
    const samples = fc.sample(hostileText(mac.canary), { numRuns: count * 8, seed: 20_261_121 });
    expect(samples.length).toBeGreaterThanOrEqual(500);
    const begun: number[] = [];
    const one = async (at: number) => {
      const value = (field: string) => samples[(at * 8 + fields.indexOf(field)) % samples.length] ?? "";
      // Each parameter is hostile for itself in turn; in every third run none stops the build before git has seen the ref.
      const tame =
        at % 3 === 0
          ? {
              scheme: `x${value("scheme")}`,
              configuration: `x${value("configuration")}`,
              destination: `x${value("destination")}`,
              action: "build",
            }
          : {};
      const { env, calls, status, place, log } = await mac.run({
        ref: value("ref"),
        issue_key: value("issue_key"),
        requested_by: value("requested_by"),
        params: {
          scheme: value("scheme"),
          configuration: value("configuration"),
          destination: value("destination"),
          summary: value("summary"),
          action: value("action"),
          ...tame,
        },
      });
      expect(existsSync(mac.canary)).toBe(false);
      expect(log).not.toContain("not found"); // a word taken for a command
      const top = join(place, "work");
      for (const [name, ...args] of calls) {
        if (name === "xcodebuild") {
          expect(args).toEqual([
            "-scheme",
            env.MESHMAC_PARAM_SCHEME ?? "",
            "-configuration",
            env.MESHMAC_PARAM_CONFIGURATION ?? "",
            "-destination",
            env.MESHMAC_PARAM_DESTINATION ?? "",
            "-derivedDataPath",
            `${top}/derived`,
            "-resultBundlePath",
            `${top}/result.xcresult`,
            "build",
          ]);
          expect(args.slice(1, 6).filter((arg) => arg.startsWith("-"))).toEqual(["-configuration", "-destination"]);
        }
        if (name === "git" && args[2] === "fetch") {
          begun.push(at);
          const mine = `refs/meshmac/${place.split("/").at(-1)}-1`;
          expect(args.slice(3)).toEqual([
            "--quiet",
            "--no-tags",
            "--no-recurse-submodules",
            "--end-of-options",
            env.MESHMAC_REPO_URL ?? "",
            `+${env.MESHMAC_REF}:${mine}`,
          ]);
        }
      }
      expect(
        calls.flatMap(([, ...args]) =>
          args.filter((arg) => arg.startsWith("--upload-pack") || arg.startsWith("--exec")),
        ),
      ).toEqual([]);
      expect(readdirSync(mac.dir).toSorted()).toEqual(["bin", "home", "runs"]);
      expect(status === 0 || status === 1).toBe(true);
    };
    for (let at = 0; at < count; at += 4) await Promise.all([at, at + 1, at + 2, at + 3].map(one));
    expect(begun.length).toBeGreaterThanOrEqual(count / 3);
  });
});

describe("with the real git", () => {
  const gitEnv = { PATH: "/usr/bin:/bin:/usr/local/bin", GIT_CONFIG_NOSYSTEM: "1", HOME: "/nonexistent" };
  const author = ["-c", "user.name=Ada", "-c", "user.email=ada@acme.example", "-c", "init.defaultBranch=main"];
  const run = (cwd: string, ...args: string[]): string => {
    const { stdout, stderr, success } = Bun.spawnSync(["git", ...author, ...args], { cwd, env: gitEnv });
    if (!success) throw new Error(stderr.toString());
    return stdout.toString().trim();
  };

  /** A repository with a branch and a tag, and a Mac that may fetch from folders. */
  function open() {
    const mac = new Mac({ xcodebuild: `${xcodebuild.replace("exit", "cat app.txt; exit")}` });
    const origin = join(mac.dir, "origin");
    mkdirSync(origin);
    run(origin, "init", "--quiet");
    mac.write("origin/app.txt", "one\n");
    run(origin, "add", ".");
    run(origin, "commit", "--quiet", "-m", "one");
    run(origin, "tag", "v1");
    const build = (ref: string, repo_url = origin) =>
      mac.run({ ref, repo_url, params }, { GIT_ALLOW_PROTOCOL: "file" });
    return { mac, origin, build };
  }

  test("builds a branch, a tag and a commit, each time as it is then, and leaves nothing in the clone that it keeps", async () => {
    const { mac, origin, build } = open();
    using _ = mac;
    const one = run(origin, "rev-parse", "HEAD");
    // Two at once, where there is no clone yet.
    for (const first of await Promise.all([build("main"), build("main")]))
      expect(first).toMatchObject({ status: 0, result: { commit: one } });
    mac.write("origin/app.txt", "two\n");
    run(origin, "commit", "--quiet", "-am", "two");
    const two = run(origin, "rev-parse", "HEAD");
    const [second, tagged, exact] = await Promise.all([build("main"), build("v1"), build(two)]);
    expect(second).toMatchObject({ status: 0, result: { commit: two }, log: expect.stringContaining("two\n") });
    expect(tagged).toMatchObject({ status: 0, result: { commit: one }, log: expect.stringContaining("one\n") });
    expect(exact).toMatchObject({ status: 0, result: { commit: two } });
    const [cache = "", ...more] = readdirSync(join(mac.dir, "home/Library/Caches/meshmac"));
    expect(more).toEqual([]);
    const kept = join(mac.dir, "home/Library/Caches/meshmac", cache);
    expect(run(kept, "for-each-ref", "--format=%(refname)")).toBe("refs/kept/last");
  });

  test("says that a ref is not there, and builds nothing", async () => {
    const { mac, build } = open();
    using _ = mac;
    const { status, result, calls } = await build("no-such-branch");
    expect([status, result.summary, calls]).toEqual([1, "git could not fetch the ref", []]);
  });

  test("hostile refs and addresses run nothing", async () => {
    const { mac, build } = open();
    using _ = mac;
    const command = `touch ${mac.canary}`;
    const refs = [
      `--upload-pack=${command}`,
      `-u${command}`,
      "main:refs/heads/main",
      "../../x",
      "a..b",
      "@{-1}",
      "main^{/x}",
      "+main",
    ];
    for (const ref of refs) expect(await build(ref)).toMatchObject({ status: 1, calls: [] });
    for (const url of [`ext::sh -c "${command}"`, `--upload-pack=${command}`, `ssh://-oProxyCommand=${command}/x`])
      expect(await build("main", url)).toMatchObject({ status: 1, calls: [] });
    expect(existsSync(mac.canary)).toBe(false);
  });
});
