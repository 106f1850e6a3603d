import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { configFrom } from "../../src/config.ts";
import { serviceBinary } from "../../src/service/binary.ts";
import { diffOf } from "../../src/service/diff.ts";
import { textOf } from "../../src/service/install.ts";
import { type Asked, planOf } from "../../src/service/plan.ts";
import { readPlist, type Value } from "./plist.ts";

const secret = `ghp_${"a1B2".repeat(9)}`;

function asked(raw: unknown = {}, more: Partial<Asked> = {}): Asked {
  const { config } = configFrom(raw, { base: "/srv/meshmac", env: {} });
  return {
    servant: "work",
    platform: "darwin",
    config,
    file: "/srv/meshmac/meshmac.config.yaml",
    binary: "/usr/local/bin/meshmac",
    user: "builder",
    home: "/Users/builder",
    env: {},
    ...more,
  };
}

const plistFor = (given: Asked): { [key: string]: Value } => {
  const value = readPlist(textOf(planOf(given)));
  if (typeof value !== "object" || Array.isArray(value)) throw new Error("no dict");
  return value;
};

const linesFor = (given: Partial<Asked> = {}, raw: unknown = {}): string[] =>
  textOf(planOf(asked(raw, { servant: "serve", platform: "linux", ...given }))).split("\n");

describe("a LaunchAgent", () => {
  test("says all that launchd has to know", () => {
    const env = {
      HTTPS_PROXY: "http://proxy.example:3128",
      no_proxy: "localhost,.internal",
      MESH_NODE_ID: "mac-07",
      DEVELOPER_DIR: "/Applications/Xcode & Co <16>.app",
      PATH: "/somebody/elses/bin",
      BUN_OPTIONS: "--preload=/x.ts",
      BUN_BE_BUN: "1",
      AWS_SECRET_ACCESS_KEY: "x",
    };
    const node = { pass_env: ["DEVELOPER_DIR", "PATH", "ABSENT"] };
    expect(plistFor(asked({ lanes: { ios: { timeout: "90m" } }, node }, { env }))).toEqual({
      Label: "com.meshmac.work",
      ProgramArguments: ["/usr/local/bin/meshmac", "work", "--config", "/srv/meshmac/meshmac.config.yaml"],
      WorkingDirectory: "/srv/meshmac",
      EnvironmentVariables: {
        PATH: "/usr/local/bin:/opt/homebrew/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        HTTPS_PROXY: "http://proxy.example:3128",
        no_proxy: "localhost,.internal",
        MESH_NODE_ID: "mac-07",
        DEVELOPER_DIR: "/Applications/Xcode & Co <16>.app",
        MESHMAC_LOG_FILE: "/Users/builder/Library/Logs/meshmac/work.log",
      },
      RunAtLoad: true,
      KeepAlive: { SuccessfulExit: false },
      ThrottleInterval: 30,
      ExitTimeOut: 90 * 60 + 60,
      ProcessType: "Interactive",
      LimitLoadToSessionType: "Aqua",
      StandardOutPath: "/Users/builder/Library/Logs/meshmac/work.log.stderr",
      StandardErrorPath: "/Users/builder/Library/Logs/meshmac/work.log.stderr",
    });
  });

  test("waits as long as it was told to", () => {
    expect(plistFor(asked({}, { drain: 7_200_000 })).ExitTimeOut).toBe(7260);
    expect(plistFor(asked()).ExitTimeOut).toBe(3660); // the lane `default`
  });

  test.skipIf(Bun.which("plutil") === null)("passes plutil -lint (skipped where there is no macOS)", () => {
    const dir = mkdtempSync(join(tmpdir(), "meshmac-plist-"));
    writeFileSync(join(dir, "a.plist"), textOf(planOf(asked())));
    const { success } = Bun.spawnSync(["plutil", "-lint", join(dir, "a.plist")]);
    rmSync(dir, { recursive: true });
    expect(success).toBe(true);
  });
});

test("a LaunchDaemon runs as its user, with its log in the state folder", () => {
  const daemon = plistFor(asked({ state_dir: "/var/meshmac" }, { servant: "serve" }));
  expect(daemon).toMatchObject({
    Label: "com.meshmac.serve",
    UserName: "builder",
    Umask: 0o077,
    ExitTimeOut: 65,
    EnvironmentVariables: { MESHMAC_LOG_FILE: "/var/meshmac/serve.log" },
  });
  expect(daemon).not.toHaveProperty("LimitLoadToSessionType");
});

describe("a secret", () => {
  test.each(["HTTPS_PROXY", "http_proxy", "ALL_PROXY"])("in %s is refused", (name) => {
    for (const value of ["http://ada:s3cret@proxy.example:3128", "ada:s3cret@proxy.example:3128"]) {
      const plan = () => planOf(asked({}, { env: { [name]: value } }));
      expect(plan).toThrow(`${name} holds a user or a password`);
      expect(plan).not.toThrow("s3cret");
    }
  });

  test("that pass_env names stays behind, and is named with the reason", () => {
    const env = { ACME_TOKEN: "x", SIGNING_KEY: "y", INNOCENT: secret, LD_PRELOAD: "/x.so", DEVELOPER_DIR: "/Xcode" };
    const plan = planOf(asked({ node: { pass_env: Object.keys(env) } }, { env }));
    expect(plan.left).toEqual([
      { name: "ACME_TOKEN", why: "its name says that it is a secret" },
      { name: "SIGNING_KEY", why: "its name says that it is a secret" },
      { name: "INNOCENT", why: "it looks like a secret" },
      { name: "LD_PRELOAD", why: "no script gets it" },
    ]);
    expect(Object.keys(plan.environment)).toEqual(["PATH", "DEVELOPER_DIR", "MESHMAC_LOG_FILE"]);
  });
});

