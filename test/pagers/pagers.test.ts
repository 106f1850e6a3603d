import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { isObject, type Json, type JsonObject } from "../../src/core/json.ts";
import { outboundOptions } from "../../src/core/outbound.ts";
import type { Post } from "../../src/core/post.ts";
import { Secret } from "../../src/core/secret.ts";
import { sendPost } from "../../src/http.ts";
import type { Alert, Pager } from "../../src/pagers/pager.ts";
import { pagers } from "../../src/pagers/registry.ts";
import { openPagerduty } from "../fakes/pagerduty.ts";
import { openWebhook } from "../fakes/webhook.ts";

// Every pager of the registry keeps the same promises, shown by its own fixtures.

interface Fixture {
  about: string;
  alert: Alert;
  options: JsonObject;
  page: Json;
  resolve: Json;
}

const fixtures = (kind: string): Fixture[] => {
  const folder = join(import.meta.dir, "../../fixtures/pagers", kind);
  return readdirSync(folder).map((file) => JSON.parse(readFileSync(join(folder, file), "utf8")) as Fixture);
};
const rendered = (post: unknown) => JSON.parse(JSON.stringify(post)) as JsonObject;
const optionsOf = (pager: Pager) => pager.options.parse(fixtures(pager.kind)[0]?.options);
const textsIn = (value: Json): string[] =>
  typeof value === "string" ? [value] : typeof value === "object" && value ? Object.values(value).flatMap(textsIn) : [];
const reply = (status: number, text: string) => ({ status, headers: new Headers(), text });
const outbound = outboundOptions.parse({});
const routingKey = "0123456789abcdef0123456789ABCDEF";

const strange = fc.oneof(
  fc.string({ unit: "binary", maxLength: 400 }),
  fc.constantFrom("\u202E<!here>\u0000", "\uD83D", "😀".repeat(3000), " ", "", "{{x}}\r\n"),
);
const alerts: fc.Arbitrary<Alert> = fc.record({
  key: fc.constantFrom("meshmac:acme-ios:run/1", `meshmac:acme-ios:${"k".repeat(180)}`),
  about: strange,
  summary: strange,
  source: strange,
  severity: fc.constantFrom("critical", "error", "warning", "info"),
  at: fc.nat(2_000_000_000_000),
  links: fc.array(fc.record({ href: strange, text: strange }), { maxLength: 3 }),
  details: fc.dictionary(fc.stringMatching(/^[a-z:]{1,20}$/), strange, { maxKeys: 60 }),
});

describe.each(pagers.map((pager) => [pager.kind, pager] as const))("%s", (kind, pager) => {
  test.each(fixtures(kind).map((fixture) => [fixture.about, fixture] as const))("renders %s", (_about, fixture) => {
    const options = pager.options.parse(fixture.options);
    expect(rendered(pager.page(fixture.alert, options))).toEqual(fixture.page as JsonObject);
    expect(rendered(pager.resolve?.(fixture.alert, options))).toEqual(fixture.resolve as JsonObject);
  });

  test("judges every status, and takes none but 2xx for sent", () => {
    for (let status = 100; status < 600; status++) {
      const { verdict } = pager.judge(reply(status, '{"status":"success"}'));
      expect(verdict).toBeOneOf(["sent", "retry", "dead"]);
      if (verdict === "sent") expect(Math.floor(status / 100)).toBe(2);
      if (status >= 500 && status !== 501) expect(verdict).toBe("retry");
      if ([301, 302, 400, 401, 403, 404, 410].includes(status)) expect(verdict).toBe("dead");
    }
    expect(pager.judge(reply(429, "")).verdict).toBe("retry");
  });

  test("keeps strangers' texts well formed, on one line and within bounds", () =>
    fc.assert(
      fc.property(alerts, (alert) => {
        const { body = {} } = rendered(pager.page(alert, optionsOf(pager)));
        for (const text of textsIn(body)) {
          expect(text.isWellFormed()).toBe(true);
          expect(text).not.toMatch(/[\u0000-\u001F\u007F-\u009F\u202A-\u202E\u2066-\u2069]/);
        }
        expect(Buffer.byteLength(JSON.stringify(body))).toBeLessThan(512_000);
      }),
    ));

  test("names no secret but by its name", () => {
    const post = rendered(pager.page(fixtures(kind)[0]?.alert as Alert, optionsOf(pager)));
    const secrets = ["key", "url"].flatMap((name) => fixtures(kind)[0]?.options[name] ?? []);
    for (const name of secrets) expect(JSON.stringify(post)).toContain(`<secret ${name}>`);
  });
});

