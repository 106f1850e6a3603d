import { expect, test } from "bun:test";
import { notFound, runProgram, type Running } from "../src/programs.ts";

const how: Running = { path: "/usr/bin:/bin", env: { PATH: "/usr/bin:/bin" }, timeout: 10_000 };

test("answers what a program said, and how it ended", async () => {
  const ran = await runProgram(["sh", "-c", "echo out; echo err >&2; exit 3"], how);
  expect(ran).toEqual({ status: 3, out: "out\n", err: "err" });
});

test("gives it nothing but the environment that was said, in English", async () => {
  const { out } = await runProgram(["env"], { ...how, env: { ACME: "1" } });
  expect(out.split("\n").filter(Boolean).toSorted()).toEqual(["ACME=1", "LC_ALL=C"]);
});

test("no shell reads its arguments", async () => {
  expect((await runProgram(["echo", "$HOME; ls"], how)).out).toBe("$HOME; ls\n");
});

test("a program that is not there has the status that a shell gives it", async () => {
  expect((await runProgram(["no-such-program-of-acme"], how)).status).toBe(notFound);
});

test("one that does not end is killed", async () => {
  const slow = runProgram(["sleep", "600"], { ...how, timeout: 50 });
  await expect(slow).rejects.toMatchObject({ kind: "unavailable", message: "sleep did not end within 0.05 s" });
});
