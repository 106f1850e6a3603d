import { expect, test } from "bun:test";
import { cidrSet, parseCidr } from "../../src/core/cidr.ts";

const inside = cidrSet(["10.0.0.0/8", "203.0.113.7", "2001:db8::/32"]);

test.each([
  ["10.255.0.1", true],
  ["11.0.0.1", false],
  ["203.0.113.7", true],
  ["203.0.113.8", false],
  ["2001:db8:1::5", true],
  ["2001:db9::5", false],
  ["::ffff:10.0.0.1", true],
  ["::ffff:a00:1", true],
  ["::ffff:11.0.0.1", false],
  ["not an address", false],
  ["", false],
])("%s is inside: %p", (ip, expected) => {
  expect(inside(ip)).toBe(expected);
});

test("an empty set holds nobody", () => {
  expect(cidrSet([])("10.0.0.1")).toBe(false);
});

test.each([
  "10.0.0.0/33",
  "10.0.0/8",
  "::/129",
  "10.0.0.0/",
  "10.0.0.0/8/8",
  "10.0.0.0/-1",
  "fe80::1%en0",
  "atlassian",
  "",
])("refuses %p as a range", (text) => {
  expect(parseCidr(text)).toBeNull();
  expect(() => cidrSet([text])).toThrow(TypeError);
});
