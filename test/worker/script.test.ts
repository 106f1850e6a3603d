import { expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isAlive, until, Yard } from "./yard.ts";

// Real processes on a busy machine.
setDefaultTimeout(30_000);

test("runs the script in an empty folder of its own and says that it succeeded", async () => {
  await using yard = new Yard();
  const { result, log, run_id } = await yard.run('ls -A; pwd; echo "commit=0a1b2c3d4e" > "$MESHMAC_RESULT_FILE"; cat');
  expect(result).toMatchObject({ state: "succeeded", attempt: 1, exit_code: 0, reason: null, commit: "0a1b2c3d4e" });
  expect(log).toBe(`${yard.node.work_dir}/${run_id}-1/work\n`);
  expect(result?.log_tail).toEqual([`${yard.node.work_dir}/${run_id}-1/work`]);
  expect(readdirSync(yard.node.work_dir).toSorted()).toEqual(["orphans", "place"]);
  expect(readdirSync(join(yard.node.work_dir, "orphans"))).toEqual([]);
});

test("keeps both outputs in the order they were printed, also through /dev/stdout", async () => {
  await using yard = new Yard();
  const { log } = await yard.run("for i in 1 2 3; do echo o$i; echo e$i >&2; echo d$i > /dev/stdout; done");
  expect(log).toBe("o1\ne1\nd1\no2\ne2\nd2\no3\ne3\nd3\n");
});

test.each([
  ["exit 3", { state: "failed", reason: "exit status 3", exit_code: 3 }],
  ["kill -9 $$", { state: "failed", reason: "killed by SIGKILL", exit_code: null }],
  ["kill -TERM $$", { state: "failed", reason: "killed by SIGTERM", exit_code: null }],
] as const)("says how a script failed: %s", async (body, said) => {
  await using yard = new Yard();
  expect((await yard.run(body)).result).toMatchObject(said);
});

test("says that a script is not there, and starts nothing", async () => {
  await using yard = new Yard();
  yard.store.add({ script: "deploy" });
  await yard.start({ once: true }).done;
  expect(yard.store.results).toMatchObject([
    { state: "failed", reason: 'no executable script "deploy" on this node', exit_code: null },
  ]);
});

test("names to the store only the executable files of its folder", async () => {
  await using yard = new Yard();
  for (const name of ["build", "test.sh", "plain", "UPPER", ".hidden", "inside"]) yard.script(name, "");
  writeFileSync(yard.path("outside"), "#!/bin/sh\n", { mode: 0o755 });
  chmodSync(join(yard.node.scripts_dir, "plain"), 0o644);
  symlinkSync(yard.path("outside"), join(yard.node.scripts_dir, "escape"));
  symlinkSync(join(yard.node.scripts_dir, "build"), join(yard.node.scripts_dir, "linked"));
  symlinkSync(yard.dir, join(yard.node.scripts_dir, "folder"));
  expect(await yard.start({ once: true }).done).toBe("nothing");
  expect(yard.store.asks[0]?.facts).toMatchObject({
    scripts: ["build", "inside", "linked", "test"],
    labels: ["xcode-16"],
    concurrency: 1,
  });
});

test("a script that runs too long is asked to end, then made to", async () => {
  await using yard = new Yard();
  yard.store.numbers.timeout_ms = 300;
  const polite = await yard.run('trap "echo bye; exit 0" TERM; while :; do sleep 0.05; done');
  expect(polite.result).toMatchObject({ state: "failed", reason: "timed_out", exit_code: 0 });
  expect(polite.log).toEndWith("bye\n");
  const stubborn = await yard.run('trap "" TERM; while :; do sleep 0.05; done', {}, { grace: 100 });
  expect(stubborn.result).toMatchObject({ state: "failed", reason: "timed_out", exit_code: null });
});

test("whoever of the script's group is left dies with it", async () => {
  await using yard = new Yard();
  const { result } = await yard.run(
    `(trap "" TERM HUP; echo $$ >/dev/null; exec sleep 600) & echo $! > ${yard.path("pid")}`,
  );
  expect(result).toMatchObject({ state: "succeeded" });
  const pid = Number(yard.read("pid"));
  expect(pid).toBeGreaterThan(1);
  await until("it is gone", () => !isAlive(pid));
});

test("a process that left the group and the folder and hides its environment cannot hold the run open, and the wait for it is not the run's time", async () => {
  await using yard = new Yard();
  const leave =
    'const { pid } = Bun.spawn(["sleep","600"],{cwd:"/",env:{},detached:true,stdio:["ignore","inherit","inherit"]}); console.log(pid); process.exit()';
  const { result, log } = await yard.run(`${process.execPath} -e '${leave}'; echo done`);
  process.kill(Number.parseInt(log, 10), "SIGKILL");
  expect(result).toMatchObject({ state: "succeeded" });
  // Two seconds were given to its output since.
  expect(Date.now() - (result?.finished_at ?? Infinity)).toBeGreaterThanOrEqual(1900);
  expect(log).toEndWith("done\n");
});

test("a link or a pipe in place of the result file says nothing and blocks nothing", async () => {
  await using yard = new Yard();
  writeFileSync(yard.path("secret"), "summary=from elsewhere\n");
  const linked = await yard.run(`ln -s ${yard.path("secret")} "$MESHMAC_RESULT_FILE"`);
  expect(linked.result).toMatchObject({ state: "succeeded", summary: null });
  const piped = await yard.run('mkfifo "$MESHMAC_RESULT_FILE"');
  expect(piped.result).toMatchObject({ state: "succeeded", summary: null });
});

test("removes what the script left, folders without write permission included", async () => {
  await using yard = new Yard();
  await yard.run("mkdir -p a/b; touch a/b/c; chmod -R a-w a");
  expect(readdirSync(yard.node.work_dir).toSorted()).toEqual(["orphans", "place"]);
});
