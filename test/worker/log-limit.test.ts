import { expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { logBounds } from "../../src/core/log-bounds.ts";
import { secretSpans } from "../../src/core/redact.ts";
import { LineMask } from "../../src/core/lines.ts";
import { Pump } from "../../src/worker/pump.ts";
import { ShippedLog } from "../../src/worker/ship.ts";
import { realClock } from "../../src/worker/clock.ts";
import type { House } from "../../src/worker/house.ts";
import { canMount, onSmallDisk } from "../fakes/small-disk.ts";
import { MemoryStore } from "./memory-store.ts";
import { until, Yard } from "./yard.ts";

// Real processes on a busy machine.
setDefaultTimeout(60_000);

const kibi = 1024;
const cutLine = /\n\[(\d+) bytes left out here: a log is cut at \d+ bytes\]\n/;

/** What of a log lies before and after the line that tells of a cut. */
function parted(log: string): { head: string; left: number; tail: string } {
  const [head = "", left = "0", tail = ""] = log.split(cutLine);
  return { head, left: Number(left), tail };
}

test("of a long log head and tail are kept, in whole lines, and one line says how much is missing", async () => {
  await using yard = new Yard();
  yard.store.log_limit = 256 * kibi;
  const { log, result } = await yard.run("seq 1 500000; echo the end");
  const all = `${Array.from({ length: 500_000 }, (_, i) => i + 1).join("\n")}\nthe end\n`;
  const { head, left, tail } = parted(log);
  expect(log.length).toBeLessThanOrEqual(256 * kibi);
  expect(head.length).toBeGreaterThan(150 * kibi);
  expect(tail.length).toBeGreaterThan(50 * kibi);
  expect(all.startsWith(head)).toBe(true);
  expect(all.endsWith(tail)).toBe(true);
  expect([head.at(-1), tail]).toEqual(["\n", expect.stringMatching(/^\d{6}\n/)]);
  expect(head.length + left + tail.length).toBe(all.length);
  expect(result?.log_tail).toEqual([...Array.from({ length: 19 }, (_, i) => `${499_982 + i}`), "the end"]);
});

test("a log that fits is whole, also where the head is full and the rest came late", async () => {
  await using yard = new Yard();
  yard.store.log_limit = 256 * kibi;
  const lines = 256 * kibi - 400;
  const { log } = await yard.run(`yes 'a line of fifteen'| head -c ${lines}`);
  expect(log).toBe("a line of fifteen\n".repeat(Math.ceil(lines / 18)).slice(0, lines));
});

test("the head arrives while the script runs, the tail when it ends", async () => {
  await using yard = new Yard();
  yard.store.log_limit = 64 * kibi;
  yard.script("build", `seq 1 100000; echo last; until [ -e ${yard.path("end")} ]; do sleep 0.02; done`);
  const { run_id } = yard.store.add({});
  const worker = yard.start({ once: true });
  await until("the head arrived", () => yard.store.logOf(run_id).length > 40_000);
  await Bun.write(yard.path("end"), "");
  await worker.done;
  expect(yard.store.logOf(run_id)).toEndWith("\n100000\nlast\n");
});

test("what failed is found in what is left out, and hidden as everything is", async () => {
  await using yard = new Yard();
  yard.store.log_limit = 64 * kibi;
  const named = `echo "Test Case '-[AppTests.LoginTests acme-canary-value-1]' failed (0.1 seconds)."`;
  const hidden = { masked: () => ["acme-canary-value-1"] };
  const { log, result } = await yard.run(`seq 1 100000; ${named}; seq 1 100000; exit 65`, {}, hidden);
  expect(log).not.toContain("Test Case");
  expect(result).toMatchObject({ state: "failed", failing_target: "AppTests.LoginTests.***" });
});

const values = ["acme-canary-value/one+two"];
const find = secretSpans(values);

/** Prints these pieces into a pump whose log has this limit; answers what was shipped, and the tail that the result would show. */
async function pumped(pieces: Uint8Array[], limit: number): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), "meshmac-pump-"));
  try {
    const store = new MemoryStore();
    const house = {
      store,
      node: { id: "mac-07" },
      clock: realClock,
      chance: () => 0,
      find,
      mask: (text: string) => text,
    };
    const held = { run_id: "run", attempt: 1 };
    const shipped = await ShippedLog.open(house as unknown as House, held, join(dir, "log"), logBounds(limit).head);
    const output = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const piece of pieces) if (piece.length > 0) controller.enqueue(piece);
        controller.close();
      },
    });
    const pump = new Pump(house as unknown as House, shipped, output, limit);
    await pump.end(10_000);
    expect(await shipped.shipped(10_000)).toBe(0);
    await shipped.close();
    return Buffer.from(store.logs.get("run 1") ?? []).toString("latin1");
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

