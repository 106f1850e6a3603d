import { expect, setDefaultTimeout, test } from "bun:test";
import { tmpdir } from "node:os";
import { configFrom } from "../../src/config.ts";
import { MeshError } from "../../src/core/error.ts";
import { keepPublished } from "../../src/gateway/published.ts";
import type { Rules } from "../../src/stores/store.ts";

setDefaultTimeout(10_000);

const configOf = (lane: string) =>
  configFrom({ lanes: { [lane]: {} }, node: { id: "mac-07" } }, { base: tmpdir(), env: {} }).config;

test("lanes that the store did not take are published again as soon as it is back", async () => {
  let faults = 2;
  const taken: string[][] = [];
  const back = Promise.withResolvers<void>();
  const store = {
    async publish({ lanes }: Rules) {
      if (faults-- > 0) throw new MeshError("unavailable", "redis is away");
      taken.push(Object.keys(lanes));
      back.resolve();
    },
  };
  const published = keepPublished(store, configOf("ios"));
  try {
    published.use(configOf("docs"));
    await back.promise;
    expect(taken).toEqual([["default", "docs"]]);
  } finally {
    published.stop();
  }
});

test("a configuration that is taken is published before anything else is asked of the store", () => {
  const taken: string[][] = [];
  const store = {
    async publish({ lanes }: Rules) {
      taken.push(Object.keys(lanes));
    },
  };
  const published = keepPublished(store, configOf("ios"));
  published.use(configOf("docs"));
  published.stop();
  expect(taken).toEqual([
    ["default", "ios"],
    ["default", "docs"],
  ]);
});
