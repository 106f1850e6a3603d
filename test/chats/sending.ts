import { expect, test } from "bun:test";
import type { Chat } from "../../src/chats/chat.ts";
import { chats } from "../../src/chats/registry.ts";
import { isObject, type Json, type JsonObject } from "../../src/core/json.ts";
import { type Announcement, runStates } from "../../src/core/records.ts";
import { lengthIn } from "../../src/core/text.ts";
import type { Injection, Received } from "../fakes/remote.ts";
import { Stage, type Texts } from "../gateway/stage.ts";

// What every chat keeps when the real sender sends its posts through a real store to a strict server of its kind.

export interface Fake extends Disposable {
  posts: JsonObject[];
  requests: Received[];
  faults: string[];
}

export interface Sending<Server extends Fake> {
  open(script?: Injection[]): Server;
  /** The chat's entry in the configuration, and its secrets. */
  entry(server: Server): { entry: JsonObject; texts: Texts };
  /** What says that the rich layout was refused. */
  refused: Injection;
  /** Whether a post has the minimal layout. */
  isPlain(post: JsonObject): boolean;
  /** What stops at once, each by the way it is told. */
  dead: [about: string, answer: Injection][];
  mentionsIn(post: JsonObject): string[];
}

/** Every spell that some chat obeys, by which no text of a stranger may be known. */
export const canary = [
  "<!channel> <!here> <@U123> @channel @here @all @everyone @room <users/all> <at>x</at>",
  "[x](javascript:alert(1)) *b* _i_ ~s~ `c` ``` & < > \" ' | # \\ &lt; <b>x</b> <img src=x> <a|b>",
  "\u202E \u0000 \u{1F600} é 𝒳 https://evil.example www.evil.example",
].join(" ");

/** Puts a chat of this kind on a stage: it hears every state. */
export async function staged<Server extends Fake>(
  server: Server,
  { entry: entryOf }: Pick<Sending<Server>, "entry">,
  more: JsonObject = {},
  retry: JsonObject = {},
): Promise<Stage> {
  const { entry, texts } = entryOf(server);
  return await Stage.open({ chats: { builds: { ...entry, states: [...runStates], ...more } }, texts, retry });
}

/** Tests what every kind keeps. */
export function keepsWhatEveryChatKeeps<Server extends Fake>(kind: Sending<Server>): void {
  test("a layout that was refused is sent once more as plain text, at once", async () => {
    using server = kind.open([kind.refused]);
    await using stage = await staged(server, kind);
    stage.announcing().sending();
    await stage.report("1", { state: "failed", branch: canary, run_url: "https://ci.example/runs/41" });
    expect(await stage.settled(1)).toMatchObject([{ verdict: "sent" }]);
    expect([server.faults, server.posts.map((post) => kind.isPlain(post))]).toEqual([[], [true]]);
    expect(kind.mentionsIn(server.posts[0] ?? {})).toEqual([]);
  });

  test("plain text that is refused too is given up after those two", async () => {
    using server = kind.open([kind.refused, kind.refused]);
    await using stage = await staged(server, kind);
    stage.announcing().sending();
    await stage.report("1");
    expect(await stage.settled(1)).toMatchObject([{ verdict: "dead" }]);
    await stage.later(3_600_000);
    expect(server.requests).toHaveLength(2);
  });

  test.each(kind.dead)("does not knock twice where %s", async (_about, answer) => {
    using server = kind.open([answer]);
    await using stage = await staged(server, kind);
    stage.announcing().sending();
    await stage.report("1");
    expect(await stage.settled(1)).toMatchObject([{ verdict: "dead" }]);
    await stage.later(3_600_000);
    expect(server.requests).toHaveLength(1);
  });

  const described = (announcement: Announcement, plain: boolean) => {
    using server = kind.open();
    const { entry } = kind.entry(server);
    const chat = chats.find((one) => one.kind === entry.kind) as Chat;
    const given = { key: "5e".repeat(32), subject: canary.repeat(30), threaded: true, plain };
    const { body } = chat.post(announcement, chat.options.parse(entry), given);
    return { limits: chat.limits, body: isObject(body) ? body : {} };
  };

  test.each(["<", "&", ">", '"', "\\", "@", "](", "://", "|", "`", "_", "é", "€", "\u{1F600}", "\u{E0041}x"])(
    "stays within its bytes where everything is a long row of %j",
    (sign) => {
      const row = sign.repeat(6000);
      const link = `https://ci.example/${"é".repeat(300)}`;
      const longest = `https://ci.example/${"x".repeat(1980)}`;
      for (const [plain, url] of [
        [false, link],
        [true, link],
        [false, longest],
        [true, longest],
      ] as const) {
        const { limits, body } = described(everywhere(row, url), plain);
        expect(Buffer.byteLength(JSON.stringify(body))).toBeLessThanOrEqual(limits.body ?? Infinity);
        for (const text of textsIn(body)) expect(lengthIn(limits.unit, text)).toBeLessThanOrEqual(limits.text);
      }
    },
  );

  test("repeats no secret of a refusal that quotes what it was sent", async () => {
    let server: Server | undefined;
    const quoting = { status: 403, headers: {}, body: "" };
    using opened = kind.open([quoting]);
    server = opened;
    const { texts } = kind.entry(server);
    quoting.body = JSON.stringify({ ok: false, error: { code: 403, message: Object.values(texts).join(" ") } });
    await using stage = await staged(server, kind);
    stage.announcing().sending();
    const id = await stage.report("1");
    const [settled] = await stage.settled(1);
    expect(settled).toMatchObject({ verdict: "dead" });
    const kept = JSON.stringify([settled, await stage.posts(id)]);
    for (const text of Object.values(texts)) {
      const words = text.split(/[/?&=:]/).filter((word) => word.length >= 20);
      for (const word of words) expect(kept).not.toContain(word);
    }
  });
}

const textsIn = (value: Json): string[] =>
  typeof value === "string" ? [value] : typeof value === "object" && value ? Object.values(value).flatMap(textsIn) : [];

const everywhere = (text: string, url: string): Announcement => ({
  workflow: text,
  state: "failed",
  branch: text,
  commit: text,
  run_url: url,
  mesh_node_id: text,
  provider_run_id: text,
  source: text,
  issue_key: text,
  issue_id: text,
  issue_url: url,
  summary: text,
  requested_by: text,
  lane: text,
  attempt: 2,
  failing_target: text,
  duration_ms: 4_000_000,
  reason: text,
  log_tail: Array.from({ length: 20 }, () => text),
  idempotency_key: text,
  at: 1_795_000_000_000,
});
