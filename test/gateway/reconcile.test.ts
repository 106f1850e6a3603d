import { describe, expect, test } from "bun:test";
import type { JsonObject } from "../../src/core/json.ts";
import { reconcile, type Reconciled, searchedDoors, startReconciler } from "../../src/gateway/reconcile.ts";
import { jiraIssue, openJiraSearch, openYouTrackSearch, type Standing } from "../fakes/search.ts";
import { eventually, type Gatehouse, openGatehouse, secret, told, tokens, wanted, type Wishes } from "./gatehouse.ts";

const query = 'project = MOB AND status = "Building"';
const minute = 60_000;
const hour = 60 * minute;

/** A gateway whose jira is searched, with a clock that a test moves. */
async function open(site: string, wishes: Wishes = {}) {
  const clock = { ahead: 0, now: () => Date.now() + clock.ahead };
  const comment = { site, api: "cloud", email: "bot@acme.example", token: "jira/rest.token" };
  const house = await openGatehouse({
    now: clock.now,
    jira: { comment, reconcile: { query }, ...wishes.jira },
    ...(wishes.youtrack && { youtrack: wishes.youtrack }),
  });
  secret(house.dir, "jira/rest.token", "jira-rest-aabbccddeeff00112233445566");
  secret(house.dir, "youtrack/rest.token", "perm:yt-rest-aabbccddeeff0011223344");
  return Object.assign(house, { clock });
}
type House = Awaited<ReturnType<typeof open>>;

async function searched(
  { config, store, server, clock }: House,
  source = "jira",
  dryRun = false,
): Promise<Reconciled[]> {
  const door = searchedDoors(config).find(({ name }) => name === source);
  if (!door) throw new Error(`no door ${source}`);
  return await reconcile(door, { config, store, accept: server.accept, now: clock.now }, { dryRun });
}

const outcomesOf = (found: Reconciled[]) => found.map(({ outcome }) => outcome);
const runsOf = async ({ store }: Gatehouse) => (await store.list({ limit: 100 })).runs;

const moves = (count: number, at = Date.now() - 10 * minute): Standing[] =>
  Array.from({ length: count }, (_, i) => ({ key: `MOB-${100 + i}`, at: at + i, change: String(20_000 + i) }));

/** The native webhook of a move. */
const native = (standing: Standing): JsonObject => ({
  webhookEvent: "jira:issue_updated",
  timestamp: standing.at,
  issue: jiraIssue(standing, false),
  changelog: { id: standing.change ?? "1", items: [{ field: "status", fieldId: "status", toString: "Building" }] },
});

describe("a gateway that was down during 20 moves", () => {
  test("queues 20 runs at once when it is back, and finds nothing more later", async () => {
    using tracker = openJiraSearch(query);
    await using house = await open(tracker.url);
    tracker.standing.push(...moves(20));
    const reconciler = startReconciler({ ...house, accept: house.server.accept, now: house.clock.now });
    try {
      await eventually("20 runs", async () => (await runsOf(house)).length === 20);
    } finally {
      await reconciler.stop();
    }
    expect(outcomesOf(await searched(house))).toEqual(Array.from({ length: 20 }, () => "has run"));
    expect(new Set((await runsOf(house)).map(({ issue_key }) => issue_key)).size).toBe(20);
    expect((await runsOf(house))[0]).toMatchObject({ source: "jira", requested_by: "Ada Example", lane: "ios" });
    expect(tracker.faults).toEqual([]);
  });

  const late: [about: string, body: (standing: Standing) => JsonObject, hours: number][] = [
    ["native webhooks, within their 30 minutes", native, 0.5],
    ["native webhooks, long after", native, 23],
    ["an Automation rule's repeats, which name no transition", ({ key }) => wanted(key), 6],
  ];
  test.each(late)("makes no doubles of %s", async (_about, body, hours) => {
    using tracker = openJiraSearch(query);
    await using house = await open(tracker.url);
    tracker.standing.push(...moves(20));
    expect(outcomesOf(await searched(house))).toEqual(Array.from({ length: 20 }, () => "queued"));
    house.clock.ahead += hours * hour;
    const answers = await Promise.all(tracker.standing.map((standing) => house.deliver(body(standing))));
    expect(new Set(answers.map(({ body: answer }) => answer.status))).toEqual(new Set(["duplicate"]));
    expect(await runsOf(house)).toHaveLength(20);
  });

  test("makes no doubles of webhooks that come while it searches, nor do two gateways", async () => {
    using tracker = openJiraSearch(query);
    await using house = await open(tracker.url);
    tracker.standing.push(...moves(20));
    await Promise.all([
      searched(house),
      searched(house),
      ...tracker.standing.map((standing) => house.deliver(native(standing))),
    ]);
    expect(await runsOf(house)).toHaveLength(20);
  });
});