describe("pagerduty", () => {
  const pagerduty = pagers.find(({ kind }) => kind === "pagerduty") as Pager;
  const bound = (base_url: string, key = routingKey) => {
    const options = pagerduty.options.parse({ kind: "pagerduty", key: "pagerduty/routing.key", base_url });
    if (options.key instanceof Secret) options.key.bind(() => key);
    return options;
  };
  const [{ alert } = { alert: undefined }] = fixtures("pagerduty");
  const told = alert as Alert;
  const sent = async (post: Post) => {
    const answer = await sendPost(post, outbound);
    return "reply" in answer ? pagerduty.judge(answer.reply).verdict : answer.failure.why;
  };

  test("opens one incident however often it is told, and resolves it", async () => {
    using service = openPagerduty();
    const options = bound(`${service.base_url}/`);
    for (let n = 0; n < 2; n++) expect(await sent(pagerduty.page(told, options))).toBe("sent");
    expect(service.incidents).toMatchObject([{ status: "triggered", triggers: 2, dedup_key: told.key }]);
    expect(await sent(pagerduty.resolve?.(told, options) as Post)).toBe("sent");
    expect(service.incidents).toMatchObject([{ status: "resolved" }]);
    expect(service.faults).toEqual([]);
  });

  test("is taken by a strict service, whatever strangers write", async () => {
    using service = openPagerduty();
    const options = bound(service.base_url);
    await fc.assert(
      fc.asyncProperty(alerts, async (hostile) => {
        // what only a careless template writes is the stranger's own here
        fc.pre(!JSON.stringify(hostile).includes("{{"));
        expect(await sent(pagerduty.page(hostile, options))).toBe("sent");
      }),
      { numRuns: 60 },
    );
    expect(service.faults).toEqual([]);
  });

  test("never repeats its key, not even when the service does", async () => {
    using service = openPagerduty({
      after: { status: 400, body: `{"errors":["routing_key ${routingKey} is wrong"]}` },
    });
    const answer = await sendPost(pagerduty.page(told, bound(service.base_url)), outbound);
    expect(service.requests[0]?.text).toContain(routingKey);
    expect(JSON.stringify(answer)).not.toContain(routingKey);
    expect("reply" in answer && pagerduty.judge(answer.reply).verdict).toBe("dead");
  });

  test.each([
    [202, '{"status":"success","message":"Event processed","dedup_key":"k"}', "sent"],
    [202, "<!doctype html>", "dead"],
    [200, '{"status":"success"}', "dead"],
    [429, "", "retry"],
  ])("judges %i %j as %s", (status, text, verdict) => {
    expect(pagerduty.judge(reply(status, text)).verdict).toBe(verdict as "sent");
  });
});

test("webhook signs what it sends, under an id that stays the same for one message", async () => {
  const webhook = pagers.find(({ kind }) => kind === "webhook") as Pager;
  using receiver = openWebhook();
  const options = webhook.options.parse({ kind: "webhook", url: "oncall/page.url", key: "oncall/signing.key" });
  if (options.url instanceof Secret) options.url.bind(() => receiver.url);
  if (options.key instanceof Secret) options.key.bind(() => receiver.key);
  const [{ alert } = { alert: undefined }] = fixtures("webhook");
  const told = alert as Alert;
  for (const post of [webhook.page(told, options), webhook.page(told, options), webhook.resolve?.(told, options)]) {
    const answer = await sendPost(post as Post, outbound);
    expect("reply" in answer && webhook.judge(answer.reply).verdict).toBe("sent");
  }
  expect(receiver.faults).toEqual([]);
  expect(receiver.repeats).toBe(1);
  expect(receiver.posts.map(({ type }) => type)).toEqual(["alert.opened", "alert.resolved"]);
  expect(receiver.posts.every(({ data }) => isObject(data) && data.key === told.key)).toBe(true);
});
