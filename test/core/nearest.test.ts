import { expect, test } from "bun:test";
import { nearest } from "../../src/core/nearest.ts";

const commands = ["up", "serve", "work", "notify", "runs", "config"];

test.each([
  ["confg", "config"],
  ["sevre", "serve"],
  ["Serve", "serve"],
  ["serv", "serve"],
  ["wrok", "work"],
  ["run", "runs"],
  ["pu", "up"],
  ["frobnicate", undefined],
  ["x", undefined],
  ["", undefined],
])("takes %p for %p", (word, meant) => {
  expect(nearest(word, commands)).toBe(meant as string);
});

test("prefers the nearest of several", () => {
  expect(nearest("public_ur", ["public_url", "public_urls"])).toBe("public_url");
});
