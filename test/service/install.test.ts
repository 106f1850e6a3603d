import { describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { configFrom } from "../../src/config.ts";
import {
  installService,
  previewInstall,
  startsWith,
  statusOf,
  textOf,
  uninstallService,
} from "../../src/service/install.ts";
import { placeOf, type Plan, planOf } from "../../src/service/plan.ts";
import { Bench } from "./fakes.ts";

const agent = "/Users/builder/Library/LaunchAgents/com.meshmac.work.plist";
const daemon = "/Library/LaunchDaemons/com.meshmac.serve.plist";
const unit = "/etc/systemd/system/meshmac-serve.service";

function planned(servant: "work" | "serve", { machine }: Bench, raw: unknown = {}): Plan {
  const platform = machine.platform === "darwin" ? "darwin" : "linux";
  const { config } = configFrom(raw, { base: "/srv/meshmac", env: {} });
  const { user, home, env } = machine;
  const [file, binary] = ["/srv/meshmac/meshmac.config.yaml", "/usr/local/bin/meshmac"];
  return planOf({ servant, platform, config, file, binary, user, home, env });
}

const root = { uid: 0, user: "builder" };

describe("a worker on a Mac", () => {
  const start = [`enable gui/501/com.meshmac.work`, `bootstrap gui/501 ${agent}`];

  test("is installed as a LaunchAgent and started; again changes nothing", async () => {
    using bench = new Bench("darwin");
    const plan = planned("work", bench);
    const first = await installService(plan, bench.machine);
    expect(first).toEqual({
      lines: [`wrote ${agent}`, "com.meshmac.work is loaded and starts with every login"],
      differs: false,
    });
    expect(bench.read(agent)).toBe(textOf(plan));
    expect(statSync(bench.machine.root + agent).mode & 0o777).toBe(0o644);
    expect(statSync(`${bench.machine.root}/Users/builder/Library/Logs/meshmac`).mode & 0o777).toBe(0o700);
    expect(bench.calls).toEqual(start);

    const again = await installService(plan, bench.machine);
    expect(again.lines).toEqual([`${agent} is as it should be`, "com.meshmac.work is loaded"]);
    expect(bench.calls).toEqual(start);
    expect(readdirSync(dirname(bench.machine.root + agent))).toEqual(["com.meshmac.work.plist"]);
  });

  test("says what to type at the Mac where nobody is logged in, and is started by a later install", async () => {
    using bench = new Bench("darwin");
    bench.write("no-session", "");
    const { lines, differs } = await installService(planned("work", bench), bench.machine);
    expect(differs).toBe(false);
    expect(lines.join("\n")).toContain("nobody is logged in at this Mac's screen");
    expect(lines.at(-1)).toBe(`  launchctl bootstrap gui/501 ${agent}`);
    expect(bench.calls).toEqual([]);
    expect(bench.read(agent)).not.toBeNull();
  });

  test("says what to type where launchd refuses", async () => {
    using bench = new Bench("darwin");
    bench.write("refused", "");
    const { lines } = await installService(planned("work", bench), bench.machine);
    expect(lines.at(-2)).toContain("Bootstrap failed: 5: Input/output error");
    expect(lines.at(-1)).toBe(`  launchctl bootstrap gui/501 ${agent}`);
  });

  test("is refused to root", async () => {
    using bench = new Bench("darwin", { uid: 0 });
    await expect(installService(planned("work", bench), bench.machine)).rejects.toMatchObject({ kind: "usage" });
    expect(bench.read(agent)).toBeNull();
  });
});

describe("a file that differs", () => {
  test("is shown and left, an edit by what was edited", async () => {
    using bench = new Bench("darwin");
    const plan = planned("work", bench);
    await installService(plan, bench.machine);
    bench.edit(agent, (text) => text.replace("<integer>30</integer>", "<integer>5</integer>"));
    const edited = bench.read(agent);
    const { lines, differs } = await installService(plan, bench.machine);
    expect(differs).toBe(true);
    expect(lines[0]).toBe(`${agent} was edited since meshmac wrote it; it was left as it is:`);
    expect(lines.filter((line) => /^[-+]/.test(line))).toEqual(["-  <integer>5</integer>", "+  <integer>30</integer>"]);
    expect(bench.read(agent)).toBe(edited);
  });

  test("of other settings is told from an edit, and of somebody else from both", async () => {
    using bench = new Bench("darwin");
    await installService(planned("work", bench), bench.machine);
    const longer = planned("work", bench, { lanes: { ios: { timeout: "3h" } } });
    const other = await installService(longer, bench.machine);
    expect(other.lines[0]).toContain("was written for other settings or by another meshmac");
    bench.edit(agent, () => "<plist/>\n");
    const foreign = await installService(longer, bench.machine);
    expect(foreign.lines[0]).toContain("was not written by meshmac");
    expect(bench.read(agent)).toBe("<plist/>\n");
  });

  test("is shown without what looks like a secret in it", async () => {
    using bench = new Bench("darwin");
    await installService(planned("work", bench), bench.machine);
    const token = `ghp_${"a1B2".repeat(9)}`;
    bench.edit(agent, (text) => text.replace("</dict>", `<key>X</key><string>${token}</string></dict>`));
    const { lines } = await installService(planned("work", bench), bench.machine);
    expect(lines.join("\n")).not.toContain(token);
  });

  test("is replaced when asked, each time with a backup of its own; what runs is left running", async () => {
    using bench = new Bench("darwin");
    const plan = planned("work", bench);
    await installService(plan, bench.machine);
    for (const [backup, seconds] of [
      [".bak", "5"],
      [".bak2", "6"],
    ]) {
      bench.edit(agent, (text) => text.replace("<integer>30</integer>", `<integer>${seconds}</integer>`));
      const { lines, differs } = await installService(plan, bench.machine, { replace: true });
      expect(differs).toBe(false);
      expect(lines).toContain(`kept ${agent}${backup}`);
      expect(lines.slice(-3)).toEqual([
        "com.meshmac.work still runs as it was; when its running script may end:",
        "  launchctl bootout gui/501/com.meshmac.work",
        `  launchctl bootstrap gui/501 ${agent}`,
      ]);
      expect(bench.read(agent)).toBe(textOf(plan));
      expect(bench.read(`${agent}${backup}`)).toContain(`<integer>${seconds}</integer>`);
    }
    expect(bench.calls.filter((call) => call.startsWith("bootout"))).toEqual([]);
  });
});

describe("a dry run", () => {
  test("shows what would be written and changes nothing, without rights too", async () => {
    using bench = new Bench("darwin");
    const plan = planned("serve", bench); // which only root installs
    const { lines, differs } = previewInstall(plan, bench.machine);
    expect(differs).toBe(true);
    expect(lines[0]).toBe(`${daemon} is not there; it would be written:`);
    expect(lines).toContain("+  <string>com.meshmac.serve</string>");
    expect(lines.slice(1).filter((line) => !line.startsWith("+"))).toEqual([]);
    expect([bench.read(daemon), bench.calls]).toEqual([null, []]);
  });

  test("shows the diff to what is there, whose it is, and nothing where it is as it should be", async () => {
    using bench = new Bench("darwin");
    const plan = planned("work", bench);
    await installService(plan, bench.machine);
    const { calls } = bench;
    expect(previewInstall(plan, bench.machine)).toEqual({ lines: [`${agent} is as it should be`], differs: false });
    bench.edit(agent, (text) => text.replace("<integer>30</integer>", "<integer>5</integer>"));
    const edited = bench.read(agent);
    const { lines, differs } = previewInstall(plan, bench.machine);
    expect(differs).toBe(true);
    expect(lines[0]).toBe(`${agent} was edited since meshmac wrote it; with --replace:`);
    expect(lines.filter((line) => /^[-+]/.test(line))).toEqual(["-  <integer>5</integer>", "+  <integer>30</integer>"]);
    expect([bench.read(agent), bench.calls]).toEqual([edited, calls]);
  });
});

describe("uninstall", () => {
  test("ends the service and removes what install wrote, and says so; again there is nothing", async () => {
    using bench = new Bench("darwin");
    await installService(planned("work", bench), bench.machine);
    const place = placeOf("work", "darwin", "/Users/builder");
    const { lines } = await uninstallService(place, bench.machine);
    expect(lines.slice(0, 2)).toEqual(["com.meshmac.work was stopped", `removed ${agent}`]);
    expect(bench.calls.at(-1)).toBe("bootout gui/501/com.meshmac.work");
    expect(bench.read(agent)).toBeNull();
    expect((await uninstallService(place, bench.machine)).lines).toEqual([`no ${agent}: nothing to remove`]);
  });

  test("says when the end has to wait for a script", async () => {
    using bench = new Bench("darwin");
    await installService(planned("work", bench), bench.machine);
    bench.write("draining", "");
    const { lines } = await uninstallService(placeOf("work", "darwin", "/Users/builder"), bench.machine);
    expect(lines[0]).toBe("com.meshmac.work ends when its running script has");
  });

  test("keeps an edited file as a backup, and leaves one that is not ours", async () => {
    using bench = new Bench("darwin");
    const place = placeOf("work", "darwin", "/Users/builder");
    await installService(planned("work", bench), bench.machine);
    bench.edit(agent, (text) => text.replace("<integer>30</integer>", "<integer>5</integer>"));
    const { lines } = await uninstallService(place, bench.machine);
    expect(lines).toContain(`kept ${agent}.bak, because it was edited since meshmac wrote it`);
    expect(bench.read(agent)).toBeNull();

    bench.edit(agent, () => "<plist/>\n");
    const calls = bench.calls.length;
    expect((await uninstallService(place, bench.machine)).differs).toBe(true);
    expect([bench.read(agent), bench.calls.length]).toEqual(["<plist/>\n", calls]);
  });
});

describe("a gateway", () => {
  test("on a Mac is a LaunchDaemon of its own user, which only root installs", async () => {
    using bench = new Bench("darwin");
    await expect(installService(planned("serve", bench), bench.machine)).rejects.toMatchObject({ kind: "permission" });
    const machine = { ...bench.machine, ...root };
    const { lines } = await installService(planned("serve", bench), machine);
    expect(lines.at(-1)).toBe("com.meshmac.serve is loaded and starts with every boot");
    expect(bench.calls).toEqual([
      `chown -h builder ${bench.machine.root}/srv/meshmac/state`,
      "enable system/com.meshmac.serve",
      `bootstrap system ${daemon}`,
    ]);
  });

  test("on Linux is a systemd unit; again changes nothing, and a replaced one says how to restart", async () => {
    using bench = new Bench("linux", root);
    mkdirSync(`${bench.machine.root}/srv/meshmac/state`, { recursive: true });
    const plan = planned("serve", bench);
    const { lines } = await installService(plan, bench.machine);
    expect(lines).toEqual([
      `wrote ${unit}`,
      "meshmac-serve.service was started and starts with every boot; its log: journalctl -u meshmac-serve.service",
    ]);
    const started = ["daemon-reload", "enable meshmac-serve.service", "start meshmac-serve.service"];
    expect(bench.calls).toEqual(started);
    expect((await installService(plan, bench.machine)).lines).toEqual([
      `${unit} is as it should be`,
      "meshmac-serve.service runs",
    ]);
    expect(bench.calls.slice(3)).toEqual(started.slice(0, 2));
    bench.edit(unit, (text) => text.replace("RestartSec=2", "RestartSec=9"));
    const replaced = await installService(plan, bench.machine, { replace: true });
    expect(replaced.lines.slice(-1)).toEqual(["  systemctl restart meshmac-serve.service"]);
    const gone = await uninstallService(placeOf("serve", "linux", "/root"), bench.machine);
    expect(gone.lines).toContain(`removed ${unit}`);
    expect(bench.calls.slice(-3)).toEqual([
      "disable meshmac-serve.service",
      "stop --no-block meshmac-serve.service",
      "daemon-reload",
    ]);
  });

  test("is not run by root unless that is meant, nor by a user who is not there", async () => {
    using bench = new Bench("linux", { uid: 0, user: "root" });
    const plan = planned("serve", bench);
    await expect(installService(plan, bench.machine)).rejects.toMatchObject({ kind: "usage" });
    await expect(installService({ ...plan, user: "nobody-here" }, bench.machine)).rejects.toMatchObject({
      kind: "config",
    });
    await expect(installService({ ...plan, user: "-rf" }, bench.machine)).rejects.toMatchObject({ kind: "usage" });
    expect(bench.read(unit)).toBeNull();
    expect((await installService(plan, bench.machine, { asRoot: true })).differs).toBe(false);
  });

  test("says what systemd said where it does not start, and where there is none", async () => {
    using bench = new Bench("linux", root);
    bench.write("refused", "");
    await expect(installService(planned("serve", bench), bench.machine)).rejects.toMatchObject({
      kind: "unavailable",
      message: "systemctl start failed: Job failed",
    });
    const place = placeOf("serve", "linux", "/root");
    expect(await statusOf(place, bench.machine)).toMatchObject({ written: "ours", running: false, last_exit: 78 });
  });

  test("is not installed where there is no systemd, and its file says what would be", async () => {
    using bench = new Bench("linux", root);
    rmSync(`${bench.dir}/fakes/systemctl`);
    const bare = { ...bench.machine, path: `${bench.dir}/fakes` };
    await expect(installService(planned("serve", bench), bare)).rejects.toMatchObject({
      kind: "unavailable",
      message: "systemctl daemon-reload failed: no systemctl on this machine",
    });
  });
});

test.each([
  ["work", "darwin", {}],
  ["serve", "linux", root],
] as const)("a service knows the configuration that it starts with: %s on %s", async (servant, platform, more) => {
  using bench = new Bench(platform, more);
  const place = placeOf(servant, platform, "/Users/builder");
  const file = "/srv/meshmac/meshmac.config.yaml";
  expect(startsWith(place, bench.machine, file)).toBeNull();
  await installService(planned(servant, bench), bench.machine);
  expect(startsWith(place, bench.machine, file)).toBe(true);
  expect(startsWith(place, bench.machine, "/srv/meshmac/meshmac.config")).toBe(false);
  expect(startsWith(place, bench.machine, "/srv/other/meshmac.config.yaml")).toBe(false);
});

describe("status", () => {
  test("says whose the file is, and what launchd says", async () => {
    using bench = new Bench("darwin");
    const place = placeOf("work", "darwin", "/Users/builder");
    expect(await statusOf(place, bench.machine)).toEqual({
      service: "work",
      kind: "agent",
      file: agent,
      written: "none",
      loaded: false,
      running: false,
      pid: null,
      last_exit: null,
    });
    await installService(planned("work", bench), bench.machine);
    expect(await statusOf(place, bench.machine)).toMatchObject({
      written: "ours",
      running: true,
      pid: 4711,
      last_exit: 0,
    });
    bench.edit(agent, (text) => `${text}<!-- mine -->\n`);
    expect(await statusOf(place, bench.machine)).toMatchObject({ written: "edited" });
  });

  test("says that nothing is installed", async () => {
    using bench = new Bench("linux", root);
    const place = placeOf("serve", "linux", "/root");
    expect(await statusOf(place, bench.machine)).toMatchObject({ written: "none", loaded: false, running: false });
  });
});
