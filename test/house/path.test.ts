import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { openJira, openYouTrack } from "../fakes/tracker.ts";
import { openMattermost } from "../fakes/mattermost.ts";
import { startRedis } from "../fakes/redis-server.ts";
import { deliver, eventually, Household, jiraBody, youtrackBody } from "./household.ts";

// An issue moves, a script runs, the chat hears, a failure comes back: the compiled binary, real processes, real stores.

const scripts = {
  "build-ios": [
    "#!/bin/sh",
    'echo "building $MESHMAC_ISSUE_KEY at $MESHMAC_REF"',
    'echo "commit=0123456789abcdef0123456789abcdef01234567" > "$MESHMAC_RESULT_FILE"',
    'case "$MESHMAC_ISSUE_KEY" in *-13) echo "Test Case \'-[AppTests.CartTests testTotal]\' failed (0.1 seconds)."; exit 65;; esac',
    "",
  ].join("\n"),
};

const stores: ["sqlite" | "redis"][] = [["sqlite"], ["redis"]];

describe.each(stores)("on %s", (kind) => {
  let redis: Awaited<ReturnType<typeof startRedis>> | undefined;
  const mattermost = openMattermost();
  const jira = openJira();
  const youtrack = openYouTrack();
  let house: Household;
  let gateway: Awaited<ReturnType<Household["serve"]>>;

  beforeAll(async () => {
    redis = kind === "redis" ? await startRedis({ appendonly: "yes" }) : undefined;
    house = new Household({
      ...(redis && { store: `redis://127.0.0.1:${redis.port}/0` }),
      mattermost: mattermost.url,
      jira: jira.url,
      youtrack: youtrack.url,
      scripts,
    });
    gateway = await house.serve();
    await house.work();
  });
  afterAll(async () => {
    await house.close();
    await redis?.stop();
    mattermost.close();
    jira.close();
    youtrack.close();
  });

  const heard = (key: string) =>
    mattermost.posts.map((post) => JSON.stringify(post)).filter((post) => post.includes(key));

  test("a Jira issue that moves is built, and the chat hears every state in order", async () => {
    const { status, body } = await deliver(gateway.url, "jira", jiraBody("MOB-12", { ref: "release/2.1" }));
    expect([status, body.status]).toEqual([200, "queued"]);
    const posts = await eventually("three posts", () => (heard("MOB-12").length >= 3 ? heard("MOB-12") : null));
    expect(posts.map((post) => /queued|running|succeeded/.exec(post)?.[0])).toEqual(["queued", "running", "succeeded"]);
    expect(posts[2]).toContain("mac-07");
    expect(posts[2]).toContain("release/2.1");
    expect(posts[2]).toContain("01234567");
    expect(jira.comments.filter(({ issue }) => issue === "MOB-12" || issue === "10061")).toEqual([]);
    const { stdout } = await house.run("runs", "logs", body.run_id ?? "");
    expect(stdout).toBe("building MOB-12 at release/2.1\n");
  });

  test("a Jira issue whose build fails gets one comment with the failing test", async () => {
    await deliver(gateway.url, "jira", { ...jiraBody("MOB-13"), id: 10_013 });
    const comments = await eventually("a comment", () => {
      const found = jira.comments.filter(({ text }) => text.includes("MOB-13"));
      return found.length > 0 ? found : null;
    });
    expect(comments).toHaveLength(1);
    expect(comments[0]?.text).toContain("CartTests");
    expect(comments[0]?.text).toContain("mac-07");
    await eventually("the failure in the chat", () => heard("MOB-13").some((post) => post.includes("failed")));
  });

  test("a YouTrack issue that moves is built", async () => {
    const { body } = await deliver(gateway.url, "youtrack", youtrackBody("APP-12"));
    expect(body.status).toBe("queued");
    await eventually("the success in the chat", () => heard("APP-12").some((post) => post.includes("succeeded")));
    expect(youtrack.comments.filter(({ issue }) => issue === "APP-12")).toEqual([]);
  });

  test("a YouTrack issue whose build fails gets a comment of at most four lines", async () => {
    await deliver(gateway.url, "youtrack", youtrackBody("APP-13"));
    const comment = await eventually("a comment", () => youtrack.comments.find(({ issue }) => issue === "APP-13"));
    expect(comment.text.split("\n").length).toBeLessThanOrEqual(4);
    expect(comment.text).toContain("failed");
    expect(comment.text).toContain("CartTests");
  });

  test("200 concurrent copies of one delivery make one run", async () => {
    const answers = await Promise.all(
      Array.from({ length: 200 }, () => deliver(gateway.url, "jira", jiraBody("MOB-200"))),
    );
    expect(answers.filter(({ body }) => body.status === "queued")).toHaveLength(1);
    expect(answers.filter(({ body }) => body.status === "duplicate")).toHaveLength(199);
    expect(new Set(answers.map(({ body }) => body.run_id)).size).toBe(1);
  });

  test("five delivery ids with one changelog id make one run", async () => {
    const moved = {
      webhookEvent: "jira:issue_updated",
      timestamp: 1_795_000_000_000,
      issue: { ...jiraBody("MOB-5"), changelog: null },
      changelog: {
        id: "77012",
        items: [{ field: "status", fromString: "To Do", toString: "Building", from: "1", to: "3" }],
      },
    };
    const answers = await Promise.all(
      [1, 2, 3, 4, 5].map((n) =>
        deliver(gateway.url, "jira", moved, { "X-Atlassian-Webhook-Identifier": `6931227041458511${n}` }),
      ),
    );
    expect(answers.map(({ body }) => body.status).toSorted()).toEqual([
      "duplicate",
      "duplicate",
      "duplicate",
      "duplicate",
      "queued",
    ]);
  });

  test("two label sets of one status make two runs", async () => {
    const first = await deliver(gateway.url, "jira", jiraBody("MOB-7", { labels: ["ci-build"] }));
    const second = await deliver(gateway.url, "jira", jiraBody("MOB-7", { labels: ["ci-build", "ci-nightly"] }));
    expect([first.body.status, second.body.status]).toEqual(["queued", "queued"]);
  });

  test("a wrong token is 401, even before a body that is not JSON", async () => {
    const { status, body } = await deliver(gateway.url, "jira", "not { json", {
      "X-Meshmac-Jira-Token": "x".repeat(64),
    });
    expect(status).toBe(401);
    expect(body.correlation_id).toBeString();
  });

  test("a delivery that asks for nothing is 200 ignored, and kept with its reason", async () => {
    const { status, body } = await deliver(gateway.url, "jira", jiraBody("MOB-8", { status: "In Review" }));
    expect([status, body.status]).toEqual([200, "ignored"]);
    expect(body.reason).toContain("In Review");
    await eventually("the note", async () => (await house.run("runs", "ignored", "--json")).stdout.includes("MOB-8"));
  });
});
