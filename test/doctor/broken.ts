import { chmodSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createToken, writeSecret } from "../../src/secrets.ts";
import { stage } from "../../src/secrets/shelf.ts";
import { openTelegram } from "../fakes/telegram.ts";
import { clouds, openJira, openYouTrack, type TrackerOptions } from "../fakes/tracker.ts";
import { openEdge } from "./edge.ts";
import { claimed, expandAll, laneOf, leaseOf, leased, queue, rulesOf } from "../stores/conformance/given.ts";
import { brokenNodes } from "./broken-nodes.ts";
import { brokenStores } from "./broken-stores.ts";
import { script } from "./node.ts";
import type { Ward } from "./ward.ts";

/** For each finding, what breaks exactly that thing. */
export const broken: Record<string, (ward: Ward) => void | Promise<void>> = {
  "config-missing": (ward) => void (ward.over = { file: null, problems: [{ path: "", says: "none found" }] }),
  "config-invalid": (ward) => void (ward.over = { problems: [{ path: "gateway.listen", says: "expected host:port" }] }),
  "secret-unsafe": (ward) => chmodSync(join(ward.secretsDir, "jira/inbound.token"), 0o644),
  "secret-missing": (ward) => rmSync(join(ward.secretsDir, "jira/inbound.token")),

  "secret-group-wide"(ward) {
    const file = join(ward.secretsDir, "jira/rest.token");
    chmodSync(file, 0o640);
    writeFileSync(join(ward.dir, "group"), `builders:x:${statSync(file).gid}:ann,bob,carl\n`);
  },
  "token-padded": (ward) => writeSecret(ward.secretsDir, "jira/inbound.token", `${createToken()} `),
  "token-literal-secret": (ward) => writeSecret(ward.secretsDir, "jira/inbound.token", "secret"),
  "token-age": (ward) => agedBy(ward, "admin/api.token", 91),
  "token-expires": (ward) => {
    ward.change("rotation.secrets", { "jira/rest.token": { every: "400d" } });
    agedBy(ward, "jira/rest.token", 352);
  },
  "rotation-unfinished"(ward) {
    const at = Date.now() - 26 * 3_600_000;
    const files = [join(ward.secretsDir, "jira/inbound.token")];
    stage({ name: "jira/inbound.token", files, top: ward.secretsDir }, [createToken()], { at, reason: "planned" });
  },

  "hook-shared": (ward) =>
    ward.change("chats.again", { kind: "mattermost", url: "mattermost/builds.url", states: ["dead"] }),

  "duplicate-sender": (ward) =>
    void script(ward, "tell.sh", "curl -d '{}' https://chat.acme.example/hooks/abcdefghijklmnopqrstuvwxyz\n"),

  "disk-low": (ward) => void (ward.over = { space: () => Promise.resolve({ free: 5e8, total: 5e11 }) }),

  async "public-url-not-resolving"(ward) {
    await openEdge(ward);
    ward.over.lookup = () => Promise.reject(new Error("ENOTFOUND"));
  },
  async "public-url-private"(ward) {
    await openEdge(ward);
    ward.over.lookup = () => Promise.resolve(["203.0.113.7", "10.0.0.5"]);
  },
  "public-url-unreachable": (ward) => openEdge(ward, { edge: () => new Response("Bad Gateway", { status: 502 }) }),
  "tls-chain": (ward) => openEdge(ward, { trusted: false }),
  "edge-refuses": (ward) => openEdge(ward, { edge: (request) => onPost(request, () => refusing403()) }),
  "header-stripped": (ward) =>
    openEdge(ward, {
      edge(request) {
        request.headers.delete("x-meshmac-jira-token");
        return request;
      },
    }),
  async "header-name-differs"(ward) {
    ward.change("sources.jira", { header: "X-Acme-Token" });
    await openEdge(ward, { header: "X-Meshmac-Jira-Token" });
  },
  async "door-differs"(ward) {
    await openEdge(ward);
    ward.change("sources.jira", { path: "/jira/elsewhere" });
  },
  "clock-skew": (ward) =>
    openEdge(ward, {
      edge: (request) => (request.method === "GET" ? dated(Date.now() - 40_000) : request),
    }),

  "tracker-credentials-refused": (ward) => youtrackIn(ward, { authorization: "Bearer another" }),
  "jira-site-email-mismatch": (ward) => jiraIn(ward, { authorization: "Basic c29tZWJvZHk6ZWxzZQ==" }),
  async "jira-base-differs"(ward) {
    const right = `${ward.jira.url}/ex/jira/${clouds[0]}`;
    ward.change("sources.jira.comment", { base_url: right });
    if ((await ward.ids()).length > 0) throw new Error("the right cloud id is no finding");
    ward.change("sources.jira.comment", { base_url: `${ward.jira.url}/ex/jira/${clouds[1]}` });
  },
  "jira-token-too-strong": (ward) => jiraIn(ward, { admin: true }),
  "youtrack-token-too-strong": (ward) => youtrackIn(ward, { admin: true }),
  "chat-credentials-refused"(ward) {
    const telegram = openTelegram();
    ward.closing.push(() => telegram.close());
    writeSecret(ward.secretsDir, "telegram/bot.token", "7123456789:AAFanotherbotofanotherhouse000000000");
    const entry = { kind: "telegram", token: "telegram/bot.token", chat_id: -1001234509876, base_url: telegram.url };
    ward.change("chats.phones", entry);
  },
  "destination-unreachable": (ward) => ward.jira.close(),

  "store-unreachable"(ward) {
    ward.over = { store: refusing, role: { gateway: false, node: false } };
  },
  "store-not-power-safe": (ward) => ward.beat({ durability: "crash-safe, up to 2 s on power loss" }),

  "gateway-none": (ward) => void (ward.ahead = 120_000),
  "gateway-none-sends": (ward) => ward.beat({ sends: false }),
  "gateway-versions": (ward) => ward.beat({ version: "0.0.9" }, "gate-2/815"),
  "config-not-loaded": (ward) =>
    ward.beat({ config: { refused: "meshmac.config.yaml has 1 problem", needs_restart: [] } }),
  "config-needs-restart": (ward) => ward.beat({ config: { refused: null, needs_restart: ["gateway.listen"] } }),
  "logs-failing": (ward) => ward.beat({ log_notes: ['logs are not archived: bucket "acme-logs" answered 403'] }),
  "page-failed": (ward) => ward.beat({ notes: ["page to oncall not sent: status 403"] }),

  "spool-waits": (ward) => ward.beat({ spool: { ...emptySpool, waiting: 3, oldest_ms: 3_600_000 } }),
  "spool-unusable": (ward) => ward.beat({ spool: { ...emptySpool, fault: "the spool is full" } }),
  "spool-refused": (ward) => ward.beat({ spool: { ...emptySpool, refused: 2 } }),
  "sender-list-missing": (ward) => ward.beat({ sender_lists: [{ name: "atlassian", fetched_at: null }] }),
  "sender-list-old": (ward) =>
    ward.beat({ sender_lists: [{ name: "atlassian", fetched_at: Date.now() - 8 * 86_400_000 }] }),

  "chat-hook-unproven": (ward) =>
    writeSecret(ward.secretsDir, "mattermost/builds.url", "https://chat.acme.example/hooks/zyxwvutsrqponmlkjihgfedcba"),
  "chat-hook-dead": (ward) => refused(ward, "chat:builds", "config"),
  "tracker-comment-forbidden": (ward) => refused(ward, "comment:jira", "config"),
  "destination-failing": (ward) => refused(ward, "chat:builds", "failures"),
  "destination-paused": (ward) => pausedFor(ward, 3_600_000),
  async "outbox-stuck"(ward) {
    await queue(ward.store);
    await expandAll(ward.store, "chat:gone");
  },

  "lane-paused": (ward) => ward.store.pause("ios", "certificates are renewed"),
  async "lane-deep"(ward) {
    await ward.store.publish(rulesOf({ lanes: { ios: laneOf({ max_depth: 1 }) } }));
    for (let i = 0; i < 2; i++) await queue(ward.store);
  },

  async "run-dead"(ward) {
    await ward.store.publish(rulesOf({ lease: leaseOf(1000) }));
    await queue(ward.store);
    for (let lost = 0; lost < 3; lost++) {
      await leased(ward.store);
      ward.ahead += 2000;
      await ward.store.reap();
    }
  },
  async "run-waits"(ward) {
    await queue(ward.store);
    ward.ahead = 2 * 3_600_000;
    await ward.beat();
  },

  ...brokenStores,
  ...brokenNodes,
};

