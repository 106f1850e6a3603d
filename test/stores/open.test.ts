import { afterEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openForCommand, socketOf, type StorePlace } from "../../src/stores/open.ts";
import { openSqlite } from "../../src/stores/sqlite.ts";

const folders: string[] = [];
const owners: Bun.Subprocess[] = [];

afterEach(async () => {
  for (const owner of owners) owner.kill("SIGKILL");
  await Promise.all(owners.splice(0).map(({ exited }) => exited));
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function placeIn(): StorePlace {
  const state_dir = mkdtempSync(join(tmpdir(), "meshmac-open-"));
  folders.push(state_dir);
  return { store: { kind: "sqlite", path: join(state_dir, "meshmac.db") }, pool: "acme", state_dir };
}

/** A process that owns the store's file and opens no socket. */
async function ownerOf({ state_dir }: StorePlace) {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "sqlite/owner.ts"), state_dir, "idle"], {
    stdout: "pipe",
    stderr: "inherit",
  });
  owners.push(child);
  for await (const _ of child.stdout) break; // "open"
  return child;
}

test("a command that comes while an owner starts waits for its socket", async () => {
  const place = placeIn();
  await ownerOf(place);
  const knocked = Promise.withResolvers<void>();
  const deaf = Bun.listen({
    unix: socketOf(place),
    socket: {
      data: () => {},
      open(socket) {
        socket.end();
        knocked.resolve();
      },
    },
  });
  const opening = openForCommand(place);
  await knocked.promise;
  deaf.stop(true);
  const socket = Bun.serve({ unix: socketOf(place), fetch: () => Response.json({ runs: [], next: null }) });
  const store = await opening;
  expect(await store.list({ limit: 5 })).toEqual({ runs: [], next: null });
  await store.close();
  await socket.stop(true);
});

test("a command that comes while an owner ends gets the file itself", async () => {
  const place = placeIn();
  const owner = await ownerOf(place);
  const opening = openForCommand(place);
  owner.kill("SIGKILL");
  await owner.exited;
  const store = await opening;
  expect((await store.list({ limit: 5 })).runs).toEqual([]);
  await store.close();
  expect(existsSync(socketOf(place))).toBe(false);
});

test("an owner that never answers is named, with what to do", async () => {
  const place = placeIn();
  if (place.store.kind !== "sqlite") throw new Error("a file was expected");
  const owner = await openSqlite({ path: place.store.path, state_dir: place.state_dir });
  await expect(openForCommand(place)).rejects.toMatchObject({
    kind: "later",
    hint: expect.stringContaining(`process ${process.pid}`),
  });
  await owner.close();
});
