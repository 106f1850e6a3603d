import { expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { systemFault } from "../../src/core/system-fault.ts";

const refused = (code: string, more: object = { path: "/srv/acme/state" }) =>
  Object.assign(new Error(`${code}: refused`), { code, syscall: "mkdir", ...more });

test.each([
  ["EACCES", "permission"],
  ["EROFS", "permission"],
  ["ENOSPC", "unavailable"],
  ["EMFILE", "unavailable"],
  ["ENOTDIR", "config"],
] as const)("%s is %s, and has a next step", (code, kind) => {
  const fault = systemFault(refused(code), "node.work_dir");
  expect(fault).toMatchObject({ kind, message: `node.work_dir "/srv/acme/state" cannot be used (${code}, mkdir)` });
  expect(fault?.hint).toMatch(/\w/);
});

test("what the system really says is read", () => {
  let fault: unknown;
  try {
    mkdirSync("/dev/null/state", { recursive: true });
  } catch (thrown) {
    fault = thrown;
  }
  expect(systemFault(fault)).toMatchObject({
    kind: "config",
    message: '"/dev/null/state" cannot be used (ENOTDIR, mkdir)',
  });
});

test("a stream without a path is named as well as can be", () => {
  expect(systemFault(refused("ENOSPC", {}))?.message).toBe("a file cannot be used (ENOSPC, mkdir)");
});

test.each([
  ["a bug", new TypeError("x is not a function")],
  [
    "a code that is not of the file system",
    Object.assign(new Error("no"), { code: "ECONNREFUSED", syscall: "connect" }),
  ],
  ["no error at all", "EACCES"],
])("%s is left as it is", (_, fault) => {
  expect(systemFault(fault)).toBeNull();
});
