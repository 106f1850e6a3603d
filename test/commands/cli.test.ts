import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { defineCommand } from "citty";
import { run } from "../../commands/cli.ts";
import { listOf } from "../../commands/flags.ts";
import { MeshError } from "../../src/core/error.ts";
import { Folder } from "../config/folder.ts";

interface Ran {
  args: Record<string, unknown>;
  labels: string[];
}

const failing = (fault: unknown) => defineCommand({ meta: { name: "fail" }, run: () => Promise.reject(fault) });

/** Runs what was typed against a small tree of commands; what the leaf was given is in `ran`. */
async function typed(...words: string[]) {
  const ran: Ran[] = [];
  const said = { out: "", err: "" };
  const post = defineCommand({
    meta: { name: "post", description: "Post one message" },
    args: {
      chat: { type: "positional", description: "which chat", required: true },
      state: { type: "enum", options: ["succeeded", "failed"], description: "which state" },
      "run-url": { type: "string", alias: "u", description: "link", valueHint: "url" },
      label: { type: "string", description: "may be repeated" },
      limit: { type: "string", default: "20", description: "how many" },
      json: { type: "boolean", description: "print JSON" },
      links: { type: "boolean", default: true, description: "with links" },
    },
    run({ args, rawArgs }) {
      ran.push({ args, labels: listOf(rawArgs, "label") });
    },
  });
  const root = defineCommand({
    meta: { name: "meshmac", description: "A test" },
    subCommands: {
      notify: defineCommand({
        meta: { name: "notify", description: "Say things" },
        subCommands: { post: () => Promise.resolve(post) },
      }),
      refuse: failing(new MeshError("later", "lane ios is full", { hint: "try again in a minute" })),
      break: failing(new TypeError("no such thing: xoxb-1234567890-abcdefghijklmnopqrstuvwx\nsecond line")),
      never: () => Promise.reject(new Error("a command was loaded that nobody asked for")),
    },
  });
  const status = await run(root, words, {
    out: (text) => void (said.out += text),
    err: (text) => void (said.err += text),
    colour: false,
  });
  return { status, ...said, ran: ran[0] };
}

const post = (...words: string[]) => typed("notify", "post", ...words);

describe("flags", () => {
  test("take a value after a space or an equals sign", async () => {
    const { ran, status } = await post(
      "builds",
      "--run-url",
      "https://ci.example/1",
      "--state=failed",
      "-u=https://ci.example/2",
    );
    expect(status).toBe(0);
    expect(ran?.args).toMatchObject({ chat: "builds", state: "failed", runUrl: "https://ci.example/2", limit: "20" });
  });

  test.each([
    [["--json"], { json: true, links: true }],
    [["--no-links"], { links: false }],
    [["--no-json", "--links"], { json: false, links: true }],
    [["--json", "--no-json"], { json: false }],
    [["--limit=a=b"], { limit: "a=b" }],
    [["--limit="], { limit: "" }],
    [["--limit=-1"], { limit: "-1" }],
    [["--limit", "-"], { limit: "-" }],
    [["--limit=1", "--limit=2"], { limit: "2" }],
    [["-u", "x"], { "run-url": "x" }],
  ])("%j", async (words, args) => {
    const { ran, err } = await post("builds", ...words);
    expect(err).toBe("");
    expect(ran?.args).toMatchObject(args);
  });

  test("may be repeated where a command asks for the list", async () => {
    expect((await post("--label", "a", "builds", "--label=b=c")).ran?.labels).toEqual(["a", "b=c"]);
  });

  test.each([
    [["builds", "--dryrun"], "unknown flag --dryrun", /^notify|meshmac notify post --help/],
    [["builds", "--stat", "failed"], "unknown flag --stat", /did you mean --state\?/],
    [["builds", "--jsno"], "unknown flag --jsno", /did you mean --json\?/],
    [["builds", "--no-chat"], "unknown flag --no-chat", /--help/],
    [["builds", "--no-stats"], "unknown flag --no-stats", /--help/],
    [["builds", "--token=abc"], "unknown flag --token", /--help/],
    [["builds", "-x"], "unknown flag -x", /--help/],
    [["builds", "--u", "x"], "unknown flag --u", /--help/],
    [["builds", "-json"], "unknown flag -json", /did you mean --json\?/],
    [["builds", "--limit"], "--limit needs a value", /--help/],
    [["builds", "--limit", "--json"], "--limit needs a value", /--help/],
    [["builds", "--json=true"], "--json takes no value", /--help/],
    [["builds", "--state", "faild"], '--state expects one of succeeded, failed, got "faild"', /did you mean failed\?/],
    [[], "CHAT is missing", /--help/],
    [["builds", "again"], 'unexpected argument "again"', /--help/],
    [["--", "builds", "--json"], 'unexpected argument "--json"', /--help/],
  ])("%j is refused", async (words, message, hint) => {
    const { status, err, out, ran } = await post(...words);
    expect(status).toBe(64);
    expect(err).toStartWith(`meshmac: ${message}\nhint: `);
    expect(err).toMatch(hint);
    expect(out).toBe("");
    expect(ran).toBeUndefined();
  });

  test("after -- are plain words", async () => {
    const { ran, status } = await post("--", "--help");
    expect([status, ran?.args.chat]).toEqual([0, "--help"]);
  });
});

