import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { configFrom } from "../../src/config.ts";
import { openGateway } from "../../src/gateway/gateway.ts";
import { openSqlite } from "../../src/stores/sqlite.ts";
import { openPagerduty } from "../fakes/pagerduty.ts";
import { remote } from "../fakes/remote.ts";
import { leased, queue, until } from "../stores/conformance/given.ts";
import { told } from "./gatehouse.ts";

test("a gateway pages for a dead run, notes on /readyz the page that failed, and pings its dead man", async () => {
  const dir = mkdtempSync(join(tmpdir(), "meshmac-page-"));
  const secret = (name: string, value: string) => {
    mkdirSync(dirname(join(dir, "secrets.d", name)), { recursive: true, mode: 0o700 });
    writeFileSync(join(dir, "secrets.d", name), value, { mode: 0o600 });
  };
  using pager = openPagerduty();
  using refusing = remote({ status: 403, body: "no" });
  using deadman = remote(200);
  secret("pagerduty/routing.key", "0123456789abcdef0123456789abcdef");
  secret("oncall/page.url", `${refusing.url}/hooks/abc123def456`);
  secret("deadman/ping.url", `${deadman.url}/ping/abc123`);
  const { config, vault } = configFrom(
    {
      gateway: { listen: "127.0.0.1:0", admin: { listen: "127.0.0.1:0" }, drain_delay: "0s" },
      node: { id: "mac-07" },
      lanes: { ios: { max_lost: 1 } },
      lease: { ttl: "3ms", heartbeat: "1ms", fence: "2ms" },
      pagers: {
        oncall: { kind: "pagerduty", key: "pagerduty/routing.key", base_url: pager.base_url },
        second: { kind: "webhook", url: "oncall/page.url" },
      },
      escalate_after: "500ms",
      heartbeat: { url: "deadman/ping.url" },
    },
    { base: dir, env: {} },
  );
  const store = await openSqlite({ path: join(dir, "state", "meshmac.db"), state_dir: join(dir, "state") });
  const gateway = await openGateway({ config, vault, store, print: () => {} });
  try {
    await queue(store);
    await until(() => leased(store).catch(() => null));
    await until(async () => {
      await store.reap(); // or the gateway's own reaper did
      return (await store.list({ states: ["dead"], limit: 1 })).runs[0];
    });
    await pager.arrived(1);
    const readyz = () => told(fetch(`${gateway.adminUrl}/readyz`));
    const { status, body } = await until(async () => {
      const answer = await readyz();
      return Array.isArray(answer.body.notes) && answer.body.notes.length > 0 && answer;
    });
    expect(status).toBe(200);
    expect(body.notes).toEqual([
      expect.stringMatching(/^page failed: second: MOB-12 is dead: lost 1 time: status 403/),
    ]);
    expect(JSON.stringify(body)).not.toContain("/hooks/");
    expect(pager.incidents).toMatchObject([{ triggers: 1, payload: { source: "mac-07" } }]);
    expect(pager.faults).toEqual([]);
    await deadman.arrived(1);
  } finally {
    await gateway.drain();
    await store.close();
    rmSync(dir, { recursive: true, force: true });
  }
});
