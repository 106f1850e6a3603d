import { describe, expect, test } from "bun:test";
import { askOf, heldOf, leased, leaseOf, longWait, queue, resultOf, rulesOf, stateOf, withStore } from "./given.ts";
import type { Open } from "./given.ts";

export function renewing(open: Open): void {
  describe("renew", () => {
    test(
      "keeps a lease alive, as often as it is asked",
      withStore(open, async ({ store, node }) => {
        await store.publish(rulesOf({ lease: leaseOf(0) }));
        await queue(node);
        const held = heldOf(await leased(node));
        await store.publish(rulesOf());
        // Late, but nobody took it back: it goes on.
        expect(await node.renew("mac-07", [held])).toEqual({ words: ["ok"], forgotten: [] });
        expect(await node.renew("mac-07", [held])).toEqual({ words: ["ok"], forgotten: [] });
        expect(await store.reap()).toBe(0);
        expect(await stateOf(node, held.run_id)).toBe("running");
      }),
    );

    test(
      "keeps a lease for as long as its node was told, whatever is published since",
      withStore(open, async ({ store, node }) => {
        await queue(node);
        await store.publish(rulesOf());
        const ask = askOf();
        const held = heldOf(await leased(node, ask));
        await store.publish(rulesOf({ lease: leaseOf(0) }));
        expect((await node.renew("mac-07", [held])).words).toEqual(["ok"]);
        expect(await store.reap()).toBe(0);
        expect(await node.lease(askOf({ node: "mac-08" }))).toBeNull();
        // The next one goes by what is published by then.
        expect(await node.finish(resultOf(held, "queued"))).toBe("ok");
        const next = heldOf(await leased(node));
        expect((await node.renew("mac-07", [next])).words).toEqual(["ok"]);
        expect(await store.reap()).toBe(1);
      }),
    );

    test(
      "has one word per run, in the order asked",
      withStore(open, async ({ node }) => {
        for (let i = 0; i < 3; i++) await queue(node);
        const one = heldOf(await leased(node));
        const two = heldOf(await leased(node, askOf({ holding: [one] })));
        const other = heldOf(await leased(node, askOf({ node: "mac-08" })));
        expect(await node.cancel(two.run_id, "not needed")).toBe("asked");
        const unknown = { run_id: Bun.randomUUIDv7(), attempt: 1 };
        const asked = [two, one, other, unknown, { ...one, attempt: 2 }];
        expect((await node.renew("mac-07", asked)).words).toEqual(["cancel", "ok", "stale", "stale", "stale"]);
      }),
    );

    test(
      "is stale after the run ended, was handed back, or was leased again",
      withStore(open, async ({ node }) => {
        await queue(node);
        const first = heldOf(await leased(node));
        await node.finish(resultOf(first, "queued"));
        expect((await node.renew("mac-07", [first])).words).toEqual(["stale"]);
        const second = heldOf(await leased(node));
        expect((await node.renew("mac-07", [first, second])).words).toEqual(["stale", "ok"]);
        await node.finish(resultOf(second, "succeeded"));
        expect((await node.renew("mac-07", [second])).words).toEqual(["stale"]);
      }),
    );

    test(
      "names the runs leased to the node that it did not mention",
      withStore(open, async ({ node }) => {
        for (let i = 0; i < 3; i++) await queue(node);
        const one = heldOf(await leased(node));
        const two = heldOf(await leased(node, askOf({ holding: [one] })));
        await leased(node, askOf({ node: "mac-08" }));
        expect(await node.renew("mac-07", [one])).toEqual({ words: ["ok"], forgotten: [two] });
        expect(await node.renew("mac-07", [one, two])).toEqual({ words: ["ok", "ok"], forgotten: [] });
        expect(await node.renew("mac-09", [])).toEqual({ words: [], forgotten: [] });
      }),
    );

    test(
      "given a wait, answers early on a cancel",
      withStore(open, async ({ node }) => {
        await queue(node);
        const held = heldOf(await leased(node));
        const waiting = node.renew("mac-07", [held], { ms: longWait });
        await node.cancel(held.run_id, "not needed");
        expect((await waiting).words).toEqual(["cancel"]);
        expect((await node.renew("mac-07", [held], { ms: longWait })).words).toEqual(["cancel"]);
      }),
    );

    test(
      "given a wait, answers early when the run is no longer its own",
      withStore(open, async ({ node }) => {
        await queue(node);
        const held = heldOf(await leased(node));
        const waiting = node.renew("mac-07", [held], { ms: longWait });
        await node.finish(resultOf(held, "succeeded"));
        expect((await waiting).words).toEqual(["stale"]);
      }),
    );

    test(
      "given a wait, answers ok when the time is over, and at once when its signal fires",
      withStore(open, async ({ node }) => {
        await queue(node);
        const held = heldOf(await leased(node));
        expect((await node.renew("mac-07", [held], { ms: 1 })).words).toEqual(["ok"]);
        const impatient = new AbortController();
        const waiting = node.renew("mac-07", [held], { ms: longWait, signal: impatient.signal });
        impatient.abort();
        expect((await waiting).words).toEqual(["ok"]);
      }),
    );
  });
}
