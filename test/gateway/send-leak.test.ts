import { expect, test } from "bun:test";
import { join } from "node:path";

const hook = "k9w3z7q1x5v8b2n6m4c0pdyfhg";
const token = "ATATT3-leak-0a1b2c3d4e5f6g7h8i9j";

const key = "whsec_Qk3vT9xLmZ7pR2wYc5Ns8Fd1Gh6Jb4Ka";

const forms = (secret: string): string[] => [
  ...Array.from({ length: secret.length - 7 }, (_, at) => secret.slice(at, at + 8)),
  ...[0, 1, 2].map((shift) =>
    Buffer.from("x".repeat(shift) + secret)
      .toString("base64")
      .slice(4, -4),
  ),
];

test("no secret, and no piece of one, in any log line or reason, whatever kind of chat or pager and however it fails", async () => {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "send-leak.ts")], {
    env: {
      PATH: process.env.PATH ?? "",
      LEAK_HOOK: hook,
      LEAK_TOKEN: token,
      LEAK_KEY: key,
      MESHMAC_LOG_LEVEL: "debug",
    },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  expect(await child.exited).toBe(0);
  const said = stdout + stderr;
  // It did fail in all these ways, and said so.
  for (const word of [
    "post dead",
    "post delayed",
    "ECONNREFUSED",
    "timeout",
    "plain http",
    "certificate",
    "not an http(s) URL",
    "page failed",
    "maybeSent",
  ]) {
    expect(said).toContain(word);
  }
  const leaked = [...forms(hook), ...forms(token), ...forms(key)].filter((form) => said.includes(form));
  expect(leaked).toEqual([]);
  expect(said).not.toMatch(/hooks(\/|%2F)(?!\*\*\*)/i);
}, 60_000);
