import { describe, expect, test } from "bun:test";
import type { Claimed, DestinationRow, Health, Settlement, Store } from "../../../src/stores/store.ts";
import { claimed, expandAll, never, queue, seen, until, wholeStory, withStore } from "./given.ts";
import type { Open } from "./given.ts";

const chat = ["chat:builds"];

type Failure = Extract<Health, { well: false }>;

const failed = (over: Partial<Failure> = {}): Failure => ({
  well: false,
  cause: "failures",
  setup: "one",
  limit: 2,
  open_ms: never,
  longest_ms: 2 * never,
  give_up_ms: never,
  ...over,
});
const refused = failed({ cause: "config", limit: 1 });

const claim = (store: Store, ttl = never) => store.claim(crypto.randomUUID(), ttl, chat);
const later = (store: Store, { key, claim: by }: Claimed, health?: Health, more: Partial<Settlement> = {}) =>
  store.settle({ key, claim: by, verdict: "later", due_in_ms: 0, unsure: false, ...(health && { health }), ...more });
const dead = (store: Store, { key, claim: by }: Claimed, health: Health, why = "status 404") =>
  store.settle({ key, claim: by, verdict: "dead", why, health });
const sent = (store: Store, { key, claim: by }: Claimed, health: Health = { well: true }) =>
  store.settle({ key, claim: by, verdict: "sent", health });

async function rowOf(store: Pick<Store, "destinations">, name = "chat:builds"): Promise<DestinationRow> {
  const row = (await store.destinations()).find((one) => one.name === name);
  if (!row) throw new Error(`${name} has no row`);
  return row;
}

/** Queues so many runs, each with one post at `chat:builds`. */
async function waiting(store: Store, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let i = 0; i < count; i++) ids.push((await queue(store)).run_id);
  await expandAll(store, ...chat);
  return ids;
}

