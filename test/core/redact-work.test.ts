import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";

// Work, not time: each line is so long that one which is read again for every beginning of a secret in it takes hours.

setDefaultTimeout(60_000);

const longest = 4 * 1024 * 1024;
const script = join(import.meta.dir, "redact-work.ts");

test.each([
  ["the beginning of a token", "", "eyJ-"],
  ["the beginning of a key", "", "-----BEGIN PRIVATE KEY-----"],
  ["the name of a key", "-----BEGIN ", "PRIVATE KEY "],
  ["the end of a key's name", "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY "],
  ["a name that says that a secret follows", "", "token=a/"],
  ["a name that a shell gives a secret", "", "A_TOKEN="],
  ["the beginning of a URL", "", "://a:"],
  ["a word before a credential", "authorization: ", "basic "],
])("a line of 4 MiB that says %s again and again is masked", async (_what, begin, again) => {
  const line = (begin + again.repeat(Math.ceil(longest / again.length))).slice(0, longest);
  await using child = Bun.spawn([process.execPath, script], {
    stdin: Buffer.from(line),
    stdout: "pipe",
    stderr: "inherit",
    timeout: 50_000,
    killSignal: "SIGKILL",
  });
  expect(Number(await child.stdout.text())).toBeGreaterThan(0);
});
