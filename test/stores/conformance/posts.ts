import { describe, expect, test } from "bun:test";
import type { Claimed, Settlement, Store } from "../../../src/stores/store.ts";
import { claimed, expandAll, never, queue, seen, until, wholeStory, withStore } from "./given.ts";
import type { NodeSide, Open } from "./given.ts";

const chat = ["chat:builds"];

const sent = (store: Store, { key, claim }: Claimed, handle?: string) =>
  store.settle({ key, claim, verdict: "sent", ...(handle !== undefined && { handle }) });
const later = (
  store: Store,
  { key, claim }: Claimed,
  due_in_ms: number,
  more: Partial<Extract<Settlement, { verdict: "later" }>> = {},
) => store.settle({ key, claim, verdict: "later", due_in_ms, unsure: false, ...more });
const claim = (store: Store, destinations = chat, ttl = never) => store.claim(crypto.randomUUID(), ttl, destinations);

const statuses = async (node: NodeSide, run_id: string): Promise<Record<string, string>> =>
  Object.fromEntries((await seen(node, run_id)).posts.map(({ state, status }) => [state, status]));

export function posting(open: Open): void {
  describe("claim", () => {
    test(
      "goes state by state, one at a time, per subject and destination",
      withStore(open, async (given) => {
        const { store } = given;
        const run_id = await wholeStory(given, "chat:builds");
        for (const [i, state] of (["queued", "running", "succeeded"] as const).entries()) {
          const post = await claimed(store, chat);
          expect(post).toMatchObject({
            subject: run_id,
            destination: "chat:builds",
            state,
            seq: i + 1,
            tries: 1,
            unsure: false,
          });
          // What is being sent holds back what comes after it.
          expect(await claim(store)).toMatchObject({ post: null });
          expect(await sent(store, post)).toBe("ok");
        }
        expect(await claim(store)).toEqual({ post: null, next_at: null });
        expect(await statuses(given.node, run_id)).toEqual({ queued: "sent", running: "sent", succeeded: "sent" });
      }),
    );

    test(
      "lets neither subjects nor destinations hold each other back",
      withStore(open, async (given) => {
        const { store } = given;
        const [one, two] = [
          await wholeStory(given, "chat:builds", "chat:news"),
          await wholeStory(given, "chat:builds"),
        ];
        const posts = [await claimed(store, chat), await claimed(store, chat), await claimed(store, ["chat:news"])];
        expect(posts.map(({ subject, destination }) => [subject, destination])).toEqual([
          [one, "chat:builds"],
          [two, "chat:builds"],
          [one, "chat:news"],
        ]);
        expect(posts.every(({ state }) => state === "queued")).toBe(true);
      }),
    );

    test(
      "takes only what is for the destinations named",
      withStore(open, async ({ store, node }) => {
        await queue(node);
        await expandAll(store, "chat:builds", "comment:jira");
        expect(await claim(store, ["chat:other"])).toEqual({ post: null, next_at: null });
        expect(await claim(store, [])).toEqual({ post: null, next_at: null });
        expect((await claimed(store, ["chat:other", "comment:jira"])).destination).toBe("comment:jira");
      }),
    );

    test(
      "gives one post to one of many gateways",
      withStore(open, async ({ store, node }) => {
        await queue(node);
        await expandAll(store, "chat:builds");
        const answers = await Promise.all(Array.from({ length: 20 }, () => claim(store)));
        expect(answers.filter(({ post }) => post !== null)).toHaveLength(1);
      }),
    );

    test(
      "answers the same post to the same claim, as one try",
      withStore(open, async ({ store, node }) => {
        await queue(node);
        await queue(node);
        await expandAll(store, "chat:builds");
        const first = await store.claim("claim-1", never, chat);
        expect(first.post).toMatchObject({ claim: "claim-1", tries: 1 });
        expect(await store.claim("claim-1", never, chat)).toEqual(first);
      }),
    );

    test(
      "writes the try down before it is made: a claim that runs out comes back unsure",
      withStore(open, async ({ store, node }) => {
        const { run_id } = await queue(node);
        await expandAll(store, "chat:builds");
        const frozen = await claimed(store, chat, 0);
        expect(frozen).toMatchObject({ tries: 1, unsure: false });
        expect((await seen(node, run_id)).posts).toMatchObject([{ status: "sending", tries: 1 }]);
        const second = await claimed(store, chat);
        expect(second).toMatchObject({ key: frozen.key, tries: 2, unsure: true });
        expect(await sent(store, frozen)).toBe("stale");
        expect(await sent(store, second)).toBe("ok");
      }),
    );

    test(
      "hands the provider's handle on, per subject and destination",
      withStore(open, async (given) => {
        const { store } = given;
        await wholeStory(given, "chat:builds", "chat:news");
        const queued = await claimed(store, chat);
        expect(queued.handle).toBeNull();
        await sent(store, queued, "post-1");
        const running = await claimed(store, chat);
        expect(running.handle).toBe("post-1");
        await sent(store, running);
        expect((await claimed(store, chat)).handle).toBe("post-1");
        expect((await claimed(store, ["chat:news"])).handle).toBeNull();
        await wholeStory(given, "chat:builds");
        expect((await claimed(store, chat)).handle).toBeNull();
      }),
    );
  });

  describe("settle", () => {
    test(
      "says ok again to the claim that settled, and stale to every other",
      withStore(open, async (given) => {
        const { store } = given;
        await wholeStory(given, "chat:builds");
        const post = await claimed(store, chat);
        expect(await sent(store, { ...post, claim: "another" })).toBe("stale");
        expect(await sent(store, { ...post, key: "0".repeat(64) })).toBe("stale");
        expect(await sent(store, post, "post-1")).toBe("ok");
        expect(await sent(store, post, "post-1")).toBe("ok");
        const next = await claimed(store, chat);
        expect(next).toMatchObject({ state: "running", handle: "post-1" });
        expect(await later(store, next, 0)).toBe("ok");
        expect(await later(store, next, 0)).toBe("ok");
        expect((await claim(store)).post).not.toBeNull();
      }),
    );

    test(
      "tries again when it is due, and remembers what the last try said",
      withStore(open, async ({ store, node }) => {
        await queue(node);
        await expandAll(store, "chat:builds");
        await later(store, await claimed(store, chat), 0, { why: "status 503" });
        const second = await claimed(store, chat);
        expect(second).toMatchObject({ tries: 2, why: "status 503", unsure: false });
        await later(store, second, 0, { why: "timed out", unsure: true });
        const third = await claimed(store, chat);
        expect(third).toMatchObject({ tries: 3, why: "timed out", unsure: true });
        // A later clean failure does not tell what became of the unsure one.
        await later(store, third, never, { why: "status 503" });
        const { post, next_at } = { next_at: null, ...(await claim(store)) };
        expect(post).toBeNull();
        expect(next_at).toBeGreaterThan(Date.now() + never / 2);
      }),
    );

    test(
      "keeps a try unsure until the post is settled",
      withStore(open, async ({ store, node }) => {
        await queue(node);
        await expandAll(store, "chat:builds");
        await later(store, await claimed(store, chat), 0, { unsure: true });
        await later(store, await claimed(store, chat), 0, { unsure: false });
        expect(await claimed(store, chat)).toMatchObject({ tries: 3, unsure: true });
      }),
    );

    test(
      "lets a newer state go first once the older one's send has failed; then the older is replaced",
      withStore(open, async (given) => {
        const { store, node } = given;
        const run_id = await wholeStory(given, "chat:builds");
        await later(store, await claimed(store, chat), never, { why: "status 503" });
        const newer = await claimed(store, chat);
        expect(newer.state).toBe("running");
        expect(await claim(store)).toMatchObject({ post: null });
        await sent(store, newer);
        expect(await statuses(node, run_id)).toEqual({ queued: "replaced", running: "sent", succeeded: "waiting" });
        const last = await claimed(store, chat);
        expect(last.state).toBe("succeeded");
        await sent(store, last);
        expect(await claim(store)).toEqual({ post: null, next_at: null });
      }),
    );

    test(
      "sends no older state while a newer one is being sent",
      withStore(open, async (given) => {
        const { store } = given;
        await wholeStory(given, "chat:builds");
        const first = await claimed(store, chat);
        await later(store, first, 0);
        const newer = await claimed(store, chat);
        expect(newer.seq).toBeGreaterThan(first.seq);
        expect(await claim(store)).toMatchObject({ post: null });
      }),
    );

    test(
      "sends no older state once a newer one was tried: it may have arrived",
      withStore(open, async (given) => {
        const { store } = given;
        await wholeStory(given, "chat:builds");
        await later(store, await claimed(store, chat), 0);
        const newer = await claimed(store, chat);
        await later(store, newer, never, { unsure: true });
        const last = await claimed(store, chat);
        expect(last.seq).toBeGreaterThan(newer.seq);
        await later(store, last, never, { unsure: true });
        expect(await claim(store)).toMatchObject({ post: null });
      }),
    );

    test(
      "replaces nothing while the newer state has not arrived either",
      withStore(open, async (given) => {
        const { store, node } = given;
        const run_id = await wholeStory(given, "chat:builds");
        for (let i = 0; i < 3; i++) await later(store, await claimed(store, chat), never);
        expect(await claim(store)).toMatchObject({ post: null });
        expect(await statuses(node, run_id)).toEqual({ queued: "waiting", running: "waiting", succeeded: "waiting" });
      }),
    );

    test(
      "goes on after a dead post",
      withStore(open, async (given) => {
        const { store, node } = given;
        const run_id = await wholeStory(given, "chat:builds");
        const first = await claimed(store, chat);
        const dead: Settlement = { key: first.key, claim: first.claim, verdict: "dead", why: "status 400" };
        expect(await store.settle(dead)).toBe("ok");
        expect(await store.settle(dead)).toBe("ok");
        const second = await claimed(store, chat);
        expect(second.state).toBe("running");
        await sent(store, second);
        expect(await statuses(node, run_id)).toEqual({ queued: "dead", running: "sent", succeeded: "waiting" });
        expect((await seen(node, run_id)).posts).toMatchObject([{ why: "status 400", tries: 1 }, {}, {}]);
      }),
    );

    test(
      "tells no older state after a newer one, also where the newer one is dead",
      withStore(open, async (given) => {
        const { store, node } = given;
        const run_id = await wholeStory(given, "chat:builds");
        await later(store, await claimed(store, chat), never);
        const { key, claim: by } = await claimed(store, chat);
        await store.settle({ key, claim: by, verdict: "dead", why: "status 400" });
        expect(await statuses(node, run_id)).toEqual({ queued: "replaced", running: "dead", succeeded: "waiting" });
      }),
    );

    test(
      "pauses a destination, and no other",
      withStore(open, async (given) => {
        const { store } = given;
        await wholeStory(given, "chat:builds", "chat:news");
        await wholeStory(given, "chat:builds");
        const pause_until = Date.now() + never;
        await later(store, await claimed(store, chat), 0, { pause_until });
        const { post, next_at } = { next_at: null, ...(await claim(store)) };
        expect(post).toBeNull();
        expect(next_at).toBeGreaterThan(pause_until - never / 2);
        expect((await claimed(store, ["chat:builds", "chat:news"])).destination).toBe("chat:news");
      }),
    );

    test(
      "does not mind a pause that is over",
      withStore(open, async (given) => {
        const { store } = given;
        await wholeStory(given, "chat:builds");
        await wholeStory(given, "chat:builds");
        await later(store, await claimed(store, chat), never, { pause_until: Date.now() - never });
        expect((await claim(store)).post).not.toBeNull();
      }),
    );

    test(
      "sends after a pause the newest state of what the pause held back, and that alone",
      withStore(open, async (given) => {
        const { store, node } = given;
        await queue(store, { script: "other" });
        await expandAll(store, "chat:builds");
        const held = await wholeStory(given, "chat:builds");
        const refused = await claimed(store, chat);
        await later(store, refused, never, { why: "status 429", pause_until: Date.now() + 300 });
        const post = await until(async () => (await claim(store)).post);
        expect(post).toMatchObject({ subject: held, state: "succeeded" });
        await sent(store, post);
        expect(await statuses(node, held)).toEqual({ queued: "replaced", running: "replaced", succeeded: "sent" });
      }),
    );
  });

  describe("what a frozen gateway overwrote", () => {
    const edit = { edited: true };
    const settleEdit = (store: Store, { key, claim: by }: Claimed) =>
      store.settle({ key, claim: by, verdict: "sent", handle: "m-1", ...edit });

    test(
      "is put right: the newest state that was sent is sent once more",
      withStore(open, async (given) => {
        const { store, node } = given;
        const run_id = await wholeStory(given, "chat:builds");
        await sent(store, await claimed(store, chat), "m-1");
        const frozen = await claimed(store, chat, 0);
        const last = await claimed(store, chat);
        await sent(store, last);
        for (let i = 0; i < 2; i++) expect(await settleEdit(store, frozen)).toBe("stale");
        const again = await claimed(store, chat);
        expect(again).toMatchObject({ key: last.key, state: "succeeded", handle: "m-1" });
        expect(await sent(store, again)).toBe("ok");
        // A lost reply makes the frozen one say it again.
        expect(await settleEdit(store, frozen)).toBe("stale");
        expect(await claim(store)).toEqual({ post: null, next_at: null });
        expect(await statuses(node, run_id)).toEqual({ queued: "sent", running: "replaced", succeeded: "sent" });
      }),
    );

    test(
      "is put right after what is being sent just then",
      withStore(open, async (given) => {
        const { store } = given;
        await wholeStory(given, "chat:builds");
        await sent(store, await claimed(store, chat), "m-1");
        const frozen = await claimed(store, chat, 0);
        const last = await claimed(store, chat);
        expect(await settleEdit(store, frozen)).toBe("stale");
        expect(await claim(store)).toMatchObject({ post: null });
        await sent(store, last);
        const again = await claimed(store, chat);
        expect(again.key).toBe(last.key);
        await sent(store, again);
        expect(await claim(store)).toEqual({ post: null, next_at: null });
      }),
    );

    test(
      "is left alone where nothing newer was sent, or nothing can have been overwritten",
      withStore(open, async (given) => {
        const { store } = given;
        await wholeStory(given, "chat:builds");
        await sent(store, await claimed(store, chat), "m-1");
        const early = await claimed(store, chat, 0);
        const frozen = await claimed(store, chat, 0);
        const same = await claimed(store, chat);
        expect([frozen.key, early.state]).toEqual([same.key, "running"]);
        expect(await settleEdit(store, frozen)).toBe("stale");
        await sent(store, same);
        await settleEdit(store, { ...frozen, key: "0".repeat(64) });
        expect(await sent(store, early)).toBe("stale");
        expect(await claim(store)).toEqual({ post: null, next_at: null });
      }),
    );
  });

  describe("what follows a post", () => {
    test(
      "is made in the step that settles it, once, and begins with its handle",
      withStore(open, async (given) => {
        const { store, node } = given;
        const run_id = await wholeStory(given, "chat:builds");
        const post = await claimed(store, chat);
        const { announcement } = post;
        const follow = { key: "a".repeat(64), destination: "chat:builds/reply", announcement, handle: "m-1" };
        const settlement: Settlement = { key: post.key, claim: post.claim, verdict: "sent", handle: "m-1", follow };
        expect(await store.settle({ ...settlement, claim: "another" })).toBe("stale");
        expect(await store.claim("early", never, ["chat:builds/reply"])).toMatchObject({ post: null });
        for (let i = 0; i < 2; i++) expect(await store.settle(settlement)).toBe("ok");
        const answer = await claimed(store, ["chat:builds/reply"]);
        expect(answer).toMatchObject({
          key: follow.key,
          subject: run_id,
          state: "queued",
          seq: 1,
          handle: "m-1",
          announcement,
        });
        await sent(store, answer);
        expect((await seen(node, run_id)).posts).toContainEqual(
          expect.objectContaining({ destination: "chat:builds/reply", state: "queued", status: "sent" }),
        );
        expect((await claimed(store, chat)).state).toBe("running");
      }),
    );
  });
}
