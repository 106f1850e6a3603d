import { describe, expect, test } from "bun:test";
import { parseStranger } from "../../src/core/json.ts";

const nested = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);

describe("a stranger's JSON", () => {
  test.each([
    ["__proto__", '{"__proto__":{}}'],
    ["constructor", '{"a":[{"constructor" : 1}]}'],
    ["prototype", '{"a":{"prototype":1}}'],
    ["an escape at its start", '{"\\u005f_proto__":{}}'],
    ["an escape in its middle", '{"__pro\\u0074o__":{}}'],
    ["an escape at its end", '{"constructo\\u0072":{}}'],
  ])("may not hold the key %s", (_about, source) => expect(() => parseStranger(source)).toThrow("is not allowed"));

  test("may hold those words as values", () => {
    expect(parseStranger('{"a":"__proto__","b":["constructor"]}')).toEqual({ a: "__proto__", b: ["constructor"] });
  });

  test("is parsed to a depth of 32, and no deeper", () => {
    expect(() => parseStranger(nested(32))).not.toThrow();
    expect(() => parseStranger(nested(33))).toThrow("nested deeper than 32");
    expect(() => parseStranger(nested(200_000))).toThrow("nested deeper than 32");
  });

  test.each(['{"a":"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["}', '{"a\\\\":"\\"[{[{[{[{[{[{[{[{[{[{[{[{[{[{[{[{[{[{"}'])(
    "brackets within a text are no nesting: %s",
    (source) => expect(() => parseStranger(source)).not.toThrow(),
  );

  test.each(["", "{", '{"a":"', '{"a"', "undefined", '{"a":1}}'])("is refused where it is none: %p", (source) =>
    expect(() => parseStranger(source)).toThrow("not valid JSON"),
  );
});