describe("commands", () => {
  test.each([
    [["notfy"], 'unknown command "notfy"', "did you mean meshmac notify?"],
    [["notify", "psot"], 'unknown command "psot"', "did you mean meshmac notify post?"],
    [["frobnicate"], 'unknown command "frobnicate"', "meshmac --help lists the commands"],
    [["constructor"], 'unknown command "constructor"', "meshmac --help lists the commands"],
    [["--verson"], "unknown flag --verson", "did you mean --version?"],
    [["--config", "x", "notify"], "unknown flag --config", "meshmac --help lists the commands"],
  ])("%j is refused", async (words, message, hint) => {
    const { status, err, out } = await typed(...words);
    expect([status, out, err]).toEqual([64, "", `meshmac: ${message}\nhint: ${hint}\n`]);
  });

  test("that nobody asked for are not loaded", async () => {
    expect((await post("builds")).status).toBe(0);
    expect((await typed("never")).err).toContain("a command was loaded that nobody asked for");
  });
});

describe("help", () => {
  test.each([["--help"], ["-h"]])("%s goes to stdout and is no error", async (flag) => {
    const { status, out, err, ran } = await post("builds", flag, "--dryrun");
    expect([status, err, ran]).toEqual([0, "", undefined]);
    expect(out).toContain("meshmac notify post");
    expect(out).toContain("--state=<succeeded|failed>");
  });

  test("of a group is what you see without a command, with status 64", async () => {
    const asked = await typed("notify", "--help");
    const bare = await typed("notify");
    expect(bare.out).toBe(asked.out);
    expect(bare.out).toContain("Post one message");
    expect([asked.status, bare.status]).toEqual([0, 64]);
  });

  test("has no colours and no blanks at the ends of lines", async () => {
    const { out } = await post("--help");
    expect(out).not.toContain("\u001B");
    expect(out).not.toMatch(/[ \t]\n/);
  });
});

describe("failures", () => {
  test("of a known kind say what happened, what to do, and end with their own status", async () => {
    const { status, err } = await typed("refuse");
    expect([status, err]).toEqual([75, "meshmac: lane ios is full\nhint: try again in a minute\n"]);
  });

  test("of ours are one masked line and a next step, never a stack trace", async () => {
    const { status, err } = await typed("break");
    expect(status).toBe(70);
    expect(err.split("\n")).toHaveLength(3);
    expect(err).toStartWith("meshmac: internal error: no such thing: ");
    expect(err).toContain("MESHMAC_LOG_LEVEL=debug");
    expect(err).not.toContain("abcdefghijklmnop");
    expect(err).not.toMatch(/cli\.(test\.)?ts|second line/);
  });
});

