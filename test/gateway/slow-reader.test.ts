import { expect, setDefaultTimeout, test } from "bun:test";
import { connect } from "node:net";
import type { Store } from "../../src/stores/store.ts";
import { askOf, heldOf, resultOf } from "../stores/conformance/given.ts";
import { eventually, openGatehouse, wanted } from "./gatehouse.ts";

setDefaultTimeout(60_000);

const mebi = 1024 * 1024;
const lines = Buffer.from("a line of a build that says a great deal\n".repeat(Math.ceil(mebi / 41)).slice(0, mebi));

test("a reader that stops reading costs no memory and holds up no other reader", async () => {
  const read = new Map<string, number>();
  const counting = (store: Store): Store => ({
    ...store,
    async readLog(run_id, attempt, from, limit) {
      const slice = await store.readLog(run_id, attempt, from, limit);
      read.set(run_id, (read.get(run_id) ?? 0) + slice.bytes.length);
      return slice;
    },
  });
  await using house = await openGatehouse({ wrap: counting });
  const runs: string[] = [];
  for (const key of ["MOB-1", "MOB-2"]) {
    await house.deliver(wanted(key));
    const lease = await house.store.lease(askOf());
    if (!lease) throw new Error("nothing to lease");
    const held = heldOf(lease);
    for (let i = 0; i < 60; i++) await house.store.log({ ...held, node: "mac-07", offset: i * mebi, bytes: lines });
    if (key === "MOB-2") await house.store.finish(resultOf(held));
    runs.push(held.run_id);
  }
  const [stuck = "", free = ""] = runs;
  const url = new URL(house.server.adminUrl);
  const before = process.memoryUsage().rss;
  const sockets = Array.from({ length: 20 }, () => {
    const socket = connect(Number(url.port), "127.0.0.1", () => {
      socket.pause();
      socket.write(`GET /api/v1/runs/${stuck}/log?follow=1 HTTP/1.1\r\nHost: ${url.host}\r\n\r\n`);
    });
    return socket;
  });
  await eventually("all have begun", () => (read.get(stuck) ?? 0) >= 20 * 256 * 1024);
  const whole = await (await fetch(`${url.origin}/api/v1/runs/${free}/log?follow=1`)).arrayBuffer();
  expect(whole.byteLength).toBe(60 * mebi);
  // What the kernel takes for a socket that nobody empties, and a few pages: not the 1,200 MiB that they asked for.
  expect(read.get(stuck)).toBeLessThan(20 * 12 * mebi);
  expect(process.memoryUsage().rss - before).toBeLessThan(400 * mebi);
  for (const socket of sockets) socket.destroy();
  const now = () => read.get(stuck) ?? 0;
  for (let last = -1; last !== now(); last = now())
    await (await fetch(`${url.origin}/api/v1/runs/${free}/log`)).arrayBuffer();
});
