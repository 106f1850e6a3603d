import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { jiraEgress } from "../../src/gateway/atlassian-list.ts";
import { SenderLists, type SenderListsOptions } from "../../src/gateway/sender-lists.ts";
import { type Injection, remote } from "../fakes/remote.ts";
import { eventually, openGatehouse, told, wanted } from "./gatehouse.ts";

const item = (cidr: string, product = ["jira"], direction = ["egress"]) => ({
  cidr,
  product,
  direction,
  region: ["x"],
});
const listOf = (...items: object[]) => JSON.stringify({ creationDate: "2026-11-20T00:00:00", syncToken: 1, items });
const published = (...items: object[]): Injection => ({ status: 200, body: listOf(...items) });
const ours = published(item("192.0.2.0/28"), item("2001:db8:a::/64", ["confluence", "jira"], ["ingress", "egress"]));

const day = 86_400_000;
const folders: string[] = [];
afterAll(() => folders.forEach((dir) => rmSync(dir, { recursive: true, force: true })));

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), "meshmac-senders-"));
  folders.push(dir);
  return dir;
}

/** Lists whose every wait ends when the test says so. */
function lists(options: Pick<SenderListsOptions, "url"> & Partial<SenderListsOptions>) {
  const naps: { ms: number; end: () => void }[] = [];
  const sleep: SenderListsOptions["sleep"] = (ms, signal) =>
    new Promise((end) => {
      signal?.addEventListener("abort", () => end());
      naps.push({ ms, end });
    });
  const kept = new SenderLists({ state_dir: folder(), sleep, ...options });
  return { kept, naps, napped: (count: number) => eventually(`${count} waits`, () => naps.length >= count) };
}

describe("the list that Atlassian publishes", () => {
  test("is read for what Jira sends from, whatever the region", () => {
    const text = listOf(
      item("192.0.2.0/28"),
      item("192.0.2.0/28"),
      item("198.51.100.0/28", ["confluence"]),
      item("198.51.100.16/28", ["jira"], ["ingress"]),
      item("2001:db8:a::/64", ["confluence", "jira"], ["ingress", "egress"]),
    );
    expect(jiraEgress(text)).toEqual(["192.0.2.0/28", "2001:db8:a::/64"]);
  });

  test.each([
    ["a page", "<html>"],
    ["no items", "{}"],
    ["an empty list", listOf()],
    ["nothing of Jira", listOf(item("192.0.2.0/28", ["trello"]))],
    ["a range that is none", listOf(item("192.0.2.0/99"))],
    ["everybody", listOf(item("192.0.2.0/28"), item("0.0.0.0/0"))],
    ["half of IPv6", listOf(item("192.0.2.0/28"), item("8000::/1"))],
  ])("is refused where it is %s", (_what, text) => {
    expect(() => jiraEgress(text)).toThrow(Error);
  });
});

