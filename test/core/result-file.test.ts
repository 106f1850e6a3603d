import { expect, test } from "bun:test";
import fc from "fast-check";
import { readResultFile } from "../../src/core/result-file.ts";

const nothing = { commit: null, failing_target: null, summary: null, run_url: null };

test.each<[about: string, source: string, said: object]>([
  [
    "lines",
    "commit=0A1B2C3D4E\nsummary = All good \nrun_url=https://ci.acme.example/1\nfailing_target=Login\n",
    { commit: "0a1b2c3d4e", summary: "All good", run_url: "https://ci.acme.example/1", failing_target: "Login" },
  ],
  [
    "lines of another system, quoted",
    "commit=\"0a1b2c3\"\r\nsummary='one = two'\r\n",
    { commit: "0a1b2c3", summary: "one = two" },
  ],
  ["JSON", '{"commit":"0a1b2c3d","summary":"All good","other":1}', { commit: "0a1b2c3d", summary: "All good" }],
  ["the last of a key", "summary=one\nsummary=two", { summary: "two" }],
  ["nothing", "", {}],
  ["junk", "\u0000\u0001 = \n====\ncommit\nCOMMIT=0a1b2c3d\n__proto__=x", {}],
  ["broken JSON", '{"commit":"0a1b2c3d"', {}],
  ["JSON that reaches for a prototype", '{"__proto__":{"commit":"0a1b2c3d"}}', {}],
  ["values of another kind", '{"commit":["0a1b2c3d"],"summary":{"a":1},"failing_target":null}', {}],
  ["a commit that is none", "commit=main", {}],
  ["a commit that is too short or too long", `commit=0a1b2c\ncommit=${"a".repeat(65)}`, {}],
  ["a link that is no web page", "run_url=javascript:alert(1)", {}],
  ["a link to a file", "run_url=file:///etc/hosts", {}],
  ["a link with a password in it", "run_url=https://ci:pw@acme.example/", {}],
  ["control characters", "summary=a\u0007\u001B[31mb\u202Ec", { summary: "a b c" }],
  ["a long summary", `summary=${"😀".repeat(2000)}`, { summary: "😀".repeat(1000) }],
])("reads %s", (_about, source, said) => expect(readResultFile(source)).toEqual({ ...nothing, ...said }));

test("never throws and never says a thing that is not fit", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: "binary" }),
      fc.constantFrom("", "{", "commit=", "run_url=https://"),
      (junk, lead) => {
        const { commit, run_url } = readResultFile(lead + junk);
        expect(commit ?? "0a1b2c3").toMatch(/^[0-9a-f]{7,64}$/);
        expect(run_url ?? "https://").toMatch(/^https?:\/\//);
      },
    ),
  );
});