/** Makes a secret's file as old as that many days. */
export function agedBy(ward: Ward, secret: string, days: number): void {
  const at = Date.now() / 1000 - days * 86_400;
  utimesSync(join(ward.secretsDir, secret), at, at);
}

const emptySpool = { waiting: 0, bytes: 0, oldest_ms: null, refused: 0, fault: null, away: false };
const dated = (ms: number) => new Response("ok", { headers: { Date: new Date(ms).toUTCString() } });
const onPost = (request: Request, answer: () => Response) => (request.method === "POST" ? answer() : request);
const refusing403 = () => new Response("<h1>Forbidden</h1>", { status: 403 });

function jiraIn(ward: Ward, options: TrackerOptions): void {
  const jira = openJira(options);
  ward.closing.push(() => jira.close());
  ward.change("sources.jira.comment", { site: jira.url });
}

function youtrackIn(ward: Ward, options: TrackerOptions): void {
  const youtrack = openYouTrack(options);
  ward.closing.push(() => youtrack.close());
  writeSecret(ward.secretsDir, "youtrack/inbound.token", createToken());
  writeSecret(ward.secretsDir, "youtrack/rest.token", createToken());
  ward.change("sources.youtrack", {
    kind: "youtrack",
    path: "/youtrack/webhook",
    token: "youtrack/inbound.token",
    build_when: [{ event: ["issueUpdated"] }],
    task: { script: "build-ios" },
    comment: { site: youtrack.url, token: "youtrack/rest.token" },
  });
}

const refusing = () => Promise.reject(new Error("connection refused"));

async function refused(ward: Ward, destination: string, cause: "config" | "failures"): Promise<void> {
  const { store } = ward;
  await queue(store);
  await expandAll(store, destination);
  const post = await claimed(store, [destination]);
  const health = {
    well: false,
    cause,
    setup: "one",
    limit: 1,
    open_ms: 60_000,
    longest_ms: 60_000,
    give_up_ms: 60_000,
  } as const;
  await store.settle({ key: post.key, claim: post.claim, verdict: "dead", why: "status 404", health });
}

async function pausedFor(ward: Ward, ms: number): Promise<void> {
  const { store } = ward;
  await queue(store);
  await expandAll(store, "chat:builds");
  const { key, claim } = await claimed(store, ["chat:builds"]);
  await store.settle({ key, claim, verdict: "later", due_in_ms: ms, unsure: false, pause_until: Date.now() + ms });
}
