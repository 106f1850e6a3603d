import { expect, test } from "bun:test";
import { configSchema } from "../../src/config.ts";
import { secretsOf } from "../../src/config/named.ts";
import { startHeartbeat } from "../../src/gateway/heartbeat.ts";
import { nap } from "../../src/gateway/stir.ts";
import { redactLog } from "../../src/log.ts";
import { openRemote, remote } from "../fakes/remote.ts";
import { until } from "../stores/conformance/given.ts";

/** Pings this address; a wait is a short one. Answers how long it wanted to wait. */
function beating(url: string, check: () => Promise<void>) {
  const { heartbeat } = configSchema().parse({ heartbeat: { url: "deadman/ping.url", every: "2m" } });
  for (const { secret } of secretsOf(heartbeat)) secret.bind(() => url);
  const waits: number[] = [];
  const { stop } = startHeartbeat({
    heartbeat,
    store: { check },
    sleep: (ms, signal) => {
      waits.push(ms);
      return nap(1, signal);
    },
  });
  return { waits, [Symbol.asyncDispose]: stop };
}

test("pings as often as configured, with nothing but a GET", async () => {
  using deadman = remote(200);
  await using beat = beating(`${deadman.url}/ping/abc123`, async () => {});
  const [ping] = await deadman.arrived(3);
  expect(ping).toMatchObject({ method: "GET", path: "/ping/abc123", text: "" });
  expect(new Set(beat.waits)).toEqual(new Set([120_000]));
});

test("falls silent while the store cannot be written", async () => {
  using deadman = remote(200);
  let writable = true;
  let asked = 0;
  await using _ = beating(`${deadman.url}/ping/abc123`, async () => {
    asked++;
    if (!writable) throw new Error("read-only");
  });
  await deadman.arrived(1);
  writable = false;
  const before = asked + 1; // one may be on its way
  await until(async () => asked > before);
  const { length } = deadman.requests;
  await until(async () => asked > before + 5);
  expect(deadman.requests).toHaveLength(length);
  writable = true;
  await deadman.arrived(length + 1);
});

test("says once that pings fail, and once that they work again, without the address", async () => {
  const lines: string[] = [];
  redactLog((line) => {
    lines.push(line);
    return line;
  });
  const say = { status: 302, headers: { Location: "/login" } };
  using deadman = openRemote({ service: () => ({ ...say }) });
  await using _ = beating(`${deadman.url}/ping/abc123`, async () => {});
  await deadman.arrived(4);
  say.status = 200;
  const { length } = deadman.requests;
  await deadman.arrived(length + 3);
  redactLog((line) => line);
  const said = lines.filter((line) => line.includes("heartbeat"));
  expect(said).toHaveLength(2);
  expect(said[0]).toContain("heartbeat failed");
  expect(said[1]).toContain("heartbeat works again");
  expect(said.join("\n")).not.toContain("/ping");
  expect(deadman.requests.every(({ path }) => path === "/ping/abc123")).toBe(true);
});

test("does nothing where none is configured", async () => {
  let asked = 0;
  const { stop } = startHeartbeat({
    heartbeat: undefined,
    store: {
      check: async () => {
        asked++;
      },
    },
  });
  await stop();
  expect(asked).toBe(0);
});