test("wherever output is cut into pieces and however long it is: within the limit, a head, a tail, and no secret", async () => {
  const limit = 64 * kibi;
  const piece = fc.oneof(
    {
      weight: 3,
      arbitrary: fc
        .integer({ min: 1, max: 40_000 })
        .map((n) => `${"line of a build\n".repeat(n / 16 + 1).slice(0, n)}`),
    },
    fc.constantFrom(`${values[0]}`, `with ${values[0]} in it\n`, btoa(values[0] ?? ""), "x".repeat(70_000)),
    fc.constantFrom("-----BEGIN PRIVATE KEY-----\n", `${"MIIabcMIIabc\n".repeat(50)}`, "-----END PRIVATE KEY-----\n"),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 16 }), fc.array(fc.nat(), { maxLength: 20 }), async (said, cuts) => {
      const text = said.join("");
      const at = cuts.map((number) => number % (text.length + 1)).toSorted((a, b) => a - b);
      const pieces = [0, ...at].map((from, i) => Buffer.from(text.slice(from, at[i] ?? text.length), "latin1"));
      const log = await pumped(pieces, limit);
      const mask = new LineMask(find);
      const whole = mask.push(text) + mask.end();
      const { head, tail } = parted(log);
      expect(log.length).toBeLessThanOrEqual(limit);
      expect(log === whole || (cutLine.test(log) && whole.startsWith(head) && whole.endsWith(tail))).toBe(true);
      if (Math.max(text.length, whole.length) < limit - 400) expect(log === whole).toBe(true);
      expect(log).not.toContain("canary");
      expect(log).not.toContain(btoa(values[0] ?? "").slice(4, -4));
    }),
    { numRuns: 150 },
  );
});

test("the log of a lost attempt arrives when the store is back, after the run went on", async () => {
  await using yard = new Yard();
  yard.store.numbers = { ttl_ms: 700, heartbeat_ms: 100, fence_ms: 400, timeout_ms: 60_000 };
  yard.script("build", `echo one; until [ -e ${yard.path("cut")} ]; do sleep 0.02; done; echo two; sleep 60`);
  const { run_id } = yard.store.add({});
  const log = yard.store.log.bind(yard.store);
  yard.store.log = async (chunk) =>
    chunk.late ? await log(chunk) : yard.store.words.has(run_id) ? "stale" : await log(chunk);
  const worker = yard.start();
  await until("the first line arrived", () => yard.store.logOf(run_id) === "one\n");
  yard.store.cut = true;
  await Bun.write(yard.path("cut"), "");
  await until("the attempt was lost", () => yard.events.some(({ what }) => what === "lost"));
  expect(yard.store.logOf(run_id)).toBe("one\n");
  yard.store.say(run_id, "stale");
  yard.store.cut = false;
  await until("the rest arrived", () => yard.store.logOf(run_id) === "one\ntwo\n");
  await until("its folder is gone", () => !readdirSync(yard.node.work_dir).some((name) => name.startsWith(run_id)));
  worker.stop();
  await worker.done;
});

test("a worker that starts ships the log that an earlier one left, and removes the rest at once", async () => {
  await using yard = new Yard();
  const run_id = "01975f3e-0000-7000-8000-000000000abc";
  const dir = join(yard.node.work_dir, `${run_id}-3`);
  mkdirSync(join(dir, "work"), { recursive: true, mode: 0o700 });
  writeFileSync(join(dir, "task.json"), JSON.stringify({ run_id }));
  writeFileSync(join(dir, "log"), "what it had printed\n");
  writeFileSync(join(dir, "work", "checkout"), "large");
  yard.store.cut = true;
  const worker = yard.start();
  await until("its work is gone", () => !existsSync(join(dir, "work")));
  yard.store.cut = false;
  await until("the log arrived", () => yard.store.logOf(run_id, 3) === "what it had printed\n");
  await until("its folder is gone", () => !existsSync(dir));
  worker.drain();
  await worker.done;
});

test("a store that wants none of it ends the matter", async () => {
  await using yard = new Yard();
  let calls = 0;
  yard.store.log = async () => (calls++, "stale");
  const { result } = await yard.run("echo one");
  expect(result?.state).toBe("succeeded");
  expect(calls).toBe(2); // once as the one who holds it, once late
  expect(readdirSync(yard.node.work_dir).filter((name) => name.endsWith("-1"))).toEqual([]);
});

test.skipIf(!canMount)(
  "a full disk of the node cuts the log, says so, keeps its end, and does not fail the run",
  () => {
    const said = onSmallDisk(join(import.meta.dir, "full-disk.ts"), "1m") as { log: string; result: unknown };
    const [head = "", left, tail = ""] = said.log.split(
      /\n\[(\d+) bytes left out here: the disk of the node was full\]\n/,
    );
    const all = `${Array.from({ length: 600_000 }, (_, i) => i + 1).join("\n")}\nthe end\n`;
    expect(head.length).toBeGreaterThan(500_000);
    expect(all.startsWith(head)).toBe(true);
    expect(all.endsWith(tail)).toBe(true);
    expect(tail).toEndWith("600000\nthe end\n");
    expect(head.length + Number(left) + tail.length).toBe(all.length);
    expect(said.result).toMatchObject({ state: "succeeded", exit_code: 0 });
  },
);