const analyze = Bun.which("systemd-analyze");
const analyzed = (...args: string[]) => {
  const { stdout, stderr, exitCode } = Bun.spawnSync([analyze ?? "", ...args], {
    env: { PATH: "/usr/bin:/bin" },
  });
  return { exitCode, said: `${stdout}${stderr}` };
};

describe("a systemd unit", () => {
  test("runs as its user, is restarted after a failure only, and may write its state folder", () => {
    const lines = linesFor({ env: { HTTPS_PROXY: "http://proxy.example:3128" } });
    for (const line of [
      "User=builder",
      "ExecStart=/usr/local/bin/meshmac serve --config /srv/meshmac/meshmac.config.yaml",
      "Environment=HTTPS_PROXY=http://proxy.example:3128",
      "ExecReload=/bin/kill -HUP $MAINPID",
      "Restart=on-failure",
      "KillMode=mixed",
      "TimeoutStopSec=65",
      "ReadWritePaths=/srv/meshmac/state",
      "ProtectHome=yes",
      "NoNewPrivileges=yes",
    ])
      expect(lines).toContain(line);
    expect(lines.join("\n")).not.toContain("MemoryDenyWriteExecute");
    expect(linesFor({ file: "/home/ada/meshmac.config.yaml" })).toContain("ProtectHome=read-only");
  });

  test("of a worker leaves builds their freedom", () => {
    const lines = linesFor({ servant: "work" });
    expect(lines).toContain("TimeoutStopSec=3660");
    // A worker ends at a SIGHUP.
    expect(lines.filter((line) => line.startsWith("ExecReload"))).toEqual([]);
    expect(lines.filter((line) => /^(Protect|Restrict|SystemCall|NoNew)/.test(line))).toEqual([]);
  });

  test("quotes what systemd would read otherwise", () => {
    const lines = linesFor({ file: '/srv/a b/50%/$HOME/"c".yaml', env: { NO_PROXY: "a b,%h" } });
    expect(lines).toContain(
      String.raw`ExecStart=/usr/local/bin/meshmac serve --config "/srv/a b/50%%/$$HOME/\"c\".yaml"`,
    );
    expect(lines).toContain('Environment="NO_PROXY=a b,%%h"');
  });

  test.skipIf(analyze === null)(
    "is what systemd-analyze verifies and finds exposed at most 1.5 (skipped where there is none)",
    () => {
      const dir = mkdtempSync(join(tmpdir(), "meshmac-unit-"));
      try {
        for (const servant of ["serve", "work"] as const) {
          const file = join(dir, `meshmac-${servant}.service`);
          // verify looks for the binary, and the oddest of paths must survive.
          const odd = {
            servant,
            binary: "/bin/sh",
            file: "/srv/a b/50%/$HOME.yaml",
            user: "root",
            env: { NO_PROXY: "a b,%h" },
          };
          writeFileSync(file, linesFor(odd).join("\n"));
          expect(analyzed("verify", file)).toEqual({ exitCode: 0, said: "" });
        }
        const { said } = analyzed("security", "--offline=true", "--no-pager", join(dir, "meshmac-serve.service"));
        const exposure = Number(/Overall exposure level for \S+: ([\d.]+)/.exec(said)?.[1]);
        expect(exposure).toBeLessThanOrEqual(1.5);
      } finally {
        rmSync(dir, { recursive: true });
      }
    },
  );
});

test.each(["/srv/a\nb.yaml", "/srv/a\u001Bb.yaml"])("a path that no file could hold is refused (%#)", (file) => {
  expect(() => planOf(asked({}, { file }))).toThrow("cannot stand in a service's file");
});

describe("the binary", () => {
  const path = "/usr/local/bin/meshmac";
  const given = { path, compiled: true, temp: "/tmp" };

  test("is the compiled one, where it stays", () => expect(serviceBinary(given)).toBe(path));

  test("is refused where it runs from its source", () =>
    expect(() => serviceBinary({ ...given, compiled: false })).toThrow("runs from its source"));

  test.each([
    "/tmp/meshmac",
    "/private/tmp/x/meshmac",
    "/var/folders/ab/cd/T/meshmac",
    "/private/var/folders/ab/AppTranslocation/meshmac",
    "/var/tmp/meshmac",
    "/scratch/meshmac",
  ])("is refused in %s", (temporary) =>
    expect(() => serviceBinary({ ...given, path: temporary, temp: "/scratch/" })).toThrow("that the system empties"),
  );
});

test.each([
  ["a\nb\nc", "a\nb\nc", [" a", " b", " c"]],
  ["a\nb\nc", "a\nx\nc", [" a", "-b", "+x", " c"]],
  ["a\nc", "a\nb\nc\nd", [" a", "+b", " c", "+d"]],
  ["", "a", ["-", "+a"]],
])("the difference of %j and %j", (before, after, lines) => expect(diffOf(before, after)).toEqual(lines));
