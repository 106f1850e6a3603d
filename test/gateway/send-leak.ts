import { configSchema } from "../../src/config.ts";
import type { Json, JsonObject } from "../../src/core/json.ts";
import { pagersFrom } from "../../src/gateway/escalate-pagers.ts";
import { sendPage } from "../../src/gateway/escalate-send.ts";
import { nap } from "../../src/gateway/stir.ts";
import { sendPost } from "../../src/http.ts";
import { flushLog, log } from "../../src/log.ts";
import { type Injection, openRemote, type Received, remote } from "../fakes/remote.ts";
import { until } from "../stores/conformance/given.ts";
import { bindAll, jiraAt, Stage, type Texts } from "./stage.ts";

// Run by send-leak.test.ts as a process of its own: sends to remotes that fail in every way and quote what they were
// sent, with a mask that hides nothing, so that only what sends stands between the secrets and the output.

const hook = process.env.LEAK_HOOK ?? "";
const token = process.env.LEAK_TOKEN ?? "";
const key = process.env.LEAK_KEY ?? "";

/** Everything that a careless remote might repeat of what it was sent. */
const quoting = ({ path, headers, text }: Received): string =>
  JSON.stringify({ id: "x", message: [path, encodeURIComponent(path), headers.get("authorization"), text].join(" ") });

const statuses = [200, 204, 400, 401, 403, 404, 409, 413, 418, 429, 500, 501, 502, 503, 504];
const injections: Injection[] = [
  "reset",
  "accept-then-reset",
  "garbage",
  "truncate",
  { redirect: `/hooks/${hook}?${token}` },
];
const remotes = [
  ...statuses.map((status) =>
    openRemote({ service: (asked) => ({ status, headers: { "X-Hook": hook }, body: quoting(asked) }) }),
  ),
  ...injections.map((injected) => remote(injected)),
];
const closed = remote(200);
closed.close();
const held = remote({ gate: { open: () => {}, opened: new Promise(() => {}) } });

/** Every kind of chat, each with its secrets as that kind takes them, at one place. */
const kindsAt = (place: string): { entry: JsonObject; texts: Texts }[] => {
  const bot = { base_url: place, token: "bot.token" };
  const [url, told] = ["hook.url", { "bot.token": token }];
  return [
    { entry: { kind: "mattermost", url }, texts: { [url]: `${place}/hooks/${hook}` } },
    { entry: { kind: "mattermost", ...bot, channel_id: "c4hanne15bui1ds6acme7ios8x" }, texts: told },
    { entry: { kind: "slack", url }, texts: { [url]: `${place}/services/T0ACME2TM/B0ACME2HK/${hook}` } },
    { entry: { kind: "slack", ...bot, channel: "#builds" }, texts: told },
    { entry: { kind: "matrix", ...bot, room: "!builds:acme.example" }, texts: told },
    { entry: { kind: "telegram", ...bot, chat_id: -1001234509876 }, texts: told },
    { entry: { kind: "ntfy", ...bot, topic: "acme-builds" }, texts: told },
    { entry: { kind: "teams", url }, texts: { [url]: `${place}/workflows/0f0e/invoke?sv=1.0&sig=${hook}` } },
    {
      entry: { kind: "google-chat", url },
      texts: { [url]: `${place}/v1/spaces/A/messages?key=${token}&token=${hook}` },
    },
    { entry: { kind: "webhook", url, key: "sign.key" }, texts: { [url]: `${place}/in/${hook}`, "sign.key": key } },
    { entry: { kind: "openclaw", ...bot, channel: "slack", target: "channel:C0BUILDS" }, texts: told },
    { entry: { kind: "discord", url }, texts: { [url]: `${place}/api/webhooks/1203344556677880000/${hook}` } },
  ];
};

