import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { configFrom, type Loaded } from "../../src/config.ts";
import { MeshError } from "../../src/core/error.ts";
import type { JsonObject } from "../../src/core/json.ts";
import { trySecret } from "../../src/gateway/secret-trial.ts";
import { aboutOf } from "../../src/rotation/about.ts";
import { abortStaged, commitStaged, undoCommit } from "../../src/rotation/end.ts";
import type { Testimony } from "../../src/rotation/evidence.ts";
import { removeExpired } from "../../src/rotation/expire.ts";
import { inOrder } from "../../src/rotation/incident.ts";
import { faultOfPair, keyFileFor } from "../../src/rotation/pair.ts";
import { start } from "../../src/rotation/start.ts";
import { statusOf } from "../../src/rotation/status.ts";
import { stepsFor } from "../../src/rotation/steps/registry.ts";
import { isMadeHere, proofOf, type Subject, subjectNamed, subjectsOf } from "../../src/rotation/subjects.ts";
import { look } from "../../src/secrets/shelf.ts";
import { createToken } from "../../src/secrets.ts";
import { Folder } from "../config/folder.ts";
import { openMattermost } from "../fakes/mattermost.ts";
import { openPagerduty } from "../fakes/pagerduty.ts";
import { remote } from "../fakes/remote.ts";

const now = 1_795_000_000_000;
const hour = 3_600_000;
const day = 24 * hour;

const door = { build_when: [{ status: ["Building"] }], task: { script: "build-ios" } };

/** A configuration that names a secret of every kind there is. */
const everything: JsonObject = {
  store: "redis://gateway@127.0.0.1:6390/0",
  store_password: "redis/gateway.password",
  secrets_dir: "secrets.d",
  gateway: {
    public_url: "https://gateway.acme.example",
    admin: { token: "admin/api.token" },
    tls: { cert: "tls/cert.pem", key: "tls/key.pem" },
  },
  sources: {
    jira: {
      kind: "jira",
      path: "/jira/openclaw",
      token: "jira/inbound.token",
      ...door,
      comment: { site: "https://acme.atlassian.net", email: "bot@acme.example", token: "jira/rest.token" },
    },
    youtrack: {
      kind: "youtrack",
      path: "/youtrack/webhook",
      token: "youtrack/inbound.token",
      ...door,
      comment: { site: "https://acme.youtrack.cloud", token: "youtrack/rest.token" },
      reconcile: { site: "https://acme.youtrack.cloud", token: "youtrack/search.token", query: "State: Building" },
    },
    github: { kind: "github", path: "/github", token: "github/hook.secret" },
    gitlab: { kind: "gitlab", path: "/gitlab", token: "gitlab/hook.secret" },
    linear: { kind: "linear", path: "/linear", token: "linear/hook.secret", ...door },
    shop: { kind: "webhook", path: "/shop", token: "shop/hook.token" },
  },
  chats: {
    builds: { kind: "mattermost", url: "mattermost/builds.url" },
    mac: { kind: "slack", url: "slack/mac.url" },
    room: {
      kind: "matrix",
      base_url: "https://matrix.acme.example",
      room: "!a:acme.example",
      token: "matrix/bot.token",
    },
    phone: { kind: "telegram", token: "telegram/bot.token", chat_id: "42" },
    any: { kind: "webhook", url: "hooks/any.url", key: "hooks/signing.key" },
  },
  pagers: {
    oncall: { kind: "pagerduty", key: "pagerduty/routing.key" },
    page: { kind: "webhook", url: "hooks/page.url", key: "hooks/page.key" },
  },
  heartbeat: { url: "deadman/ping.url" },
  logs: {
    archive: {
      s3: {
        endpoint: "https://s3.acme.example",
        bucket: "acme-logs",
        access_key_id: "AKIAEXAMPLE",
        secret_access_key: "archive/s3.secret",
      },
    },
  },
  rotation: {
    owner: "ops@acme.example",
    secrets: {
      "jira/rest.token": { every: "30d", owner: "rene@acme.example" },
      "nodes/mac-07.token": { window: "2h" },
      tls: { every: "60d" },
    },
  },
};