export function closing(open: Open): void {
  describe("circuit", () => {
    test(
      "opens after so many failures in a row, and holds back every post of that destination and no other",
      withStore(open, async (given) => {
        const { store, node } = given;
        await wholeStory(given, "chat:builds", "chat:news");
        await later(store, await claimed(store, chat), failed(), { why: "status 503" });
        expect(await rowOf(node)).toMatchObject({ circuit: "closed", failures: 1, cause: null, why: null, waiting: 3 });
        await later(store, await claimed(store, chat), failed(), { why: "status 502" });
        const { post, next_at } = { next_at: null, ...(await claim(store)) };
        expect(post).toBeNull();
        expect(next_at).toBeGreaterThan(Date.now() + never / 2);
        const row = await rowOf(node);
        expect(row).toMatchObject({
          circuit: "open",
          failures: 2,
          cause: "failures",
          why: "status 502",
          paused_until: null,
        });
        expect(row.opened_at).toBeGreaterThan(0);
        expect((await claimed(store, [...chat, "chat:news"])).destination).toBe("chat:news");
      }),
    );

    test(
      "counts only failures in a row",
      withStore(open, async ({ store }) => {
        await waiting(store, 4);
        await later(store, await claimed(store, chat), failed());
        await sent(store, await claimed(store, chat));
        await later(store, await claimed(store, chat), failed());
        expect(await rowOf(store)).toMatchObject({ circuit: "closed", failures: 1 });
        expect((await claim(store)).post).not.toBeNull();
      }),
    );

    test(
      "says which settlement opened it and which closed it, and no other",
      withStore(open, async ({ store }) => {
        await waiting(store, 4);
        const health = failed({ open_ms: 0 });
        const said = [await later(store, await claimed(store, chat), health)];
        const opening = await claimed(store, chat);
        said.push(await later(store, opening, health), await later(store, opening, health));
        said.push(await later(store, await claimed(store, chat), health));
        said.push(await sent(store, await claimed(store, chat)), await sent(store, await claimed(store, chat)));
        expect(said).toEqual(["ok", "opened", "ok", "ok", "closed", "ok"]);
      }),
    );

    test(
      "opens at once where the destination refuses us, and the post that met it is dead",
      withStore(open, async ({ store, node }) => {
        await waiting(store, 3);
        const first = await claimed(store, chat);
        await dead(store, first, refused, "status 404: no such hook");
        expect(await claim(store)).toMatchObject({ post: null });
        expect(await rowOf(store)).toMatchObject({ circuit: "open", cause: "config", waiting: 2, sending: 0 });
        expect((await seen(node, first.subject)).posts).toMatchObject([
          { status: "dead", why: "status 404: no such hook" },
        ]);
      }),
    );

    test(
      "lets exactly one post through when its time is over, and the others after that one was sent",
      withStore(open, async ({ store }) => {
        await waiting(store, 3);
        await dead(store, await claimed(store, chat), { ...refused, open_ms: 0 });
        const answers = await Promise.all(Array.from({ length: 8 }, () => claim(store)));
        const [probe, ...more] = answers.flatMap(({ post }) => post ?? []);
        expect(more).toEqual([]);
        if (!probe) throw new Error("no probe");
        expect(await rowOf(store)).toMatchObject({ circuit: "half_open", sending: 1, waiting: 1 });
        await sent(store, probe);
        expect(await rowOf(store)).toMatchObject({
          circuit: "closed",
          failures: 0,
          opened_at: null,
          cause: null,
          why: null,
        });
        await sent(store, await claimed(store, chat));
        expect(await store.destinations()).toEqual([]);
      }),
    );

    test(
      "stays open twice as long for each probe that fails, and no longer than the longest",
      withStore(open, async ({ store }) => {
        await waiting(store, 1);
        const health = failed({ limit: 1, open_ms: 0 });
        for (let i = 0; i < 3; i++) await later(store, await claimed(store, chat), health);
        expect(await rowOf(store)).toMatchObject({ circuit: "open", failures: 3 });
        // 2^3 hours by then, were it not for the longest.
        await later(store, await claimed(store, chat), failed({ limit: 1, open_ms: never, longest_ms: 300 }));
        expect(await claim(store)).toMatchObject({ post: null });
        expect(await until(async () => (await claim(store)).post)).toMatchObject({ tries: 5 });
      }),
    );

    test(
      "hears no more of tries that began before it opened, unless they were sent",
      withStore(open, async ({ store }) => {
        await waiting(store, 4);
        const [one, two, three] = [await claimed(store, chat), await claimed(store, chat), await claimed(store, chat)];
        await dead(store, one, refused);
        await later(store, two, failed());
        expect(await rowOf(store)).toMatchObject({ circuit: "open", failures: 1, cause: "config" });
        await sent(store, three);
        expect(await rowOf(store)).toMatchObject({ circuit: "closed", failures: 0 });
      }),
    );

    test(
      "is probed again when the gateway that probed is gone, or learnt nothing",
      withStore(open, async ({ store }) => {
        await waiting(store, 2);
        await dead(store, await claimed(store, chat), { ...refused, open_ms: 0 });
        const gone = await claimed(store, chat, 0);
        const probe = await claimed(store, chat);
        expect(probe).toMatchObject({ key: gone.key, unsure: true });
        expect(await claim(store)).toMatchObject({ post: null });
        await later(store, probe);
        expect(await rowOf(store)).toMatchObject({ circuit: "open", failures: 1 });
        expect((await claim(store)).post).not.toBeNull();
      }),
    );

    test(
      "lets the newest state through of what it held back, and that alone",
      withStore(open, async (given) => {
        const { store, node } = given;
        await waiting(store, 1);
        await dead(store, await claimed(store, chat), { ...refused, open_ms: 0 });
        const run_id = await wholeStory(given, ...chat);
        const probe = await claimed(store, chat);
        expect(probe).toMatchObject({ subject: run_id, state: "succeeded" });
        await sent(store, probe);
        expect((await seen(node, run_id)).posts.map(({ status }) => status)).toEqual(["replaced", "replaced", "sent"]);
        expect(await claim(store)).toEqual({ post: null, next_at: null });
      }),
    );

    test(
      "gives up, when its probe fails, what has waited too long",
      withStore(open, async ({ store, node }) => {
        const ids = await waiting(store, 3);
        await dead(store, await claimed(store, chat), { ...refused, open_ms: 0 });
        await later(store, await claimed(store, chat), failed({ give_up_ms: 0 }), { why: "status 502" });
        const posts = await Promise.all(ids.map(async (id) => (await seen(node, id)).posts[0]));
        expect(posts.map((post) => post?.status)).toEqual(["dead", "dead", "dead"]);
        const givenUp = "given up while the circuit was open: status 502";
        expect(posts.map((post) => post?.why).toSorted()).toEqual([givenUp, givenUp, "status 404"]);
        expect(await rowOf(store)).toMatchObject({ circuit: "open", waiting: 0 });
      }),
    );

    test(
      "is probed at once when options or secrets have changed since it opened, and only then",
      withStore(open, async ({ store }) => {
        await waiting(store, 3);
        await dead(store, await claimed(store, chat), refused);
        await store.reconsider({ "chat:builds": "one", "chat:other": "two" });
        expect(await claim(store)).toMatchObject({ post: null });
        await store.reconsider({ "chat:builds": "two" });
        const probe = await claimed(store, chat);
        expect(await claim(store)).toMatchObject({ post: null });
        await dead(store, probe, { ...refused, setup: "two" });
        await store.reconsider({ "chat:builds": "two" });
        expect(await claim(store)).toMatchObject({ post: null });
        expect(await store.destinations()).toHaveLength(1);
      }),
    );

    test(
      "sends the ends again that it refused under another setup, and nothing else",
      withStore(open, async (given) => {
        const { store, node } = given;
        await waiting(store, 1); // *queued* is no news any more once somebody has mended it
        const queued = await claimed(store, chat);
        await dead(store, queued, { ...refused, open_ms: 0 });
        const [first, second] = [await wholeStory(given, ...chat), await wholeStory(given, ...chat)];
        await dead(store, await claimed(store, chat), { ...refused, open_ms: 0 });
        await dead(store, await claimed(store, chat), refused);
        const statuses = async (id: string) => (await seen(node, id)).posts.map(({ status }) => status);
        await store.reconsider({ "chat:builds": "one", "chat:other": "two" });
        expect(await claim(store)).toMatchObject({ post: null });
        await store.reconsider({ "chat:builds": "two" });
        const probe = await claimed(store, chat);
        expect(probe).toMatchObject({ state: "succeeded", tries: 2, unsure: false });
        expect(await sent(store, probe)).toBe("closed");
        await sent(store, await claimed(store, chat));
        expect(await claim(store)).toEqual({ post: null, next_at: null });
        for (const id of [first, second]) expect(await statuses(id)).toEqual(["replaced", "replaced", "sent"]);
        expect(await statuses(queued.subject)).toEqual(["dead"]);
        await store.reconsider({ "chat:builds": "three" });
        expect(await claim(store)).toEqual({ post: null, next_at: null });
      }),
    );

    test(
      "sends the ends again that it refused, once it takes a post: the other side was mended",
      withStore(open, async (given) => {
        const { store } = given;
        const told = await wholeStory(given, ...chat);
        const knocked = { ...refused, open_ms: 0 };
        await dead(store, await claimed(store, chat), knocked); // *queued*
        await dead(store, await claimed(store, chat), knocked);
        await waiting(store, 1);
        expect(await sent(store, await claimed(store, chat))).toBe("closed");
        const again = await claimed(store, chat);
        expect(again).toMatchObject({ subject: told, state: "succeeded" });
        await dead(store, again, failed({ cause: "failures" }), "given up after 6 tries");
        await store.reconsider({ "chat:builds": "another" });
        expect(await claim(store)).toEqual({ post: null, next_at: null });
      }),
    );

    test(
      "shares its pause and its circuit with the answers under its messages",
      withStore(open, async ({ store }) => {
        await waiting(store, 1);
        const post = await claimed(store, chat);
        const follow = {
          key: "f".repeat(64),
          destination: "chat:builds/reply",
          announcement: post.announcement,
          handle: "m-1",
        };
        await store.settle({ key: post.key, claim: post.claim, verdict: "sent", follow });
        await waiting(store, 3);
        await dead(store, await claimed(store, chat), { ...refused, open_ms: 0 });
        const both = [...chat, "chat:builds/reply"];
        const probe = await claimed(store, both);
        expect(await store.claim("another", never, both)).toMatchObject({ post: null });
        await sent(store, probe);
        expect((await claimed(store, both)).key).not.toBe(probe.key);
        expect((await store.claim("another", never, both)).post).not.toBeNull();
      }),
    );
  });

  describe("destinations", () => {
    test(
      "name what is paused, and until when",
      withStore(open, async ({ store, node }) => {
        expect(await node.destinations()).toEqual([]);
        await waiting(store, 2);
        const pause_until = Date.now() + never;
        await later(store, await claimed(store, chat), undefined, { pause_until, why: "status 429" });
        const row = { name: "chat:builds", paused_until: pause_until, failures: 0, circuit: "closed" as const };
        expect(await node.destinations()).toEqual([
          { ...row, opened_at: null, cause: null, why: "status 429", waiting: 2, sending: 0 },
        ]);
      }),
    );
  });
}
