import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { listOfPs, listProcesses } from "../../src/worker/processes.ts";
import { isAlive, until, Yard } from "./yard.ts";

// Real processes on a busy machine.
setDefaultTimeout(30_000);

// macOS has no setsid(1); there the same is done by daemon(3), which is not in any shell.
const setsid = Bun.which("setsid");

/** A process in a session of its own whose parent has ended: nobody's child, in nobody's group, deaf to SIGTERM. It goes with the test's folder at the latest. */
const daemon = (pidFile: string, env = "") =>
  `(${env} setsid sh -c 'trap "" TERM HUP; echo $$ > "${pidFile}.new"; mv "${pidFile}.new" "${pidFile}"; while [ -e "${pidFile}" ]; do sleep 0.1; done' >/dev/null 2>&1 &) ; until [ -e "${pidFile}" ]; do sleep 0.02; done`;

const pidIn = (yard: Yard, name: string) => Number(yard.read(name));

describe.skipIf(setsid === null)("a process that left its script's group and session", () => {
  test("dies when the script has ended by itself", async () => {
    await using yard = new Yard();
    const { result } = await yard.run(daemon(yard.path("pid")));
    expect(result).toMatchObject({ state: "succeeded" });
    expect(pidIn(yard, "pid")).toBeGreaterThan(1);
    expect(isAlive(pidIn(yard, "pid"))).toBe(false);
  });

  test.each([
    ["a cancel", {}, (yard: Yard, run_id: string) => yard.store.say(run_id, "cancel")],
    ["a lease that is another's", {}, (yard: Yard, run_id: string) => yard.store.say(run_id, "stale")],
    ["a stop", {}, (yard: Yard) => yard.workers[0]?.stop()],
    ["a timeout", { timeout_ms: 1500 }, () => {}],
    [
      "a fence",
      { ttl_ms: 3000, heartbeat_ms: 200, fence_ms: 1000 },
      (yard: Yard) => {
        yard.store.cut = true;
      },
    ],
  ])("dies with a script that ignores SIGTERM, at %s", async (_what, numbers, happen) => {
    await using yard = new Yard();
    Object.assign(yard.store.numbers, numbers);
    yard.script(
      "build",
      `trap "" TERM; ${daemon(yard.path("pid"))}; echo $$ > ${yard.path("own")}; while :; do sleep 0.1; done`,
    );
    const { run_id } = yard.store.add({ script: "build" });
    const worker = yard.start({ once: true, grace: 100 });
    await until("both run", () => yard.read("pid").endsWith("\n") && yard.read("own").endsWith("\n"));
    happen(yard, run_id);
    await until("neither runs", () => !isAlive(pidIn(yard, "own")) && !isAlive(pidIn(yard, "pid")));
    yard.store.cut = false;
    yard.store.stir();
    await worker.done;
  });

  test("is told to end before it is made to", async () => {
    await using yard = new Yard();
    const leaving = `setsid sh -c 'trap "echo told > ${yard.path("told")}; exit 0" TERM; echo $$ > ${yard.path("pid")}; while :; do sleep 0.05; done'`;
    yard.script("build", `${leaving} & child=$!; trap "wait $child" TERM; wait`);
    const { run_id } = yard.store.add({ script: "build" });
    const worker = yard.start({ once: true });
    await until("it runs", () => yard.read("pid").endsWith("\n"));
    yard.store.say(run_id, "cancel");
    await until("it was told", () => yard.read("told") === "told\n");
    await worker.done;
  });

  test("is found by its parents at a cancel, where it hides its environment", async () => {
    await using yard = new Yard();
    const hidden = `env -i PATH="$PATH" setsid sh -c 'trap "" TERM; echo $$ > ${yard.path("pid")}; while :; do sleep 0.1; done'`;
    yard.script("build", `${hidden} & wait`);
    const { run_id } = yard.store.add({ script: "build" });
    const worker = yard.start({ once: true, grace: 5000 });
    await until("it runs", () => yard.read("pid").endsWith("\n"));
    yard.store.say(run_id, "cancel");
    await worker.done;
    expect(isAlive(pidIn(yard, "pid"))).toBe(false);
  });

  test("of a worker that was killed dies before the next one asks for work, also when the script itself is over", async () => {
    await using yard = new Yard();
    yard.script("build", `${daemon(yard.path("pid"))}; echo $$ > ${yard.path("own")}; exec sleep 600`);
    const child = Bun.spawn([process.execPath, join(import.meta.dir, "lone-worker.ts"), JSON.stringify(yard.node)], {
      stdio: ["ignore", "ignore", "ignore"],
    });
    await until("both run", () => yard.read("own").endsWith("\n"));
    child.kill("SIGKILL");
    await child.exited;
    process.kill(pidIn(yard, "own"), "SIGKILL");
    await until("the script is gone", () => !isAlive(pidIn(yard, "own")));
    expect(isAlive(pidIn(yard, "pid"))).toBe(true);

    const lease = yard.store.lease.bind(yard.store);
    let alive: boolean | undefined;
    yard.store.lease = async (...asked) => {
      alive ??= isAlive(pidIn(yard, "pid"));
      return lease(...asked);
    };
    expect(await yard.start({ once: true }).done).toBe("nothing");
    expect(alive).toBe(false);
  });

  // The folder of a process is read from /proc; macOS has none.
  const inFolder = test.skipIf(process.platform !== "linux");

  inFolder("dies where it hid its environment too, as long as it works in the run's folder", async () => {
    await using yard = new Yard();
    await yard.run(`mkdir deep && cd deep && ${daemon(yard.path("pid"), 'env -i PATH="$PATH"')}`);
    expect(isAlive(pidIn(yard, "pid"))).toBe(false);
  });

  inFolder("of a worker that was killed dies where it hid its environment too", async () => {
    await using yard = new Yard();
    yard.script("build", `${daemon(yard.path("pid"), 'env -i PATH="$PATH"')}; exec sleep 600`);
    const child = Bun.spawn([process.execPath, join(import.meta.dir, "lone-worker.ts"), JSON.stringify(yard.node)], {
      stdio: ["ignore", "ignore", "ignore"],
    });
    await until("it runs", () => yard.read("pid").endsWith("\n"));
    child.kill("SIGKILL");
    await child.exited;
    expect(await yard.start({ once: true }).done).toBe("nothing");
    expect(isAlive(pidIn(yard, "pid"))).toBe(false);
  });

  inFolder("is left alone where it has a terminal: a person who looks into the folder", async () => {
    await using yard = new Yard();
    const { exited } = await lookAround(yard);
    await yard.run(`pwd > ${yard.path("folder")}; until [ -e ${yard.path("pid")} ]; do sleep 0.02; done`);
    expect(isAlive(pidIn(yard, "pid"))).toBe(true);
    process.kill(pidIn(yard, "pid"), "SIGKILL");
    await exited;
  });

  test("is left alone where it is another attempt's", async () => {
    await using yard = new Yard();
    const other = Bun.spawn(["sleep", "600"], {
      detached: true,
      stdio: ["ignore", "ignore", "ignore"],
      env: { MESHMAC_RUN_ID: "another", MESHMAC_ATTEMPT: "1" },
    });
    await yard.run("true");
    expect(isAlive(other.pid)).toBe(true);
    other.kill("SIGKILL");
  });
});

