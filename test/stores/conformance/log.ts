import { describe, expect, test } from "bun:test";
import type { Held } from "../../../src/stores/store.ts";
import { askOf, bytesOf, heldOf, leased, leaseOf, queue, resultOf, rulesOf, withStore } from "./given.ts";
import type { NodeSide, Open } from "./given.ts";

const say = (node: NodeSide, held: Held, offset: number, text: string | Uint8Array, name = "mac-07") =>
  node.log({ ...held, node: name, offset, bytes: typeof text === "string" ? bytesOf(text) : text });

const whole = async (node: NodeSide, { run_id, attempt }: Held): Promise<string> =>
  new TextDecoder().decode((await node.readLog(run_id, attempt, 0, 1 << 20)).bytes);

export function logging(open: Open): void {
  describe("log", () => {
    test(
      "appends, and answers the offset wanted next",
      withStore(open, async ({ node }) => {
        await queue(node);
        const held = heldOf(await leased(node));
        expect(await say(node, held, 0, "one\n")).toBe(4);
        expect(await say(node, held, 4, "two\n")).toBe(8);
        expect(await say(node, held, 8, "")).toBe(8);
        expect(await whole(node, held)).toBe("one\ntwo\n");
      }),
    );

    test(
      "keeps a repeated chunk once, trims an overlap, and refuses a gap",
      withStore(open, async ({ node }) => {
        await queue(node);
        const held = heldOf(await leased(node));
        expect(await say(node, held, 10, "too far")).toBe(0);
        expect(await say(node, held, 0, "abcdef")).toBe(6);
        expect(await say(node, held, 0, "abcdef")).toBe(6);
        expect(await say(node, held, 0, "abc")).toBe(6);
        expect(await say(node, held, 4, "efgh")).toBe(8);
        expect(await say(node, held, 9, "j")).toBe(8);
        expect(await whole(node, held)).toBe("abcdefgh");
      }),
    );

    test(
      "is byte-exact wherever a character is cut, and for bytes that are no text",
      withStore(open, async ({ node }) => {
        await queue(node);
        const held = heldOf(await leased(node));
        const text = bytesOf("Prüfung läuft 🌲\r\n日本語");
        const bytes = new Uint8Array([...text, 0, 255, 254, 128, 10, ...text]);
        for (let at = 0; at < bytes.length; at++)
          expect(await say(node, held, at, bytes.subarray(at, at + 1))).toBe(at + 1);
        const { bytes: read, size, next } = await node.readLog(held.run_id, held.attempt, 0, 1 << 20);
        expect([...read]).toEqual([...bytes]);
        expect({ size, next }).toEqual({ size: bytes.length, next: bytes.length });
      }),
    );

    test(
      "is read in slices",
      withStore(open, async ({ node }) => {
        await queue(node);
        const held = heldOf(await leased(node));
        await say(node, held, 0, "0123456789");
        const slice = async (from: number, limit: number) => {
          const { bytes, next, size } = await node.readLog(held.run_id, held.attempt, from, limit);
          return [new TextDecoder().decode(bytes), next, size];
        };
        expect(await slice(0, 4)).toEqual(["0123", 4, 10]);
        expect(await slice(4, 100)).toEqual(["456789", 10, 10]);
        expect(await slice(10, 100)).toEqual(["", 10, 10]);
        expect((await node.readLog(Bun.randomUUIDv7(), 1, 0, 100)).size).toBe(0);
      }),
    );

    test(
      "keeps each attempt's log, and refuses the word of a stale one",
      withStore(open, async ({ store, node }) => {
        await store.publish(rulesOf({ lease: leaseOf(0) }));
        await queue(node);
        const first = heldOf(await leased(node));
        expect(await say(node, first, 0, "first")).toBe(5);
        await store.publish(rulesOf());
        const second = heldOf(await leased(node, askOf({ node: "mac-08" })));
        expect(await say(node, first, 5, "late")).toBe("stale");
        expect(await say(node, second, 0, "second", "mac-08")).toBe(6);
        expect(await say(node, second, 6, "stranger", "mac-09")).toBe("stale");
        expect([await whole(node, first), await whole(node, second)]).toEqual(["first", "second"]);
        await node.finish(resultOf(second, "succeeded", { mesh_node_id: "mac-08" }));
        expect(await say(node, second, 6, "after the end", "mac-08")).toBe("stale");
        expect(await say(node, { run_id: Bun.randomUUIDv7(), attempt: 1 }, 0, "whose?")).toBe("stale");
        expect(await whole(node, second)).toBe("second");
      }),
    );

    test(
      "takes the late rest of an attempt from the node that had it, whoever has the run by then",
      withStore(open, async ({ store, node }) => {
        await store.publish(rulesOf({ lease: leaseOf(0) }));
        await queue(node);
        const first = heldOf(await leased(node));
        expect(await say(node, first, 0, "first")).toBe(5);
        await store.publish(rulesOf());
        const second = heldOf(await leased(node, askOf({ node: "mac-08" })));
        const late = (held: Held, offset: number, text: string, name: string) =>
          node.log({ ...held, node: name, offset, bytes: bytesOf(text), late: true });
        expect(await say(node, first, 5, " late")).toBe("stale");
        expect(await late(first, 5, " late", "mac-07")).toBe(10);
        expect(await late(first, 5, " late", "mac-07")).toBe(10);
        expect(await late(first, 99, "a gap", "mac-07")).toBe(10);
        expect(await late(first, 10, "stranger", "mac-08")).toBe("stale");
        expect(await late(second, 0, "stranger", "mac-07")).toBe("stale");
        expect(await late({ ...first, attempt: 7 }, 0, "never leased", "mac-07")).toBe("stale");
        await node.finish(resultOf(second, "failed", { mesh_node_id: "mac-08" }));
        expect(await late(second, 0, "second", "mac-08")).toBe(6);
        expect(await late(first, 10, " again", "mac-07")).toBe(16);
        expect([await whole(node, first), await whole(node, second)]).toEqual(["first late again", "second"]);
      }),
    );

    test(
      "takes the late rest of an attempt that was handed back",
      withStore(open, async ({ node }) => {
        await queue(node);
        const first = heldOf(await leased(node));
        await node.finish(resultOf(first, "queued"));
        expect(await say(node, first, 0, "one")).toBe("stale");
        expect(await node.log({ ...first, node: "mac-07", offset: 0, bytes: bytesOf("one"), late: true })).toBe(3);
        expect(await whole(node, first)).toBe("one");
      }),
    );

    test(
      "keeps the published limit whatever a node sends, says where it cut, and goes on taking",
      withStore(open, async ({ store, node }) => {
        await store.publish(rulesOf({ log_limit: 10 }));
        await queue(node);
        const lease = await leased(node);
        expect(lease.log_limit).toBe(10);
        const held = heldOf(lease);
        expect(await say(node, held, 0, "0123456")).toBe(7);
        expect(await say(node, held, 7, "789abc")).toBe(13);
        expect(await say(node, held, 7, "789abc")).toBe(13);
        expect(await say(node, held, 13, "defg")).toBe(17);
        expect(await whole(node, held)).toBe(
          "0123456789\n[the rest is left out here: 10 bytes are kept of an attempt]\n",
        );
      }),
    );
  });
}