const values: Record<string, string> = {
  "redis/gateway.password": createToken(),
  "admin/api.token": createToken(),
  "jira/inbound.token": createToken(),
  "jira/rest.token": "jira-rest-old",
  "youtrack/inbound.token": createToken(),
  "youtrack/rest.token": "perm:old",
  "youtrack/search.token": "perm:search",
  "archive/s3.secret": "s3-secret-old",
  "github/hook.secret": createToken(),
  "gitlab/hook.secret": createToken(),
  "linear/hook.secret": createToken(),
  "shop/hook.token": createToken(),
  "mattermost/builds.url": "https://chat.acme.example/hooks/old",
  "slack/mac.url": "https://hooks.slack.com/services/T0/B0/old",
  "matrix/bot.token": "syt_old",
  "telegram/bot.token": "1:old",
  "hooks/any.url": "https://hooks.acme.example/old",
  "hooks/signing.key": `whsec_${btoa("o".repeat(32))}`,
  "hooks/page.url": "https://hooks.acme.example/page",
  "hooks/page.key": `whsec_${btoa("p".repeat(32))}`,
  "pagerduty/routing.key": "0123456789abcdef0123456789abcdef",
  "deadman/ping.url": "https://ping.acme.example/old",
  "nodes/mac-07.token": createToken(),
};

function houseIn(folder: Folder, config: JsonObject = everything): Loaded {
  for (const [name, value] of Object.entries(values)) folder.write(`secrets.d/${name}`, `${value}\n`);
  folder.write("tls/cert.pem", "no certificate");
  folder.write("tls/key.pem", "no key");
  return configFrom(config, { base: folder.path, env: {} });
}

async function faultOf(act: () => unknown): Promise<MeshError> {
  try {
    await act();
  } catch (fault) {
    if (fault instanceof MeshError) return fault;
    throw fault;
  }
  throw new Error("expected a MeshError");
}

const begun = (loaded: Loaded, name: string, brought?: string, at = now) =>
  start({ config: loaded.config, subject: subjectNamed(loaded.config, name), brought, reason: "planned", now: at });

const nobody: Testimony = { gateways: [], died: [], tallies: [] };
const ending = ({ config, vault }: Loaded, name: string, over: object = {}) => ({
  config,
  vault,
  subject: subjectNamed(config, name),
  testimony: nobody,
  quiet: 0,
  force: false,
  now,
  ...over,
});

const broughtFor = ({ name, places }: Subject): string =>
  places[0]?.endsWith("url")
    ? "https://new.acme.example/hook"
    : `${name} new value ${createToken()}`.replaceAll(" ", "-");

