import { expect, setDefaultTimeout, test } from "bun:test";
import { until, Yard } from "./yard.ts";

// Real processes on a busy machine.
setDefaultTimeout(30_000);

test("a line arrives while the script still runs", async () => {
  await using yard = new Yard();
  yard.script("build", `echo first; until [ -e ${yard.path("end")} ]; do sleep 0.02; done; echo last`);
  const { run_id } = yard.store.add({});
  const worker = yard.start({ once: true });
  await until("the first line arrived", () => yard.store.logOf(run_id) === "first\n");
  await Bun.write(yard.path("end"), "");
  await worker.done;
  expect(yard.store.logOf(run_id)).toBe("first\nlast\n");
});

test("a prompt without a line end arrives when its writer is quiet", async () => {
  await using yard = new Yard();
  yard.script("build", `printf 'compiling 12 '; until [ -e ${yard.path("end")} ]; do sleep 0.02; done; echo files`);
  const { run_id } = yard.store.add({});
  const worker = yard.start({ once: true });
  await until("the beginning of the line arrived", () => yard.store.logOf(run_id) === "compiling 12 ");
  await Bun.write(yard.path("end"), "");
  await worker.done;
  expect(yard.store.logOf(run_id)).toBe("compiling 12 files\n");
});

test("secrets are hidden before anything leaves, wherever they stand", async () => {
  await using yard = new Yard();
  const masked = ["acme-gateway-value-1"];
  const github = `ghp_${"a1B2".repeat(9)}`;
  const { log, result } = await yard.run(
    `echo "value acme-gateway-value-1 here"; echo ${btoa(masked[0] ?? "")}; echo "fetch with ${github}"; printf 'acme-gateway'; sleep 0.05; printf -- '-value-1\\n'
     echo "summary=used ${github}" >> $MESHMAC_RESULT_FILE; exit 1`,
    {},
    { masked: () => masked },
  );
  expect(log).toMatch(/^value \*{3} here\n\*{3}\S{0,4}\nfetch with \*{3}\n\*{3}\n$/);
  expect(result?.log_tail).toEqual(log.trimEnd().split("\n"));
  expect(result?.summary).toBe("used ***");
});

test("a value that the worker learns while a script runs is hidden from then on", async () => {
  await using yard = new Yard();
  const values = ["acme-store-password-1"];
  yard.script("build", `until [ -e ${yard.path("go")} ]; do sleep 0.02; done; echo "with acme-store-password-2"`);
  const { run_id } = yard.store.add({ script: "build" });
  const worker = yard.start({ once: true, masked: () => [...values] });
  await until("the script began", () => yard.events.some(({ what }) => what === "started"));
  values.push("acme-store-password-2");
  await Bun.write(yard.path("go"), "");
  await worker.done;
  expect(yard.store.logOf(run_id)).toBe("with ***\n");
});

test("bytes that are no text arrive as they were printed", async () => {
  await using yard = new Yard();
  const { run_id } = await yard.run(String.raw`printf 'a\377\376b\000c \303\244 \342\234\230\n'`);
  expect(Buffer.from(yard.store.logs.get(`${run_id} 1`) ?? []).toString("hex")).toBe(
    Buffer.from("a\xff\xfeb\x00c \xc3\xa4 \xe2\x9c\x98\n", "latin1").toString("hex"),
  );
});

test("the last twenty lines are plain and short", async () => {
  await using yard = new Yard();
  const { result } = await yard.run(
    String.raw`for i in $(seq 1 30); do echo "line $i"; done; printf '\033[31mred\033[0m\007 10%%\r20%%\rdone\n'; head -c 3000 /dev/zero | tr '\0' x; printf '\nno end'`,
  );
  expect(result?.log_tail).toHaveLength(20);
  expect(result?.log_tail.slice(0, 2)).toEqual(["line 14", "line 15"]);
  expect(result?.log_tail.slice(-3)).toEqual(["done", "x".repeat(500), "no end"]);
});

test("what failed is found anywhere in the log, and the result file knows better", async () => {
  await using yard = new Yard();
  const noisy = `echo "Test Case '-[AppTests.LoginTests testRefuses]' failed (0.1 seconds)."; seq 1 20000; `;
  const found = await yard.run(`${noisy} exit 65`);
  expect(found.result).toMatchObject({ state: "failed", failing_target: "AppTests.LoginTests.testRefuses" });
  const said = await yard.run(`${noisy} echo failing_target=Login > $MESHMAC_RESULT_FILE; exit 65`);
  expect(said.result).toMatchObject({ failing_target: "Login" });
  expect((await yard.run(`${noisy} exit 0`)).result).toMatchObject({ state: "succeeded", failing_target: null });
});

test("a long log arrives whole though the store takes little at a time, forgets answers and goes away", async () => {
  await using yard = new Yard();
  yard.store.appetite = 40_000;
  const log = yard.store.log.bind(yard.store);
  let calls = 0;
  yard.store.log = async (chunk) => {
    calls++;
    if (calls % 7 === 0) throw new Error("not reached");
    const next = await log(chunk);
    if (calls % 5 === 0) throw new Error("the answer was lost");
    return next;
  };
  const { log: whole } = await yard.run("seq 1 60000", {}, { clock: hurried() });
  expect(whole).toBe(`${Array.from({ length: 60_000 }, (_, i) => i + 1).join("\n")}\n`);
});

test("a script is not held up by a store that is gone, nor is its log kept in memory", async () => {
  await using yard = new Yard();
  yard.script(
    "build",
    `yes 'a line of a build that says a great deal' | head -c 250000000; echo over > ${yard.path("over")}`,
  );
  const { run_id } = yard.store.add({});
  yard.store.log = async () => {
    throw new Error("not reached");
  };
  const before = held();
  const worker = yard.start();
  await until("the script has printed it all", () => yard.read("over") !== "");
  expect(held() - before).toBeLessThan(50_000_000);
  worker.stop();
  await worker.done;
  expect(yard.store.logOf(run_id)).toBe("");
});

/** Bytes that something still refers to: what is only not collected yet is not kept. */
function held(): number {
  Bun.gc(true);
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** A clock whose waits are over at once, for a store that keeps refusing. */
function hurried() {
  return {
    now: () => Date.now(),
    monotonic: () => performance.now(),
    sleep: (ms: number, signal?: AbortSignal) =>
      new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms >= 10_000 ? ms : ms / 100);
        const wake = (): void => {
          clearTimeout(timer);
          resolve();
        };
        signal?.addEventListener("abort", wake, { once: true });
        if (signal?.aborted) wake();
      }),
  };
}
