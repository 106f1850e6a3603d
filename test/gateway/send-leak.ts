import type { Json } from "../../src/core/json.ts";
import { flushLog } from "../../src/log.ts";
import { type Injection, openRemote, type Received, remote } from "../fakes/remote.ts";
import { until } from "../stores/conformance/given.ts";
import { chatAt, jiraAt, Stage, type Texts } from "./stage.ts";

// Run by send-leak.test.ts as a process of its own: sends to remotes that fail in every way and quote what they were
// sent, with a mask that hides nothing, so that only what sends stands between the secrets and the output.

const hook = process.env.LEAK_HOOK ?? "";
const token = process.env.LEAK_TOKEN ?? "";

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

const chats: Record<string, Json> = {};
const texts: Texts = { "jira/rest.token": token };
const add = (url: string, more = {}): void => {
  const name = `c${Object.keys(chats).length}`;
  Object.assign(chats, chatAt(name, { timeout: "500ms", ...more, retry: { slow_lane: false, max_attempts: 2 } }));
  texts[`${name}/hook.url`] = url;
};
for (const { url } of remotes) add(`${url}/hooks/${hook}`);
add(`${closed.url}/hooks/${hook}`);
add(`${closed.url.replace("http:", "https:")}/hooks/${hook}`);
add(`${remotes[0]?.url.replace("http:", "https:")}/hooks/${hook}`);
add(`${held.url}/hooks/${hook}`);
add(`https://chat.invalid/hooks/${hook}`);
add(`http://chat.acme.example/hooks/${hook}`);
add(`not a url ${hook}`);
add(`ftp://chat.acme.example/hooks/${hook}`);
add(`${remotes[0]?.url}/hooks/${hook}`, { ca_file: "/nowhere/ca.pem" });
add(`${remotes[0]?.url}/hooks/${hook}`, { proxy: closed.url });

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
flushLog();
for (const { close } of [...remotes, held]) close();