const secured = (place: string): string => place.replace("http:", "https:");
const [takes] = remotes;
const places: [place: string, more?: JsonObject][] = [
  ...remotes.map(({ url }): [string] => [url]),
  [closed.url],
  [secured(closed.url)],
  [secured(takes?.url ?? "")],
  [held.url],
  ["https://chat.invalid"],
  ["http://chat.acme.example"],
  ["ftp://chat.acme.example"],
  ["not a url"],
  [takes?.url ?? "", { ca_file: "/nowhere/ca.pem" }],
  [takes?.url ?? "", { proxy: closed.url }],
];

const chats: { [name: string]: Json } = {};
const texts: Texts = { "jira/rest.token": token };
const quick = { timeout: "500ms", states: ["failed"], retry: { slow_lane: false, max_attempts: 2 } };
for (const [place, more] of places) {
  for (const { entry, texts: said } of kindsAt(place)) {
    if ("base_url" in entry && !/^https?:/.test(place)) continue; // the configuration refuses it
    const name = `c${Object.keys(chats).length}`;
    const own = (secret: string): string => `${name}/${secret}`;
    const known = JSON.stringify(entry).replace(/"((?:hook|bot|sign)\.(?:url|token|key))"/g, (_, secret: string) =>
      JSON.stringify(own(secret)),
    );
    chats[name] = { ...(JSON.parse(known) as JsonObject), ...quick, ...more };
    for (const [secret, text] of Object.entries(said)) texts[own(secret)] = text;
  }
}

await using stage = await Stage.open({ chats, sources: jiraAt(remotes[3]?.url ?? "", { on: ["failed"] }), texts });
const thrower = stage.destinations.get("chat:c0");
if (thrower) {
  thrower.post = () => {
    throw new Error("no such layout");
  };
}
const sender = stage.announcing().sending({ mask: (text) => text });
const run_id = await stage.run("failed");
await until(async () => {
  // A circuit that opened is probed when its time is over.
  if (sender.underWay() === 0) stage.skip(60_000);
  const posts = await stage.store.posts(run_id);
  return posts?.every(({ status }) => status !== "waiting" && status !== "sending");
});
process.stdout.write(JSON.stringify(stage.settlements));

// The same at pagers, and everything that a failed request leaves behind, shown as `console.error` would.
const oncall = Object.fromEntries(
  places.flatMap(([place, more], n): [string, Json][] => [
    [`w${n}`, { kind: "webhook", url: `w${n}/page.url`, key: `w${n}/page.key`, timeout: "500ms", ...more }],
    ...(/^https?:/.test(place)
      ? [
          [`p${n}`, { kind: "pagerduty", key: `p${n}/routing.key`, base_url: place, timeout: "500ms", ...more }] as [
            string,
            Json,
          ],
        ]
      : []),
  ]),
);
const config = configSchema().parse({ pagers: oncall, retry: { max_attempts: 2, base_delay_ms: 1, max_delay_ms: 2 } });
const pageTexts = places.flatMap(([place], n) => [
  [`w${n}/page.url`, `${place}/pages/${hook}`],
  [`w${n}/page.key`, key],
  [`p${n}/routing.key`, token],
]);
bindAll(config, Object.fromEntries(pageTexts) as Texts);
const alert = { about: "a", summary: "s", source: "mac-07", severity: "error" as const, at: 0, links: [], details: {} };
await Promise.all(
  pagersFrom(config, () => "").map(async (pager) => {
    const message = pager.message("page", { ...alert, key: "k" });
    if (!message) return;
    const hands = {
      send: sendPost,
      print: () => {},
      mask: (text: string) => text,
      now: Date.now,
      sleep: nap,
      chance: () => 0,
    };
    const stopped = new AbortController().signal;
    const quickly = { ...pager, policy: { ...pager.policy, max_attempts: 2, base_delay_ms: 1 } };
    const bucket = { wait: () => 0, take: () => {} };
    const paged = await sendPage(message, quickly, { bucket, longest: 60_000 }, { ...hands, stopped });
    log.error("page failed", { pager: pager.name, paged });
    const answer = await sendPost(message.post, pager.outbound);
    if ("failure" in answer) process.stderr.write(Bun.inspect(answer, { depth: 9 }));
  }),
);
flushLog();
for (const { close } of [...remotes, held]) close();