describe("the executable", () => {
  const main = join(import.meta.dir, "../../commands/main.ts");

  async function meshmac(words: string[], { cwd, env = {} }: { cwd?: string; env?: Record<string, string> } = {}) {
    const child = Bun.spawn([process.execPath, main, ...words], {
      ...(cwd && { cwd }),
      env: { PATH: process.env.PATH ?? "", HOME: "/nonexistent", ...env },
      stdout: "pipe",
      stderr: "pipe",
    });
    const [out, err, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    return { out, err, status };
  }

  test("says its version", async () => {
    expect(await meshmac(["--version"])).toEqual({ out: "meshmac 0.1.0\n", err: "", status: 0 });
  });

  test("says what is in a valid configuration, without its secret files", async () => {
    using folder = new Folder();
    folder.write(
      "meshmac.config.yaml",
      "lanes: { ios: {} }\nchats: { here: { kind: console } }\nstore_password: redis/a.password\n",
    );
    const { out, err, status } = await meshmac(["config", "check"], { cwd: folder.path });
    expect([out, err, status]).toEqual(["meshmac.config.yaml is valid: 0 sources, 2 lanes, 1 chat, 0 pagers\n", "", 0]);
  });

  test("lists every problem of a configuration, for people and as JSON, and ends with 78", async () => {
    using folder = new Folder();
    folder.write("meshmac.config.yaml", "pol: acme\nlease: { ttl: 90 }\n");
    const told = await meshmac(["config", "check"], { cwd: folder.path });
    expect(told).toEqual({
      out: "",
      err: [
        "meshmac: meshmac.config.yaml has 2 problems",
        "  lease.ttl: expected a duration like 500ms, 90s, 5m, 2h or 30d, got 90",
        '  unknown key "pol" (did you mean "pool"?)',
        "hint: meshmac config check says when all is well; meshmac config schema, for an editor, what each key takes\n",
      ].join("\n"),
      status: 78,
    });
    const asJson = await meshmac(["config", "check", "--json"], { cwd: folder.path });
    expect(asJson.status).toBe(78);
    expect(JSON.parse(asJson.out)).toEqual({
      file: join(folder.path, "meshmac.config.yaml"),
      valid: false,
      problems: [
        { path: "lease.ttl", says: "expected a duration like 500ms, 90s, 5m, 2h or 30d, got 90" },
        { path: "", says: 'unknown key "pol" (did you mean "pool"?)' },
      ],
    });
  });

  test("checks the secret files when asked: all of them at once, 77 before 78", async () => {
    using folder = new Folder();
    folder.write(
      "meshmac.config.yaml",
      "store_password: redis/a.password\npagers: { p: { kind: pagerduty, key: pd/r.key } }\n",
    );
    const missing = await meshmac(["config", "check", "--secrets"], { cwd: folder.path });
    expect(missing.status).toBe(78);
    expect(missing.err).toContain("2 secret files cannot be used\n  store_password: no secret file ");
    const open = folder.write("secrets.d/redis/a.password", "correct horse", 0o600);
    Bun.spawnSync(["chmod", "0644", open]);
    const exposed = await meshmac(["config", "check", "--secrets"], { cwd: folder.path });
    expect(exposed.status).toBe(77);
    expect(exposed.err).toContain(`chmod 0600 ${open}`);
    expect(exposed.err).not.toContain("correct horse");
  });

  test("shows no colours off a terminal", async () => {
    const { out, status } = await meshmac(["config"], { env: { FORCE_COLOR: "1", TERM: "xterm-256color" } });
    expect(status).toBe(64);
    expect(out).not.toContain("\u001B");
  });

  test("gives a slow reader everything before it ends", async () => {
    using folder = new Folder();
    folder.write(
      "meshmac.config.yaml",
      Array.from({ length: 1500 }, (_, i) => `key${i}_${"x".repeat(100)}: 1`).join("\n"),
    );
    const { out, err } = await meshmac(["config", "check", "--json"], { cwd: folder.path });
    expect(JSON.parse(out).problems).toHaveLength(1500);
    expect(err.trimEnd().split("\n")).toHaveLength(1502);
  });

  test.each([["--version"], ["--help"]])("%s is content with a reader that has gone", async (flag) => {
    const piped = Bun.spawn(
      ["bash", "-c", `"$0" "$1" ${flag} | true; echo "\${PIPESTATUS[0]}"`, process.execPath, main],
      {
        stdout: "pipe",
        stderr: "pipe",
      },
    );
    expect([await piped.stdout.text(), await piped.stderr.text()]).toEqual(["0\n", ""]);
  });
});

test.skipIf(!existsSync("/dev/full"))("an answer that a full disk did not take is no success", async () => {
  const main = join(import.meta.dir, "../../commands/main.ts");
  for (const typed of ["--version", "--help", "completions bash", "config schema"]) {
    const child = Bun.spawn(["sh", "-c", `exec "$0" "$1" ${typed} >/dev/full`, process.execPath, main], {
      stderr: "pipe",
      timeout: 20_000,
    });
    expect([typed, await child.stderr.text(), await child.exited]).toEqual([
      typed,
      "meshmac: a file cannot be used (ENOSPC, write)\nhint: make room on the disk, or close what holds files open\n",
      69,
    ]);
  }
});

test.skipIf(!existsSync("/dev/full"))("a full disk under stderr ends it all the same", async () => {
  const child = Bun.spawn(
    [
      "sh",
      "-c",
      `exec "$0" "$1" no-such-command 2>/dev/full`,
      process.execPath,
      join(import.meta.dir, "../../commands/main.ts"),
    ],
    {
      stdout: "ignore",
      timeout: 20_000,
    },
  );
  expect(await child.exited).toBe(64);
});
