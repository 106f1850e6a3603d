import { expect, test } from "bun:test";
import { openGatehouse, wanted } from "./gatehouse.ts";

// What a clock decides at the door, with the gateway's own clock moved by hand.

const minute = 60_000;
const edge = Date.UTC(2026, 10, 20, 12, 5, 0); // of the five-minute grid

async function at(...times: number[]) {
  let time = 0;
  const house = await openGatehouse({ now: () => time });
  return Object.assign(house, {
    told: async (...headers: Record<string, string>[]) => {
      const said: unknown[] = [];
      for (const [n, moment] of times.entries()) {
        time = moment;
        const { body } = await house.deliver(wanted(), headers[n] ?? {});
        said.push(body.status);
      }
      return said;
    },
  });
}

test("a duplicate one second either side of a five-minute edge makes one run", async () => {
  await using house = await at(edge - 1000, edge + 1000);
  expect(await house.told()).toEqual(["queued", "duplicate"]);
  expect((await house.store.list({ limit: 5 })).runs).toHaveLength(1);
});

test("the same intent is a new run once its window is over", async () => {
  await using house = await at(edge, edge + 5 * minute - 1, edge + 5 * minute);
  expect(await house.told()).toEqual(["queued", "duplicate", "queued"]);
});

test("the same delivery id half an hour later, and a week later, is a duplicate", async () => {
  const id = { "X-Atlassian-Webhook-Identifier": "69312270414585119" };
  await using house = await at(edge, edge + 30 * minute, edge + 7 * 24 * 60 * minute);
  expect(await house.told(id, id, id)).toEqual(["queued", "duplicate", "duplicate"]);
});

test("a late retry of a delivery that was a duplicate by intent makes no run either", async () => {
  const [first, second] = ["1", "2"].map((n) => ({ "X-Atlassian-Webhook-Identifier": `6931227041458511${n}` }));
  await using house = await at(edge, edge + 1000, edge + 30 * minute);
  expect(await house.told(first ?? {}, second ?? {}, second ?? {})).toEqual(["queued", "duplicate", "duplicate"]);
});