describe("the kept list", () => {
  test("is not fetched until a door asks for it, and youtrack-cloud never", async () => {
    using atlassian = remote(ours);
    const { kept, naps } = lists({ url: atlassian.url });
    const allows = kept.of("youtrack-cloud");
    expect([allows("3.124.229.157"), allows("192.0.2.1")]).toEqual(["allowed", "refused"]);
    expect([kept.facts(), kept.notes(), naps, atlassian.requests]).toEqual([[], [], [], []]);
  });

  test("is fetched at once and every day, and lies in the state folder for its owner alone", async () => {
    using atlassian = remote(ours, published(item("198.51.100.0/28")));
    const state_dir = join(folder(), "not-there-yet");
    const { kept, naps, napped } = lists({ url: atlassian.url, state_dir, now: () => 5000 });
    const allows = kept.of("atlassian");
    expect([allows("192.0.2.1"), kept.notes().length]).toEqual(["unknown", 1]);
    await napped(1);
    expect([allows("192.0.2.1"), allows("2001:db8:a::9"), allows("192.0.2.16")]).toEqual([
      "allowed",
      "allowed",
      "refused",
    ]);
    expect([kept.facts(), kept.notes()]).toEqual([[{ name: "atlassian", fetched_at: 5000 }], []]);
    const file = join(state_dir, "atlassian-addresses.json");
    expect([readdirSync(state_dir), statSync(file).mode & 0o777]).toEqual([["atlassian-addresses.json"], 0o600]);
    expect(JSON.parse(readFileSync(file, "utf8")).fetched_at).toBe(5000);
    expect(naps[0]?.ms).toBe(day);
    naps[0]?.end();
    await napped(2);
    expect([allows("192.0.2.1"), allows("198.51.100.1")]).toEqual(["refused", "allowed"]);
    kept.stop();
  });

  test.each<[string, Injection]>([
    ["is away", "reset"],
    ["is down", 503],
    ["sends a page", { status: 200, body: "<html>" }],
    ["redirects", { redirect: "http://127.0.0.1:1/" }],
    ["breaks off", "truncate"],
    ["lets everybody in", published(item("0.0.0.0/0"))],
  ])("stays the last good one while Atlassian %s, and is asked for ever less often", async (_what, fault) => {
    const state_dir = folder();
    using good = remote(ours);
    const first = lists({ url: good.url, state_dir, now: () => 1000 });
    first.kept.of("atlassian");
    await first.napped(1);
    first.kept.stop();

    using bad = remote(fault);
    const { kept, naps, napped } = lists({ url: bad.url, state_dir, now: () => 1000 + 9 * day });
    const allows = kept.of("atlassian");
    expect(allows("192.0.2.1")).toBe("allowed");
    for (let tried = 1; tried <= 8; tried++) {
      await napped(tried);
      naps[tried - 1]?.end();
    }
    expect(naps.slice(0, 8).map(({ ms }) => ms / 60_000)).toEqual([1, 2, 4, 8, 16, 32, 60, 60]);
    expect([allows("192.0.2.1"), allows("192.0.2.16")]).toEqual(["allowed", "refused"]);
    expect(kept.facts()).toEqual([{ name: "atlassian", fetched_at: 1000 }]);
    expect(kept.notes()).toEqual(["the addresses of atlassian were last fetched 9 days ago"]);
    kept.stop();
  });

  test.each([
    ["torn", '{"v":1,"fetched_at":1,"ran'],
    ["of another make", '{"v":2,"fetched_at":1,"ranges":["192.0.2.0/28"]}'],
    ["empty", '{"v":1,"fetched_at":1,"ranges":[]}'],
    ["no list of ranges", '{"v":1,"fetched_at":1,"ranges":["everybody"]}'],
  ])("that is %s on disk counts as none and is fetched anew", async (_what, text) => {
    const state_dir = folder();
    writeFileSync(join(state_dir, "atlassian-addresses.json"), text);
    chmodSync(join(state_dir, "atlassian-addresses.json"), 0o644);
    using atlassian = remote(ours);
    const { kept, napped } = lists({ url: atlassian.url, state_dir });
    const allows = kept.of("atlassian");
    expect(allows("192.0.2.1")).toBe("unknown");
    await napped(1);
    expect(allows("192.0.2.1")).toBe("allowed");
    expect(statSync(join(state_dir, "atlassian-addresses.json")).mode & 0o777).toBe(0o600);
    kept.stop();
  });
});

describe("a door that allows atlassian", () => {
  const gateway = { trusted_proxies: ["127.0.0.1/32"] };

  test("asks to be tried again until the list is there, and then takes its addresses alone", async () => {
    using atlassian = remote(503, ours);
    const naps: (() => void)[] = [];
    const sleep = () => new Promise<void>((resolve) => void naps.push(resolve));
    const jira = { allow_ips: ["atlassian", "203.0.113.0/24"] };
    await using house = await openGatehouse({ gateway, jira, senders: { url: atlassian.url, sleep } });
    const from = (ip: string) => house.deliver(wanted(), { "x-forwarded-for": ip });
    const early = await from("192.0.2.1");
    expect([early.status, early.headers.get("retry-after")]).toEqual([503, "5"]);
    expect((await from("203.0.113.9")).body.status).toBe("queued");
    const readiness = () => told(fetch(`${house.server.adminUrl}/readyz`));
    const { status, body } = await eventually("ready", async () => {
      const said = await readiness();
      return said.status === 200 && said;
    });
    expect([status, JSON.stringify(body.notes)]).toEqual([200, expect.stringContaining("atlassian")]);
    await atlassian.arrived(1);
    await eventually("the list", async () => {
      naps.pop()?.();
      return (await from("192.0.2.1")).status === 200;
    });
    expect((await from("192.0.2.16")).status).toBe(403);
    expect((await readiness()).body.notes).toEqual([]);
  });
});
