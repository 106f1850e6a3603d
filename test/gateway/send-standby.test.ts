import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { configFrom } from "../../src/config.ts";
import { openGateway } from "../../src/gateway/gateway.ts";
import { openSqlite } from "../../src/stores/sqlite.ts";
import { openMattermost } from "../fakes/mattermost.ts";
import { queue, until } from "../stores/conformance/given.ts";

test("a standby accepts and never posts; what it accepted is told by the next that sends", async () => {
  using chat = openMattermost();
  const dir = mkdtempSync(join(tmpdir(), "meshmac-standby-"));
  mkdirSync(join(dir, "secrets.d/builds"), { recursive: true, mode: 0o700 });
  writeFileSync(join(dir, "secrets.d/builds/hook.url"), chat.url, { mode: 0o600 });
  const store = await openSqlite({ path: join(dir, "meshmac.db"), state_dir: dir });
  const openWith = (sends: boolean) => {
    const chats = { builds: { kind: "mattermost", url: "builds/hook.url", states: ["queued"] } };
    const gateway = { listen: "127.0.0.1:0", admin: { listen: "127.0.0.1:0" }, drain_delay: "0s", sends };
    const { config, vault } = configFrom({ gateway, chats, lanes: { ios: {} } }, { base: dir, env: {} });
    return openGateway({ config, vault, store, print: () => {} });
  };
  try {
    const standby = await openWith(false);
    const { run_id } = await queue(store);
    expect((await fetch(`${standby.adminUrl}/readyz`)).status).toBe(200);
    await standby.drain();
    expect(await store.posts(run_id)).toBeNull();
    expect(chat.requests).toEqual([]);
    const sending = await openWith(true);
    await until(async () => chat.posts.length === 1);
    await sending.drain();
  } finally {
    await store.close();
    rmSync(dir, { recursive: true, force: true });
  }
});
