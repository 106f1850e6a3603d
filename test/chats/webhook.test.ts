import { describe, expect, test } from "bun:test";
import { outboundOptions } from "../../src/core/outbound.ts";
import { Secret } from "../../src/core/secret.ts";
import { standardSignature } from "../../src/core/standard-webhooks.ts";
import { sendPost } from "../../src/http.ts";
import { remote } from "../fakes/remote.ts";
import { openWebhook, type Webhook } from "../fakes/webhook.ts";
import { keepsWhatEveryChatKeeps, type Sending, staged } from "./sending.ts";

const signed = ({ url, key }: Webhook) => ({
  entry: { kind: "webhook", url: "webhook/builds.url", key: "webhook/signing.key" },
  texts: { "webhook/builds.url": url, "webhook/signing.key": key },
});

const kind: Sending<Webhook> = {
  open: (script = []) => openWebhook({ script }),
  entry: signed,
  refused: 422,
  isPlain: (post) => !("log_tail" in post),
  dead: [401, 403, 404, 405, 410].map((status) => [`it says ${status}`, status]),
  // Texts are data in JSON; only the ready-made line is meant to be shown.
  mentionsIn: ({ text }) => (/[@<](?!\u200B)|:\/\//.test(String(text)) ? [String(text)] : []),
};

describe("webhook", () => {
  keepsWhatEveryChatKeeps(kind);

  // https://github.com/standard-webhooks/standard-webhooks/blob/main/libraries/javascript/src/index.test.ts
  const published = { id: "msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp: 1614265330, body: '{"test": 2432232314}' };
  test.each([
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n",
  ])("signs the published example with %j", (key) => {
    const signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    expect(standardSignature(key, published)).toBe(signature);
    expect(standardSignature(key, { ...published, body: Buffer.from(published.body) })).toBe(signature);
  });

  test.each([
    "",
    "whsec_",
    "whsec_dG9vc2hvcnQ=",
    `whsec_${"A".repeat(100)}`,
    "whsec_not base64 at all, however long it is",
  ])("signs nothing with %j, and does not repeat it", (key) => {
    expect(() => standardSignature(key, published)).toThrow(
      "the signing key is not whsec_ and the base64 of 24 to 64 bytes",
    );
  });

  test("one id for all tries of a post, a fresh time for each", async () => {
    using receiver = openWebhook({ script: [503, "accept-then-reset"] });
    await using stage = await staged(receiver, kind);
    stage.announcing().sending();
    await stage.report("1");
    await stage.settled(3);
    const ids = receiver.requests.map(({ headers }) => headers.get("webhook-id"));
    expect(new Set(ids).size).toBe(1);
    expect(receiver.posts).toMatchObject([
      { id: ids[0], event: "build.state", state: "succeeded", subject: "github/1" },
    ]);
    expect([receiver.repeats, receiver.faults]).toEqual([1, []]);
  });

  test("without a key the id stays and nothing is signed", async () => {
    using receiver = openWebhook({ open: true });
    await using stage = await staged(receiver, {
      entry: ({ url }) => ({
        entry: { kind: "webhook", url: "webhook/builds.url" },
        texts: { "webhook/builds.url": url },
      }),
    });
    stage.announcing().sending();
    await stage.report("1");
    expect(await stage.settled(1)).toMatchObject([{ verdict: "sent" }]);
    expect(receiver.faults).toEqual([]);
  });

  test("a receiver for which it is too much gets it without the log", async () => {
    using receiver = openWebhook({ small: true });
    await using stage = await staged(receiver, kind);
    stage.announcing().sending();
    await stage.run("failed");
    await stage.settled(3);
    expect([receiver.posts.length, receiver.faults]).toEqual([3, []]);
    expect(receiver.posts.some((post) => "log_tail" in post)).toBe(false);
  });

  test("the key is known to no answer, though a receiver quotes it", async () => {
    const key = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
    using receiver = remote({ status: 403, body: `you signed with ${key}` });
    const sign = { scheme: "standard-webhooks" as const, id: "1", key: new Secret("webhook/signing.key", () => key) };
    const answer = await sendPost({ method: "POST", url: receiver.url, sign, body: {} }, outboundOptions.parse({}));
    expect("reply" in answer && answer.reply.text).toStartWith("you signed with ");
    expect(JSON.stringify(answer)).not.toContain(key.slice(6, 30));
  });

  test("a wrong key is a closed door, a broken one waits to be mended", async () => {
    using receiver = openWebhook();
    const { entry, texts } = signed(receiver);
    const wrong = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
    await using stage = await staged(receiver, {
      entry: () => ({ entry, texts: { ...texts, "webhook/signing.key": wrong } }),
    });
    stage.announcing().sending();
    await stage.report("1");
    expect(await stage.settled(1)).toMatchObject([{ verdict: "dead" }]);

    const broken = { ...texts, "webhook/signing.key": "whsec_oops" };
    await using other = await staged(receiver, { entry: () => ({ entry, texts: broken }) });
    other.announcing().sending();
    await other.report("2");
    const [later] = await other.settled(1);
    expect(later).toMatchObject({ verdict: "later", unsure: false });
    expect(later?.why).toContain("signing key");
    broken["webhook/signing.key"] = receiver.key;
    await other.settled(2);
    expect(receiver.posts).toHaveLength(1);
  });
});
