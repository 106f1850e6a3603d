import { chats } from "../chats/registry.ts";
import type { Outbound } from "../core/outbound.ts";
import type { Probe } from "../core/probe.ts";
import { sendPost } from "../http.ts";
import { sources } from "../sources/registry.ts";
import type { TrackerProbe } from "../sources/source.ts";
import { defineCheck, type Finding, type Scene } from "./check.ts";

type Id = TrackerProbe["finding"] | "chat-credentials-refused" | "destination-unreachable";

interface Question extends Probe {
  finding: Id;
  about: string;
  fix: string;
  outbound: Outbound;
}

/** Asks every tracker and every chat that can be asked without a post whether it takes our credentials. */
export const credentials = defineCheck<Id>({
  name: "credentials",
  on: "gateway",
  faults: {
    "tracker-credentials-refused": { severity: "error", breaks: "failures do not come back to the issue" },
    "jira-site-email-mismatch": { severity: "error", breaks: "failures do not come back to the issue" },
    "jira-base-differs": { severity: "error", breaks: "comments go to another Jira, or to none" },
    "jira-token-too-strong": { severity: "warning", breaks: "who steals this token can change all of Jira" },
    "youtrack-token-too-strong": { severity: "warning", breaks: "who steals this token can change all of YouTrack" },
    "chat-credentials-refused": { severity: "error", breaks: "this chat hears of no build" },
    "destination-unreachable": { severity: "error", breaks: "what is to be said there waits" },
  },
  async look(scene) {
    const found = await Promise.all([...ofTrackers(scene), ...ofChats(scene)].map((one) => answered(one, scene)));
    return found.flat();
  },
});

function ofTrackers({ config }: Scene): Question[] {
  return Object.entries(config.sources).flatMap(([name, { kind, comment }]) => {
    if (!comment) return [];
    const probes = sources.find((source) => source.kind === kind)?.comment?.probes?.(comment) ?? [];
    return probes.map((probe) => ({ ...probe, about: `sources.${name}.comment`, outbound: comment }));
  });
}

function ofChats({ config }: Scene): Question[] {
  return Object.entries(config.chats).flatMap(([name, entry]) => {
    const probe = chats.find((chat) => chat.kind === entry.kind)?.probe?.(entry);
    const fix = `write the new hook or token into its file, then: meshmac notify --test ${name}`;
    if (!probe) return [];
    return [{ ...probe, finding: "chat-credentials-refused", about: `chats.${name}`, fix, outbound: entry }];
  });
}

async function answered({ ask, fault, finding, about, fix, outbound }: Question, scene: Scene): Promise<Finding<Id>[]> {
  const timeout = Math.min(outbound.timeout, scene.outbound.timeout);
  const sent = await sendPost(ask, { ...outbound, timeout });
  if ("reply" in sent) {
    const says = fault(sent.reply);
    return says === null ? [] : [{ id: finding, about, says, fix }];
  }
  // What is wrong with a secret or with the entry itself, other checks say.
  if (["secret", "bad_url", "plain_http", "tls_file"].includes(sent.failure.code)) return [];
  const remedy = "let this machine reach it: DNS, firewall, `proxy` and `ca_file` of the entry";
  return [
    {
      id: "destination-unreachable",
      about,
      says: `no ${sent.failure.maybeSent ? "answer" : "connection"} (${sent.failure.code})`,
      fix: remedy,
    },
  ];
}