/** Somebody at a terminal who goes where a script says that it is. */
async function lookAround(yard: Yard): Promise<{ exited: Promise<number> }> {
  const folder = yard.path("folder");
  const look = `until [ -s ${folder} ]; do sleep 0.02; done; cd "$(cat ${folder})"; echo $$ > ${yard.path("pid")}; sleep 600 & wait`;
  const terminal = new Bun.Terminal({ cols: 80, rows: 24, data: () => {} });
  const shell = Bun.spawn(["setsid", "--ctty", "--wait", "sh", "-c", look], { terminal });
  return { exited: shell.exited };
}

test("the processes of this machine are listed with their parents and what they were told", async () => {
  const child = Bun.spawn(["sleep", "600"], { env: { MESHMAC_RUN_ID: "run-1", MESHMAC_ATTEMPT: "2" } });
  const find = async (...told: string[]) => (await listProcesses(told)).find(({ pid }) => pid === child.pid);
  await until("it has become sleep", () => process.platform !== "linux" || commandOf(child.pid) === "sleep");
  expect(await find("MESHMAC_RUN_ID=run-1", "MESHMAC_ATTEMPT=2")).toMatchObject({ parent: process.pid, told: true });
  expect(await find("MESHMAC_RUN_ID=run-1", "MESHMAC_ATTEMPT=1")).toMatchObject({ told: false });
  expect(await find("MESHMAC_RUN_ID=run-")).toMatchObject({ told: false });
  expect(await find()).toMatchObject({ told: false });
  child.kill("SIGKILL");
});

