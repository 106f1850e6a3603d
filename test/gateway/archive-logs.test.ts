import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openArchive } from "../../src/archive.ts";
import type { Archive } from "../../src/core/archive.ts";
import { Secret } from "../../src/core/secret.ts";
import { type Archiver, startArchiver } from "../../src/gateway/archive-logs.ts";
import { masksOf } from "../../src/gateway/masked-store.ts";
import { openSqlite } from "../../src/stores/sqlite.ts";
import type { Held, Store } from "../../src/stores/store.ts";
import { type FakeBucket, openBucket } from "../fakes/s3.ts";
import { eventually } from "./gatehouse.ts";
import { askOf, bytesOf, heldOf, leased, queue, resultOf, rulesOf } from "../stores/conformance/given.ts";

setDefaultTimeout(30_000);

const key = "fake-secret-access-key-0123456789";
const gatewaySecret = "jira-rest-canary-0123456789";
const opened: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).toReversed()) await close();
});

interface Scene {
  store: Store;
  bucket: FakeBucket;
  archive: Archive;
  archiver: Archiver;
  dir: string;
  localOf(held: Held): string;
  archivedText(held: Held): string | null;
}

const nameOf = ({ run_id, attempt }: Held) => `${run_id}/${attempt}.log`;

/** A store with a bucket as its archive, and an archiver that looks without pause, half a minute in the future. */
async function scene(): Promise<Scene> {
  const dir = mkdtempSync(join(tmpdir(), "meshmac-archiver-"));
  const bucket = openBucket({ secret: key });
  const archive = await openArchive({
    s3: {
      endpoint: bucket.url,
      bucket: "acme-logs",
      region: "eu-central-1",
      access_key_id: "AKIAEXAMPLE",
      secret_access_key: new Secret("s3/logs.key", () => key),
    },
  });
  if (!archive) throw new Error("no archive");
  const store = await openSqlite({ path: join(dir, "meshmac.db"), state_dir: dir, archive });
  await store.publish(rulesOf());
  const archiver = startArchiver({
    store,
    archive,
    state_dir: dir,
    masks: masksOf({ values: () => [gatewaySecret] }),
    sleep: (ms, signal) => Bun.sleep(signal?.aborted ? 0 : Math.min(ms, 5)),
    now: () => Date.now() + 30_000,
  });
  opened.push(
    () => rmSync(dir, { recursive: true, force: true }),
    () => bucket[Symbol.dispose](),
    () => store.close(),
    () => archiver.stop(),
  );
  return {
    store,
    bucket,
    archive,
    archiver,
    dir,
    localOf: (held) => join(dir, "logs", nameOf(held)),
    archivedText: (held) => {
      const object = bucket.objects.get(nameOf(held));
      return object ? new TextDecoder().decode(object) : null;
    },
  };
}

const append = (store: Store, held: Held, offset: number, text: string, late = false) =>
  store.log({ ...held, node: "mac-07", offset, bytes: bytesOf(text), ...(late && { late }) });

async function running(store: Store, text: string): Promise<Held> {
  await queue(store);
  const held = heldOf(await leased(store));
  await append(store, held, 0, text);
  return held;
}

async function ended(store: Store, text: string): Promise<Held> {
  const held = await running(store, text);
  await store.finish(resultOf(held));
  return held;
}

test("archives the logs of attempts that are over, and of no other, once", async () => {
  const { store, bucket, archivedText } = await scene();
  const first = await ended(store, "first\n");
  const back = await running(store, "handed back\n");
  await store.finish(resultOf(back, "queued"));
  const open = heldOf(await leased(store, askOf()));
  await append(store, open, 0, "open\n");
  await eventually("both archived", () => archivedText(first) === "first\n" && archivedText(back) === "handed back\n");
  expect(open).toEqual({ ...back, attempt: 2 });
  await store.finish(resultOf(open));
  await eventually("the last one, too", () => archivedText(open) === "open\n");
  expect(bucket.asked.filter((asked) => asked.startsWith("PUT"))).toHaveLength(3);
  expect(bucket.faults).toEqual([]);
});

test("archives no secret of the gateway's that a node did not know, wherever it stands", async () => {
  const filler = "a line of a build that says a great deal\n".repeat(25_575);
  // The second one lies across the end of a page.
  const text = `${gatewaySecret}\n${filler.slice(0, 1024 ** 2 - 40)}${gatewaySecret}\n${filler}`;
  await archivesWithout(text);
  // And here it does so within one line, which is as long as three pages.
  const long = "x".repeat(1024 ** 2 - 20);
  await archivesWithout(`${long}${gatewaySecret}${long}${gatewaySecret}${long}`);
});

async function archivesWithout(text: string): Promise<void> {
  const { store, dir, archivedText } = await scene();
  const held = await ended(store, text);
  const found = await eventually("archived", () => archivedText(held));
  expect(found.length).toBe(text.length);
  expect(found === text.replaceAll(gatewaySecret, "*".repeat(gatewaySecret.length))).toBe(true);
  await eventually(
    "no copy is left",
    () => `${readdirSync(join(dir, "logs", held.run_id)).toSorted()}` === "1.log,1.log.archived",
  );
}

test("archives a log again that grew late", async () => {
  const { store, archivedText } = await scene();
  const held = await ended(store, "first\n");
  await eventually("archived", () => archivedText(held) === "first\n");
  expect(await append(store, held, 6, "late\n", true)).toBe(11);
  await eventually("archived again", () => archivedText(held) === "first\nlate\n");
});

test("a log is read from the archive after retention removed it here, in any slice", async () => {
  const { store, localOf, archivedText } = await scene();
  const held = await ended(store, "0123456789");
  await eventually("archived", () => archivedText(held) !== null);
  await store.publish(rulesOf({ keep: { ...rulesOf().keep, log_bytes: 0 } }));
  await store.sweep();
  expect(existsSync(localOf(held))).toBe(false);
  const { bytes, next, size } = await store.readLog(held.run_id, 1, 3, 4);
  expect([new TextDecoder().decode(bytes), next, size]).toEqual(["3456", 7, 10]);
});

test("while the archive fails the log stays, people are told without a secret, and it is tried until it is there", async () => {
  const { store, bucket, archiver, localOf, archivedText } = await scene();
  bucket.fail(1_000_000, 503);
  const held = await ended(store, "kept\n");
  const [note] = await eventually("a note", () => (archiver.notes().length > 0 ? archiver.notes() : null));
  expect(note).toStartWith('logs are not archived: bucket "acme-logs" at 127.0.0.1:');
  expect(note).not.toContain(key);
  await store.publish(rulesOf({ keep: { ...rulesOf().keep, logs_ms: 0 } }));
  await store.sweep();
  expect(existsSync(localOf(held))).toBe(true);
  bucket.fail(0, 200);
  await eventually("archived", () => archivedText(held) === "kept\n");
  await eventually("no note", () => archiver.notes().length === 0);
  await store.sweep();
  expect(existsSync(localOf(held))).toBe(false);
});

test("a bucket that never answers blocks neither the store nor the end", async () => {
  const { store, bucket, archiver, localOf } = await scene();
  bucket.hang = true;
  const held = await ended(store, "one\n");
  await eventually("it was asked", () => bucket.asked.length > 0);
  expect((await store.readLog(held.run_id, 1, 0, 10)).bytes).toEqual(bytesOf("one\n"));
  await archiver.stop();
  expect(existsSync(localOf(held))).toBe(true);
});