describe("a search", () => {
  test("only says what is missing in a dry run", async () => {
    using tracker = openJiraSearch(query);
    await using house = await open(tracker.url);
    tracker.standing.push(...moves(2));
    expect(outcomesOf(await searched(house, "jira", true))).toEqual(["missed", "missed"]);
    expect(await runsOf(house)).toEqual([]);
  });

  test("leaves alone what a webhook has brought, also when it is over and was edited since", async () => {
    using tracker = openJiraSearch(query);
    await using house = await open(tracker.url);
    const [standing] = moves(1, Date.now() - 1000);
    if (!standing) throw new Error("no move");
    tracker.standing.push(standing);
    const { body } = await house.deliver(wanted(standing.key));
    await house.store.cancel(String(body.run_id), "cancelled by ada");
    house.clock.ahead = 2 * hour;
    expect(await searched(house)).toMatchObject([{ outcome: "has run", run_id: body.run_id, reason: "cancelled" }]);
  });

  test("queues an issue again that came in again and of which the webhook was taken for a late one", async () => {
    using tracker = openJiraSearch(query);
    await using house = await open(tracker.url);
    const [standing] = moves(1);
    if (!standing) throw new Error("no move");
    tracker.standing.push(standing);
    await searched(house);
    house.clock.ahead = 2 * hour;
    expect((await house.deliver(wanted(standing.key))).body.status).toBe("duplicate");
    tracker.standing[0] = { ...standing, at: house.clock.now(), change: "30001" };
    expect(outcomesOf(await searched(house))).toEqual(["queued"]);
  });

  test("finds an issue that was created in the build state, and none that moved a week ago", async () => {
    using tracker = openJiraSearch(query);
    await using house = await open(tracker.url);
    tracker.standing.push(
      { key: "MOB-1", at: Date.now() - minute },
      { key: "MOB-2", at: Date.now() - 8 * 24 * hour, change: "7" },
    );
    expect(await searched(house)).toMatchObject([{ issue_key: "MOB-1", outcome: "queued" }]);
  });

  test("goes by build_when, but for the name of the event, which it cannot know", async () => {
    using tracker = openJiraSearch(query);
    const build_when = [{ event: "build", status: "Building", labels: "ci-build" }, { event: "anything" }];
    await using house = await open(tracker.url, { jira: { build_when } });
    tracker.standing.push(...moves(2));
    Object.assign(tracker.standing[0] ?? {}, { fields: { labels: ["docs"] } });
    const found = await searched(house);
    expect(found.map(({ outcome, reason }) => [outcome, reason]).toSorted()).toEqual([
      ["ignored", 'no build_when entry matched: labels is "docs", wanted "ci-build"'],
      ["queued", null],
    ]);
  });

  test("says what the tracker refused, and no secret", async () => {
    using tracker = openJiraSearch("another query");
    await using house = await open(tracker.url);
    const fault = await searched(house).catch((error: unknown) => error);
    const { host } = new URL(tracker.url);
    expect(String(fault)).toMatch(/^MeshError: sources\.jira\.reconcile: .+ answered status 400$/);
    expect(String(fault)).toContain(host);
    expect(fault).toHaveProperty("kind", "unavailable");
  });
});

test("youtrack is asked for the moves themselves: comments and other edits make no second build", async () => {
  const inStage = "project: MOB Stage: Building";
  using tracker = openYouTrackSearch(inStage);
  const reconciles = { site: tracker.url, token: "youtrack/rest.token", query: inStage };
  await using house = await open("https://acme.atlassian.net", { youtrack: { reconcile: reconciles } });
  tracker.standing.push(...moves(50));
  expect(outcomesOf(await searched(house, "youtrack"))).toEqual(Array.from({ length: 50 }, () => "queued"));
  expect(tracker.requests.length).toBe(2);
  expect(outcomesOf(await searched(house, "youtrack"))).toEqual(Array.from({ length: 50 }, () => "has run"));
  house.clock.ahead = 5 * hour;
  const { body } = await told(
    fetch(`${house.server.publicUrl}/youtrack/webhook`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-youtrack-token": tokens.youtrack },
      body: JSON.stringify({
        event: "issueUpdated",
        id: "MOB-100",
        summary: "Ship MOB-100",
        project: { key: "MOB", name: "Mobile", shortName: "MOB" },
        changedFields: [{ name: "Stage", oldValue: null, value: { name: "Building", presentation: "Building" } }],
      }),
    }),
  );
  expect(body.status).toBe("duplicate");
  expect(await runsOf(house)).toHaveLength(50);
  expect(tracker.faults).toEqual([]);
});
