import { describe, expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { environmentOf, fit } from "../../src/worker/environment.ts";
import { taskOf } from "./memory-store.ts";
import { Yard } from "./yard.ts";

// Real processes on a busy machine.
setDefaultTimeout(30_000);

const node = { id: "mac-07", labels: [], concurrency: 1, scripts_dir: "", work_dir: "", pass_env: [] as string[] };
const numbers = { attempt: 2, ttl_ms: 1, heartbeat_ms: 1, fence_ms: 1, timeout_ms: 1, log_limit: 1, run_url: null };
const files = { task: "/w/task.json", result: "/w/result" };
const isOwn = (text: string) => text.includes("s3cret");

test("is built from nothing", () => {
  const task = taskOf({ params: { scheme: "Release" } });
  const own = {
    PATH: "/bin",
    HOME: "/h",
    USER: "ci",
    LANG: "C",
    TMPDIR: "/t",
    BUN_X: "1",
    AWS_SECRET: "s3cret",
    XY: "1",
  };
  const passing = { ...node, pass_env: ["XY", "AWS_SECRET", "BUN_X", "NODE_OPTIONS", "MESHMAC_LOG_LEVEL", "ABSENT"] };
  const environment = environmentOf({ ...numbers, task }, files, { node: passing, own, isOwn });
  expect(environment).toEqual({
    PATH: "/bin",
    HOME: "/h",
    USER: "ci",
    LANG: "C",
    TMPDIR: "/t",
    XY: "1",
    MESHMAC_RUN_ID: task.run_id,
    MESHMAC_ATTEMPT: "2",
    MESHMAC_ISSUE_KEY: "MOB-12",
    MESHMAC_PROJECT: "MOB",
    MESHMAC_REPO_URL: "git@github.com:acme/app.git",
    MESHMAC_REF: "main",
    MESHMAC_SCRIPT: "build",
    MESHMAC_LANE: "ios",
    MESHMAC_NODE_ID: "mac-07",
    MESH_NODE_ID: "mac-07",
    MESHMAC_REQUESTED_BY: "Ada",
    MESHMAC_CORRELATION_ID: "c-1",
    MESHMAC_RUN_URL: "",
    MESHMAC_PARAM_SCHEME: "Release",
    MESHMAC_TASK_FILE: "/w/task.json",
    MESHMAC_RESULT_FILE: "/w/result",
  });
});

test("names the user of a worker that was started without $USER, as by cron or launchd", () => {
  const { stdout } = Bun.spawnSync(["id", "-un"]);
  const environment = environmentOf({ ...numbers, task: taskOf({}) }, files, { node, own: {}, isOwn: () => false });
  expect(environment.USER).toBe(stdout.toString().trim());
});

describe("a parameter", () => {
  test.each([
    ["a\nb\tc\u0000d\u0085e", "a b c d e"],
    ["\uD800x", "\uFFFDx"],
    ["x".repeat(9000), "x".repeat(8192)],
    ["ä".repeat(5000), "ä".repeat(4096)],
    [`${"x".repeat(8190)}😀`, "x".repeat(8190)],
  ])("fits an environment (%#)", (value, fitting) => expect(fit(value)).toBe(fitting));

  test("fits whatever it holds", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 20_000 }), (value) => {
        const fitting = fit(value);
        expect(Buffer.byteLength(fitting)).toBeLessThanOrEqual(8192);
        expect(/[\u0000-\u001F\u007F]/.test(fitting)).toBe(false);
        expect(fitting.isWellFormed()).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  test("reaches the script tamed, and its file raw", async () => {
    await using yard = new Yard();
    const params = { note: 'x\n$(touch pwned) `id` "\u0000; rm -rf /', __proto__: "no", "BAD-NAME": "no" };
    const { log } = await yard.run(
      'printf "%s\\n" "$MESHMAC_PARAM_NOTE"; ls -A; ls -l "$MESHMAC_TASK_FILE" | cut -c1-10; cat "$MESHMAC_TASK_FILE"',
      { params },
    );
    const [note, mode, ...task] = log.split("\n");
    expect(note).toBe('x $(touch pwned) `id` " ; rm -rf /');
    expect(mode).toBe("-rw-------");
    expect(JSON.parse(task.join("\n"))).toMatchObject({ v: 1, params: { note: params.note } });
  });
});

test("nothing of the worker's own environment or values reaches a script or its log", async () => {
  await using yard = new Yard();
  const canary = "canary-7f3a9c21-worker-value";
  process.env.MESHMAC_CANARY = canary;
  process.env.BUN_CANARY = canary;
  process.env.ACME_TOKEN = canary;
  yard.node.pass_env = ["ACME_TOKEN", "BUN_CANARY", "MESHMAC_CANARY"];
  const { log } = await yard.run(
    "env; echo; cat /proc/self/environ 2>/dev/null | tr '\\0' '\\n'",
    {},
    { masked: () => [canary] },
  );
  const names = [...log.matchAll(/^(\w+)=/gm)].map(([, name]) => name);
  const allowed =
    /^(PATH|HOME|USER|LANG|TMPDIR|PWD|OLDPWD|SHLVL|_|MESH_NODE_ID|MESHMAC_(RUN_ID|ATTEMPT|ISSUE_KEY|PROJECT|REPO_URL|REF|SCRIPT|LANE|NODE_ID|REQUESTED_BY|CORRELATION_ID|RUN_URL|TASK_FILE|RESULT_FILE))$/;
  expect(names.filter((name) => !allowed.test(name ?? ""))).toEqual([]);
  expect(log).not.toContain(canary);
  expect(log).not.toContain("***");
  for (const name of ["MESHMAC_CANARY", "BUN_CANARY", "ACME_TOKEN"]) delete process.env[name];
});
