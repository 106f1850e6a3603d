import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openRedis } from "../../../src/stores/redis.ts";
import { startRedis } from "../../fakes/redis-server.ts";
import { heldOf, leased, queue, resultOf } from "../conformance/given.ts";

// A gateway that drains logs onto the small disk that the first argument names, which something else has filled.
const state_dir = process.argv[2] ?? "";
const redis = await startRedis();
const store = await openRedis({ url: redis.url, pool: "acme", state_dir });
await queue(store);
const held = heldOf(await leased(store));
const all = Buffer.from("a line of a build that says a great deal\n".repeat(40_000));
const filler = join(state_dir, "filler");

/** Sends it as a node does; answers what the store wanted next. */
async function ship(from: number, to: number): Promise<number | "stale"> {
  let next: number | "stale" = from;
  while (next !== "stale" && next < to)
    next = await store.log({
      ...held,
      node: "mac-07",
      offset: next,
      bytes: all.subarray(next, Math.min(to, next + 200_000)),
    });
  return next;
}
const shown = async () => {
  const { size } = await store.readLog(held.run_id, 1, 0, 0);
  const { bytes } = await store.readLog(held.run_id, 1, 0, size);
  return Buffer.from(bytes).toString();
};
const drain = () => store.drain("gateway-1").catch((fault: Error) => fault.message);

fill(2 * 1024 * 1024 - 300_000);
await ship(0, 1_100_000);
const refused = await drain();
const taken = await ship(1_100_000, 1_400_000); // the node gets rid of the rest
const finished = await store.finish(resultOf(held));
const again = await drain();
const whileFull = await shown();
const notes = store.notes();
rmSync(filler);
const drained = [await drain(), await drain()];
const after = await shown();
const files = readdirSync(join(state_dir, "logs", held.run_id));
await store.close();
await redis.stop();

const line = "\n[the rest is left out here: the disk of the gateway was full]\n";
const kept = (text: string) => ({
  bytes: text.length - line.length,
  as_sent: text.slice(0, -line.length) === all.subarray(0, text.length - line.length).toString(),
  said: text.endsWith(line),
});
const said = { refused, taken, finished, again, notes, whileFull: kept(whileFull), drained, after: kept(after), files };
process.stdout.write(`\n${JSON.stringify(said)}\n`);

function fill(bytes: number): void {
  writeFileSync(filler, new Uint8Array(bytes));
}
