import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { openRedis } from "../../src/stores/redis.ts";
import type { Store } from "../../src/stores/store.ts";
import { Folder } from "../config/folder.ts";
import { type RedisServer, startRedis } from "../fakes/redis-server.ts";
import { bytesOf, heldOf, leased, queue, resultOf, rulesOf } from "../stores/conformance/given.ts";

const main = join(import.meta.dir, "../../commands/main.ts");
const secret = "rest-canary-0011223344556677";
const encoded = btoa(secret);

let redis: RedisServer;
let store: Store;
let run_id: string;
const house = new Folder();

// A node that is trusted with Redis writes into it what no gateway has masked.
beforeAll(async () => {
  redis = await startRedis({ appendonly: "yes" });
  store = await openRedis({ url: redis.url, pool: "acme" });
  await store.publish(rulesOf());
  await queue(store, { summary: `what does ${secret} mean` });
  const held = heldOf(await leased(store));
  run_id = held.run_id;
  await store.log({
    ...held,
    node: "mac-07",
    offset: 0,
    bytes: bytesOf(`first\nplain ${secret}\nbase64 ${encoded}\n`),
  });
  await store.finish(resultOf(held, "failed", { failing_target: secret, log_tail: [`plain ${secret}`] }));
  await store.note([
    {
      at: 1,
      source: "jira",
      correlation_id: "c",
      outcome: "ignored",
      reason: `no ${secret}`,
      run_id: null,
      issue_key: "MOB-9",
    },
  ]);
  house.write("secrets.d/jira/rest.token", `${secret}\n`);
  house.write("secrets.d/jira/inbound.token", `${"i".repeat(40)}\n`);
  house.write(
    "meshmac.config.json",
    JSON.stringify({
      pool: "acme",
      store: `redis://127.0.0.1:${redis.port}/0`,
      sources: {
        jira: {
          kind: "jira",
          path: "/jira",
          token: "jira/inbound.token",
          build_when: [{ status: ["Building"] }],
          task: { script: "build-ios" },
          comment: { site: "https://acme.example", email: "bot@acme.example", token: "jira/rest.token" },
        },
      },
    }),
  );
});

afterAll(async () => {
  await store.close();
  await redis.stop();
  house[Symbol.dispose]();
});

async function runs(...words: string[]) {
  const child = Bun.spawn([process.execPath, main, "runs", ...words], {
    cwd: house.path,
    env: { PATH: process.env.PATH ?? "", HOME: house.path, USER: "builder" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [code, out, err] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()]);
  return { code, out, err };
}

describe("what an operator is shown holds no secret that is on this machine", () => {
  test.each([
    [["list"], "MOB-12"],
    [["list", "--json"], '"failing_target":"***"'],
    [["show", "RUN"], "plain ***"],
    [["show", "RUN", "--json"], "what does *** mean"],
    [["ignored"], "no ***"],
    [["logs", "RUN"], `plain ${"*".repeat(secret.length)}`],
  ])("runs %j", async (words, shown) => {
    const { code, out, err } = await runs(...words.map((word) => (word === "RUN" ? run_id : word)));
    expect(code, err).toBe(0);
    expect(out).toContain(shown);
    expect(out).not.toContain(secret);
    expect(out).not.toContain(encoded.slice(4, -4));
  });
});

test("a log is copied byte for byte but for that, from its first byte to its last", async () => {
  const { out } = await runs("logs", run_id);
  expect(out).toStartWith("first\nplain ");
  expect(Buffer.byteLength(out)).toBe(Buffer.byteLength(`first\nplain ${secret}\nbase64 ${encoded}\n`));
});

test("following a run that is over ends by itself", async () => {
  expect((await runs("logs", "-f", run_id)).out).toStartWith("first\n");
});

test("a reason is shown whole", async () => {
  const reason = `no build_when entry matched: ${"status is not set, ".repeat(8)}wanted "Building"`;
  await store.note([
    { at: 2, source: "jira", correlation_id: "c", outcome: "ignored", reason, run_id: null, issue_key: "MOB-10" },
  ]);
  expect((await runs("ignored")).out).toContain(reason);
});

describe("refuses", () => {
  test.each([
    [["logs", "--attempt=abc", "RUN"], 64, '--attempt expects a number from 1, got "abc"'],
    [["logs", "--attempt=0", "RUN"], 64, '--attempt expects a number from 1, got "0"'],
    [["logs", "--attempt=7", "RUN"], 65, "has no attempt 7\nhint: the last one is 1"],
    [["show", ""], 65, 'no run ""'],
    [["show", "nope"], 65, 'no run "nope"'],
  ] as const)("runs %j with %d", async (words, status, why) => {
    const { code, out, err } = await runs(...words.map((word) => (word === "RUN" ? run_id : word)));
    expect([code, out]).toEqual([status, ""]);
    expect(err).toContain(why);
  });
});
