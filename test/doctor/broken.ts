import { chmodSync, rmSync } from "node:fs";
import { join } from "node:path";
import { claimed, expandAll, laneOf, leaseOf, leased, queue, rulesOf } from "../stores/conformance/given.ts";
import { brokenNodes } from "./broken-nodes.ts";
import type { Ward } from "./ward.ts";

/** For each finding, what breaks exactly that thing. */
export const broken: Record<string, (ward: Ward) => void | Promise<void>> = {
  "config-missing": (ward) => void (ward.over = { file: null, problems: [{ path: "", says: "none found" }] }),
  "config-invalid": (ward) => void (ward.over = { problems: [{ path: "gateway.listen", says: "expected host:port" }] }),
  "secret-unsafe": (ward) => chmodSync(join(ward.secretsDir, "jira/inbound.token"), 0o644),
  "secret-missing": (ward) => rmSync(join(ward.secretsDir, "jira/inbound.token")),

  "store-unreachable"(ward) {
    ward.over = { store: refusing, role: { gateway: false, node: false } };
  },
  "store-not-power-safe": (ward) => ward.beat({ durability: "crash-safe, up to 2 s on power loss" }),

  "gateway-none": (ward) => void (ward.ahead = 120_000),
  "gateway-none-sends": (ward) => ward.beat({ sends: false }),
  "gateway-versions": (ward) => ward.beat({ version: "0.0.9" }, "gate-2/815"),
  "page-failed": (ward) => ward.beat({ notes: ["page to oncall not sent: status 403"] }),

  "spool-waits": (ward) => ward.beat({ spool: { ...emptySpool, waiting: 3, oldest_ms: 3_600_000 } }),
  "spool-unusable": (ward) => ward.beat({ spool: { ...emptySpool, fault: "the spool is full" } }),
  "spool-refused": (ward) => ward.beat({ spool: { ...emptySpool, refused: 2 } }),

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

  ...brokenNodes,
};

const emptySpool = { waiting: 0, bytes: 0, oldest_ms: null, refused: 0, fault: null, away: false };

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