describe("every secret that a configuration names", () => {
  using probe = new Folder();
  const kinds = subjectsOf(houseIn(probe).config).map(({ name }) => name);

  test("is found, nodes' tokens and the certificate too, with owner and calendar", () => {
    using folder = new Folder();
    const subjects = subjectsOf(houseIn(folder).config);
    expect(subjects.map(({ name }) => name).toSorted()).toEqual([...Object.keys(values), "tls"].toSorted());
    const of = (name: string) => subjects.find((subject) => subject.name === name);
    expect(of("jira/rest.token")).toMatchObject({ every: 30 * day, owner: "rene@acme.example", window: hour / 4 });
    expect(of("jira/inbound.token")).toMatchObject({ every: 90 * day, owner: "ops@acme.example", window: day });
    expect(of("nodes/mac-07.token")).toMatchObject({ window: 2 * hour, kind: "node" });
    expect(of("tls")).toMatchObject({ every: 60 * day });
  });

  test.each(kinds.filter((name) => name !== "tls"))("%s goes from start to commit and back", async (name) => {
    using folder = new Folder();
    const loaded = houseIn(folder);
    const subject = subjectNamed(loaded.config, name);
    const path = join(folder.path, "secrets.d", name);
    chmodSync(path, 0o440);
    if (!isMadeHere(subject))
      expect(await faultOf(() => begun(loaded, name))).toMatchObject({ kind: "usage", status: 64 });
    const brought = isMadeHere(subject) ? undefined : broughtFor(subject);
    const { fresh, staged } = await begun(loaded, name, brought);
    expect(fresh).toBe(true);
    expect(statSync(`${path}.next`).mode & 0o777).toBe(0o440);
    expect(await begun(loaded, name, brought)).toMatchObject({ fresh: false, staged: { key_id: staged.key_id } });

    const steps = stepsFor(subject, aboutOf(subject, look(subject.shelf), loaded.config));
    expect(
      steps.some(
        ({ say }) =>
          say === `meshmac rotate commit ${name}` || subject.kind === "connect" || subject.kind === "archive",
      ),
    ).toBe(true);
    expect(steps.at(-1)?.say).toContain("backups");
    const texts = steps.map(({ say }) => say).join("\n");
    expect(texts).not.toMatch(/undefined|null/);
    for (const secret of [values[name] ?? "", ...staged.texts]) expect(texts).not.toContain(secret);

    expect(await faultOf(() => commitStaged(ending(loaded, name)))).toMatchObject({ kind: "later", status: 75 });
    const forced = await commitStaged(ending(loaded, name, { force: true }));
    expect(forced.forced.map(({ id }) => id)).toEqual([proofOf(subject) === "trial" ? "not-tried" : "not-used"]);
    expect(look(subject.shelf).current?.key_id).toBe(staged.key_id);
    expect(await commitStaged(ending(loaded, name))).toMatchObject({ changed: false });
    expect(await undoCommit(ending(loaded, name))).toMatchObject({ changed: true });
    expect(await undoCommit(ending(loaded, name))).toMatchObject({ changed: false });
    expect(await abortStaged(ending(loaded, name))).toMatchObject({ changed: true });
    expect(await abortStaged(ending(loaded, name))).toMatchObject({ changed: false });
    expect(readFileSync(path, "utf8").trim()).toBe(values[name] ?? "");
  });

  test("steps name the door, the header, the site, and Redis' commands without a password", async () => {
    using folder = new Folder();
    const loaded = houseIn(folder);
    const said = async (name: string) => {
      const subject = subjectNamed(loaded.config, name);
      if (isMadeHere(subject)) await begun(loaded, name);
      return stepsFor(subject, aboutOf(subject, look(subject.shelf), loaded.config))
        .map(({ say }) => say)
        .join("\n");
    };
    const jira = await said("jira/inbound.token");
    for (const part of [
      "duplicate the rule",
      "https://gateway.acme.example/jira/openclaw",
      "X-Meshmac-Jira-Token",
      "enable the copy",
    ])
      expect(jira).toContain(part);
    expect(await said("youtrack/inbound.token")).toContain("Webhook Triggers");
    expect(await said("youtrack/rest.token")).toContain("Hub");
    expect(await said("mattermost/builds.url")).toContain("delete the old webhook");
    const digest = (text: string) => new Bun.CryptoHasher("sha256").update(text).digest("hex");
    const redis = await said("redis/gateway.password");
    const next = readFileSync(join(folder.path, "secrets.d/redis/gateway.password.next"), "utf8").trim();
    expect(redis).toContain(`ACL SETUSER gateway '#${digest(next)}'`);
    expect(redis).toContain(`ACL SETUSER gateway '!${digest(values["redis/gateway.password"] ?? "")}'`);
  });

  test("is put into the order of an incident", () => {
    using folder = new Folder();
    const order = inOrder(subjectsOf(houseIn(folder).config)).map(({ kind }) => kind);
    expect(order[0]).toBe("redis");
    expect(order.indexOf("door")).toBeLessThan(order.indexOf("rest"));
    expect(order.at(-1)).toBe("tls");
  });
});

test("a node takes its new token over stdin, and commits without evidence of its own", async () => {
  using folder = new Folder();
  folder.write("secrets.d/mesh/node.token", "node-token-old\n");
  const node = { connect: "https://mesh.acme.example", token: "mesh/node.token" };
  const loaded = configFrom({ secrets_dir: "secrets.d", node }, { base: folder.path, env: {} });
  expect(await faultOf(() => begun(loaded, "mesh/node.token"))).toMatchObject({ status: 64 });
  await begun(loaded, "mesh/node.token", "node-token-new");
  expect(loaded.config.node.token?.lives().map(({ text }) => text)).toEqual(["node-token-new", "node-token-old"]);
  const blind = { testimony: null };
  expect(await faultOf(() => commitStaged(ending(loaded, "mesh/node.token", blind)))).toMatchObject({ status: 75 });
  const { forced } = await commitStaged(ending(loaded, "mesh/node.token", { ...blind, force: true }));
  expect(forced.map(({ id }) => id)).toEqual(["no-evidence"]);
});