const commandOf = (pid: number): string => readFileSync(`/proc/${pid}/comm`, "utf8").trim();

test("the table that ps of macOS prints is read", () => {
  // As `ps -A -E -ww -o pid=,ppid=,pgid=,stat=,lstart=,command=` writes it there; macOS itself was not asked.
  const table = [
    "    1     0     1 Ss   Fri Nov 20 08:00:01 2026     /sbin/launchd",
    "  512     1   512 S    Sat Nov  7 09:30:00 2026     sleep 600 HOME=/Users/builder MESHMAC_RUN_ID=r-1 MESHMAC_ATTEMPT=2",
    "  513   512   512 Z    Sat Nov  7 09:30:00 2026     (sh)",
    "  514   512   512 S+   Sat Nov  7 09:30:01 2026     grep MESHMAC_RUN_ID=r-12",
    "junk",
    "",
  ].join("\n");
  const told = ["MESHMAC_RUN_ID=r-1", "MESHMAC_ATTEMPT=2"];
  expect(listOfPs(table, told)).toEqual([
    { pid: 1, parent: 0, group: 1, birth: "Fri Nov 20 08:00:01 2026", told: false, inside: false },
    { pid: 512, parent: 1, group: 512, birth: "Sat Nov  7 09:30:00 2026", told: true, inside: false },
    { pid: 514, parent: 512, group: 512, birth: "Sat Nov  7 09:30:01 2026", told: false, inside: false },
  ]);
});

/** A caffeinate that notes what it was told, and like the real one ends with the process that it waits for. */
function fake(yard: Yard): string {
  const path = yard.path("bin/caffeinate");
  mkdirSync(yard.path("bin"));
  writeFileSync(
    path,
    `#!/bin/sh\necho "$*" > ${yard.path("args")}\necho $$ > ${yard.path("caffeinate.pid")}\n[ "$1 $2 $3" = "-i -s -w" ] || exit 64\nwhile kill -0 "$4" 2>/dev/null; do sleep 0.05; done\n`,
  );
  chmodSync(path, 0o755);
  return path;
}

describe("caffeinate", () => {
  test("keeps the machine awake while a script runs, and no longer", async () => {
    await using yard = new Yard();
    yard.script("build", `echo $$ > ${yard.path("pid")}; until [ -e ${yard.path("end")} ]; do sleep 0.02; done`);
    yard.store.add({ script: "build" });
    const worker = yard.start({ once: true, caffeinate: fake(yard) });
    await until("it is awake", () => yard.read("caffeinate.pid").endsWith("\n") && yard.read("pid").endsWith("\n"));
    expect(yard.read("args")).toBe(`-i -s -w ${yard.read("pid")}`);
    expect(isAlive(pidIn(yard, "caffeinate.pid"))).toBe(true);
    await Bun.write(yard.path("end"), "");
    await worker.done;
    await until("it may sleep", () => !isAlive(pidIn(yard, "caffeinate.pid")));
  });

  test("that is not there costs no build", async () => {
    await using yard = new Yard();
    const { result } = await yard.run("true", {}, { caffeinate: yard.path("absent") });
    expect(result).toMatchObject({ state: "succeeded" });
  });
});
