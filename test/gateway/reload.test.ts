import { rmSync, writeFileSync } from "node:fs";
import { expect, test } from "bun:test";
import { type Config, loadConfig } from "../../src/config.ts";
import { MeshError } from "../../src/core/error.ts";
import { type Reload, startReload } from "../../src/gateway/reload.ts";
import { Folder } from "../config/folder.ts";
import { eventually } from "./gatehouse.ts";

interface Following extends AsyncDisposable {
  file: string;
  reload: Reload;
  taken: string[];
}

/** Follows a file in which only `pool` ever changes. `meanwhile` happens between two looks that are to find the same. */
async function following(
  folder: Folder,
  {
    meanwhile = () => {},
    take = () => {},
  }: { meanwhile?: (file: string) => void; take?: (config: Config) => void } = {},
): Promise<Following> {
  const file = folder.write("meshmac.config.json", '{"pool":"first"}');
  const taken: string[] = [];
  const reload = startReload({
    running: await loadConfig({ file }),
    fixed: () => [],
    take(config) {
      take(config);
      taken.push(config.pool);
    },
    // The long wait is for the next look, the short one is for the file to be whole.
    sleep: async (ms) => {
      if (ms < 1000) meanwhile(file);
      await new Promise((next) => setTimeout(next, 1));
    },
  });
  return { file, reload, taken, [Symbol.asyncDispose]: () => reload.stop() };
}

test("a file that is being written is read when it is whole", async () => {
  using folder = new Folder();
  const text = '{"pool":"second"}';
  let written = 1;
  await using gateway = await following(folder, {
    meanwhile(file) {
      if (written < text.length) writeFileSync(file, text.slice(0, ++written));
    },
  });
  writeFileSync(gateway.file, text.slice(0, written));
  await eventually("it to be taken", () => gateway.taken.length > 0);
  expect([gateway.taken, gateway.reload.notes()]).toEqual([["second"], []]);
});

test("a file that is gone for a moment, between an editor's two renames, is no fault", async () => {
  using folder = new Folder();
  await using gateway = await following(folder, { meanwhile: (file) => writeFileSync(file, '{"pool":"second"}') });
  rmSync(gateway.file);
  await eventually("it to be taken", () => gateway.taken.length > 0);
  expect([gateway.taken, gateway.reload.notes()]).toEqual([["second"], []]);
});

test("a file that stays away is refused; what runs stays", async () => {
  using folder = new Folder();
  await using gateway = await following(folder);
  rmSync(gateway.file);
  await eventually("the note", () => gateway.reload.notes().length > 0);
  expect(gateway.reload.facts()).toMatchObject({ refused: expect.stringContaining("no configuration file") });
  writeFileSync(gateway.file, '{"pool":"second"}');
  await eventually("it to be taken", () => gateway.taken.length > 0);
  expect(gateway.reload.facts()).toEqual({ refused: null, needs_restart: [] });
});

test("what cannot be put in place is refused, and taken as soon as it can be", async () => {
  using folder = new Folder();
  let well = false;
  await using gateway = await following(folder, {
    take() {
      if (!well) throw new MeshError("config", "two doors share a path");
    },
  });
  writeFileSync(gateway.file, '{"pool":"second"}');
  await eventually("the note", () => gateway.reload.notes().length > 0);
  expect(gateway.taken).toEqual([]);
  well = true;
  await eventually("it to be taken", () => gateway.taken.length > 0);
  expect([gateway.taken, gateway.reload.notes()]).toEqual([["second"], []]);
});

test("asked while nothing has changed it reads all the same", async () => {
  using folder = new Folder();
  await using gateway = await following(folder);
  gateway.reload.now();
  await eventually("it to be read", () => gateway.taken.length === 1);
  expect(gateway.taken).toEqual(["first"]);
});

test("without a file there is nothing to follow", async () => {
  using folder = new Folder();
  const file = folder.write("meshmac.config.json", "{}");
  const running = { ...(await loadConfig({ file })), file: null };
  const reload = startReload({ running, fixed: () => [], take: () => expect.unreachable() });
  reload.now();
  expect([reload.notes(), reload.facts()]).toEqual([[], {}]);
  await reload.stop();
});