describe("start refuses", () => {
  test.each([
    ["the value there is", "jira/rest.token", "jira-rest-old\n", "data"],
    ["nothing", "jira/rest.token", "\n", "config"],
    ["a token too short for a door", "jira/inbound.token", "short", "config"],
    ["what is no address", "mattermost/builds.url", "not-a-url", "data"],
    ["what is no certificate", "tls", "hello", "data"],
  ])("%s", async (_about, name, brought, kind) => {
    using folder = new Folder();
    const loaded = houseIn(folder);
    const fault = await faultOf(() => begun(loaded, name, brought));
    expect(fault.kind as string).toBe(kind);
    expect(existsSync(join(folder.path, "secrets.d", `${name}.next`))).toBe(false);
  });

  test("a value that was retired", async () => {
    using folder = new Folder();
    const loaded = houseIn(folder);
    await begun(loaded, "jira/rest.token", "second-value");
    await commitStaged(ending(loaded, "jira/rest.token", { force: true }));
    const fault = await faultOf(() => begun(loaded, "jira/rest.token", "jira-rest-old"));
    expect(fault.message).toContain("was retired on");
  });

  test("a secret that nobody named, with the nearest one", async () => {
    using folder = new Folder();
    const { config } = houseIn(folder);
    expect(await faultOf(() => subjectNamed(config, "jira/inbond.token"))).toMatchObject({
      status: 64,
      hint: "did you mean jira/inbound.token?",
    });
  });

  test("a folder in which others could write", async () => {
    using folder = new Folder();
    const loaded = houseIn(folder);
    chmodSync(join(folder.path, "secrets.d/jira"), 0o770);
    expect(await faultOf(() => begun(loaded, "jira/inbound.token"))).toMatchObject({ status: 77 });
    const { problem } = statusOf(subjectNamed(loaded.config, "jira/inbound.token"), {
      config: loaded.config,
      testimony: null,
      now,
    });
    expect(problem?.says).toContain("writable by group or others");
  });
});

test("two at once stage one value", async () => {
  using folder = new Folder();
  const loaded = houseIn(folder);
  const both = await Promise.all(Array.from({ length: 5 }, () => begun(loaded, "jira/inbound.token")));
  expect(both.filter(({ fresh }) => fresh)).toHaveLength(1);
  expect(new Set(both.map(({ staged }) => staged.key_id)).size).toBe(1);
});

test("a window that is over is said, and ends nothing", async () => {
  using folder = new Folder();
  const loaded = houseIn(folder);
  const { config, vault } = loaded;
  const subject = subjectNamed(config, "jira/inbound.token");
  const { staged } = await begun(loaded, subject.name);
  const at = (time: number) => statusOf(subject, { config, testimony: null, now: time });
  expect(at(now + day - 1).window_over).toBe(false);
  expect(at(now + day + 1)).toMatchObject({ window_over: true, next: { key_id: staged.key_id } });
  for (const value of [values[subject.name] ?? "", ...staged.texts])
    expect(vault.accepts(subject.name, value)).not.toBeNull();
});

test("the value before is deleted when its time is over, and not before", async () => {
  using folder = new Folder();
  const loaded = houseIn(folder);
  const prev = join(folder.path, "secrets.d/jira/inbound.token.prev");
  await begun(loaded, "jira/inbound.token");
  await commitStaged(ending(loaded, "jira/inbound.token", { force: true }));
  await removeExpired(loaded.config, now + hour - 1);
  expect(existsSync(prev)).toBe(true);
  await removeExpired(loaded.config, now + hour);
  expect(existsSync(prev)).toBe(false);
  expect(await faultOf(() => undoCommit(ending(loaded, "jira/inbound.token")))).toMatchObject({ status: 64 });
});

