import { expect, test } from "bun:test";
import { openRedis } from "../../src/stores/redis.ts";
import { openMattermost } from "../fakes/mattermost.ts";
import { startRedis } from "../fakes/redis-server.ts";
import { openWebhook } from "../fakes/webhook.ts";
import { deliver, eventually, Household, jiraBody, type Process } from "./household.ts";

const chat = (entry: object) => ({ ...entry, states: ["queued"], rate: "1000/s", timeout: "500ms" });

/** Which posts a gateway says it has sent. */
const sentBy = ({ lines }: Process): string[] =>
  lines.filter(({ msg }) => msg === "post sent").map((line) => `${String(line.destination)} ${String(line.run_id)}`);

const keysIn = (posts: unknown[]): string[] => posts.map((post) => /MOB-\d+/.exec(JSON.stringify(post))?.[0] ?? "?");

test("deliveries move from one gateway to another under load, and the first is killed: nothing lost, nothing doubled", async () => {
  const redis = await startRedis({ appendonly: "yes" });
  await using _ = { [Symbol.asyncDispose]: () => redis.stop() };
  using hook = openWebhook();
  using mattermost = openMattermost();
  await using house = new Household({
    store: `redis://127.0.0.1:${redis.port}/0`,
    config: {
      chats: {
        audit: chat({ kind: "webhook", url: "audit/hook.url", key: "audit/hook.key" }),
        builds: chat({ kind: "mattermost", url: "builds/hook.url" }),
      },
    },
  });
  house.secret("audit/hook.url", hook.url);
  house.secret("audit/hook.key", hook.key);
  house.secret("builds/hook.url", mattermost.url);
  const [first, second] = [await house.serve(), await house.serve()];

  // As trackers do: what was not taken is sent again, under the same id, and goes where the others go by then.
  let front = first.url;
  const accepted = new Map<string, string>();
  let next = 0;
  const load = Array.from({ length: 4 }, async () => {
    while (next < 400) {
      const key = `MOB-${next++}`;
      await eventually(`${key} was taken`, async () => {
        const id = { "X-Atlassian-Webhook-Identifier": `delivery-${key}` };
        const answer = await deliver(front, "jira", jiraBody(key), id).catch(() => null);
        if (answer?.status !== 200 || !answer.body.run_id) return false;
        accepted.set(key, answer.body.run_id);
        return true;
      });
      if (accepted.size === 150) front = second.url;
    }
  });
  await eventually("the first gateway at work", () => accepted.size >= 200);
  await first.kill9();
  await Promise.all(load);

  const store = await openRedis({ url: redis.url, pool: "acme-ios" });
  try {
    const rows = await eventually("every post sent", async () => {
      const all = await Promise.all([...accepted.values()].map((run_id) => store.posts(run_id)));
      const isTold = all.every((posts) => posts?.length === 2 && posts.every(({ status }) => status === "sent"));
      return isTold ? all.flatMap((posts) => posts ?? []) : null;
    });
    const unsure = rows.filter((post) => post.unsure && post.destination === "chat:builds").length;
    expect(accepted.size).toBe(400);
    expect(new Set(accepted.values()).size).toBe(400);
    expect(keysIn(hook.posts).toSorted()).toEqual([...accepted.keys()].toSorted());
    expect(new Set(keysIn(mattermost.posts))).toEqual(new Set(accepted.keys()));
    expect(mattermost.posts.length - accepted.size).toBeLessThanOrEqual(unsure);
    expect(unsure).toBeLessThanOrEqual(1); // one at a time goes to each chat
    expect([hook.faults, mattermost.faults]).toEqual([[], []]);
    const [one, other] = [sentBy(first), sentBy(second)];
    expect(Math.min(one.length, other.length)).toBeGreaterThan(0);
    expect(one.filter((post) => other.includes(post))).toEqual([]);
    expect(new Set(one).size + new Set(other).size).toBe(one.length + other.length);
  } finally {
    await store.close();
  }
}, 60_000);