test("abort does not take away what is in use", async () => {
  using folder = new Folder();
  const loaded = houseIn(folder);
  const { staged } = await begun(loaded, "jira/inbound.token");
  const use = {
    secret: "jira/inbound.token",
    key_id: staged.key_id,
    role: "next" as const,
    loaded_ms: 1,
    count: 1,
    refused: 0,
    idle_ms: 10,
  };
  const testimony: Testimony = { ...nobody, tallies: [{ gateway: "mac-07/1", silent_ms: 0, uses: [use] }] };
  const over = { testimony, quiet: 60_000 };
  expect(await faultOf(() => abortStaged(ending(loaded, "jira/inbound.token", over)))).toMatchObject({ status: 75 });
  expect(await abortStaged(ending(loaded, "jira/inbound.token", { ...over, force: true }))).toMatchObject({
    changed: true,
  });
});

describe("a trial", () => {
  const only = (part: JsonObject): JsonObject => ({ secrets_dir: "secrets.d", ...part });
  const trial = async (folder: Folder, part: JsonObject, name: string, brought?: string, url?: string) => {
    const loaded = houseIn(folder, only(part));
    if (url !== undefined) folder.write("secrets.d/hooks/any.url", url);
    await begun(loaded, name, brought);
    return await trySecret({ ...loaded, subject: subjectNamed(loaded.config, name), print: () => {} });
  };

  test("posts once to the new address, and says that it is a test", async () => {
    using folder = new Folder();
    using chat = openMattermost();
    const chats = { builds: { kind: "mattermost", url: "mattermost/builds.url" } };
    expect(await trial(folder, { chats }, "mattermost/builds.url", chat.url)).toEqual([
      { place: "chats.builds.url", taken: true, why: null },
    ]);
    expect(JSON.stringify(chat.posts)).toContain("test");
    expect(chat.requests).toHaveLength(1);
  });

  test("says what the new address answered", async () => {
    using folder = new Folder();
    using chat = openMattermost({ deleted: true });
    const chats = { builds: { kind: "mattermost", url: "mattermost/builds.url" } };
    const [proof] = await trial(folder, { chats }, "mattermost/builds.url", chat.url);
    expect(proof).toMatchObject({ taken: false });
    expect(proof?.why).not.toContain(chat.url);
  });

  test("pages with the new key and takes the page back", async () => {
    using folder = new Folder();
    using pager = openPagerduty();
    const pagers = { oncall: { kind: "pagerduty", key: "pagerduty/routing.key", base_url: pager.base_url } };
    const fresh = "f".repeat(32);
    expect(await trial(folder, { pagers }, "pagerduty/routing.key", fresh)).toMatchObject([{ taken: true }]);
    expect(pager.events.map(({ event_action, routing_key }) => [event_action, routing_key])).toEqual([
      ["trigger", fresh],
      ["resolve", fresh],
    ]);
    expect(pager.incidents).toMatchObject([{ status: "resolved", payload: { severity: "info" } }]);
  });

  test("signs with the new key alone", async () => {
    using folder = new Folder();
    using receiver = remote(200);
    const chats = { any: { kind: "webhook", url: "hooks/any.url", key: "hooks/signing.key" } };
    expect(await trial(folder, { chats }, "hooks/signing.key", undefined, receiver.url)).toMatchObject([
      { taken: true },
    ]);
    expect(receiver.requests[0]?.headers.get("webhook-signature")?.split(" ")).toHaveLength(1);
  });
});

describe.skipIf(!Bun.which("openssl"))("the certificate", () => {
  /** A certificate for one host and its key. */
  function made(folder: Folder, host: string, days = 10): { cert: string; key: string } {
    const [cert, key] = [join(folder.path, "made.pem"), join(folder.path, "made.key")];
    const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    const subject = ["-subj", `/CN=${host}`, "-addext", `subjectAltName=DNS:${host}`, "-days", String(days)];
    Bun.spawnSync(["openssl", "req", "-x509", ...curve, "-keyout", key, "-out", cert, ...subject]);
    return { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") };
  }

  test("is swapped with its key, and back; what does not fit is not staged", async () => {
    using folder = new Folder();
    const loaded = houseIn(folder);
    const pair = made(folder, "gateway.acme.example");
    const other = made(folder, "gateway.acme.example");
    const stranger = made(folder, "elsewhere.example");
    const today = Date.now();
    for (const [brought, why] of [
      [pair.cert + other.key, "do not belong together"],
      [stranger.cert + stranger.key, "does not name gateway.acme.example"],
      [pair.cert, "the private key cannot be read"],
    ] as const) {
      expect((await faultOf(() => begun(loaded, "tls", brought, today))).message).toContain(why);
    }
    expect((await faultOf(() => begun(loaded, "tls", pair.cert + pair.key, today + 11 * day))).message).toContain(
      "ran out",
    );
    await begun(loaded, "tls", pair.key + pair.cert, today);
    const { changed } = await commitStaged(ending(loaded, "tls", { now: today }));
    expect(changed).toBe(true);
    expect(readFileSync(join(folder.path, "tls/cert.pem"), "utf8").trim()).toBe(pair.cert.trim());
    expect(readFileSync(join(folder.path, "tls/key.pem"), "utf8").trim()).toBe(pair.key.trim());
    // The same key in a new certificate needs no key over stdin.
    await begun(loaded, "tls", `${pair.cert.trim()}\n${other.cert.trim()}`, today);
    await abortStaged(ending(loaded, "tls"));
    await undoCommit(ending(loaded, "tls"));
    expect(readFileSync(join(folder.path, "tls/key.pem"), "utf8")).toBe("no key");
  });

  test("is public, its key is not", async () => {
    using folder = new Folder();
    const loaded = houseIn(folder);
    const pair = made(folder, "gateway.acme.example");
    chmodSync(join(folder.path, "tls/cert.pem"), 0o644);
    await begun(loaded, "tls", pair.cert + pair.key, Date.now());
    chmodSync(join(folder.path, "tls/key.pem.next"), 0o644);
    const fault = await faultOf(() => commitStaged(ending(loaded, "tls", { now: Date.now() })));
    expect(fault).toMatchObject({
      kind: "permission",
      message: expect.stringContaining("key.pem.next is readable by others"),
    });
  });

  test("counts as shown once every gateway that lives has loaded it", async () => {
    using folder = new Folder();
    const loaded = houseIn(folder);
    const pair = made(folder, "gateway.acme.example");
    const today = Date.now();
    const before = look(subjectNamed(loaded.config, "tls").shelf).current?.key_id ?? "";
    await begun(loaded, "tls", pair.cert + pair.key, today);
    const { looked } = await commitStaged(ending(loaded, "tls", { now: today }));
    const after = looked.current?.key_id ?? "";
    const shownBy = (...key_ids: string[]) => {
      const gateways = key_ids.map((_, index) => ({
        gateway: `mac-07/${index}`,
        silent_ms: 0,
        last_seen: today,
        facts: {},
      }));
      const tallies = key_ids.map((key_id, index) => ({
        gateway: `mac-07/${index}`,
        silent_ms: 0,
        uses: [{ secret: "tls", key_id, role: "current" as const, loaded_ms: 5, count: 0, refused: 0, idle_ms: null }],
      }));
      const subject = subjectNamed(loaded.config, "tls");
      const { steps } = statusOf(subject, {
        config: loaded.config,
        testimony: { gateways, died: [], tallies },
        now: today,
      });
      return steps.find(({ say }) => say.includes("shows it"))?.done;
    };
    expect([shownBy(before), shownBy(after, before), shownBy(after, after)]).toEqual([false, false, true]);
  });

  test("finds the key that belongs to it while a swap is half done", () => {
    using folder = new Folder();
    const pair = made(folder, "gateway.acme.example");
    const old = made(folder, "gateway.acme.example");
    const files = { cert: folder.write("c.pem", pair.cert), key: folder.write("k.pem", old.key) };
    expect(keyFileFor(files)).toBe(files.key);
    folder.write("k.pem.next", pair.key);
    expect(keyFileFor(files)).toBe(`${files.key}.next`);
    expect(faultOfPair(pair, { host: null, now: Date.now() })).toBeNull();
  });
});
