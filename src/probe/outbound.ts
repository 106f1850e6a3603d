import type { Chat } from "../chats/chat.ts";
import { chats } from "../chats/registry.ts";
import { type Config, secretsOf } from "../config.ts";
import type { ChatEntry } from "../config/schema.ts";
import { MeshError } from "../core/error.ts";
import type { Json } from "../core/json.ts";
import { type Announcement, type RunState, runStates } from "../core/records.ts";
import { lengthIn } from "../core/text.ts";
import { tryChat } from "../gateway/notify-trial.ts";
import type { Vault } from "../secrets.ts";

/** What was found of one chat: null in `wrong` where everything that it would be sent can be sent. */
export interface Checked {
  chat: string;
  kind: string;
  wrong: string | null;
  look: string | null;
  sent: boolean;
}

export interface OutboundOptions {
  config: Config;
  vault: Vault;
  /** Sends a test to each chat that is in order. */
  send: boolean;
  /** Where a `console` chat prints. */
  print: (line: string) => void;
}

/** Renders, for every configured chat, the longest post of each state in both layouts, and holds it against the chat's limits; then sends a test where asked. */
export async function checkOutbound({ config, vault, send, print }: OutboundOptions): Promise<Checked[]> {
  const all: Checked[] = [];
  for (const [name, entry] of Object.entries(config.chats)) {
    const { kind } = entry;
    const fault = secretFault(entry, vault) ?? tooLong(entry);
    const look = fault === null ? null : fault.look;
    const checked: Checked = { chat: name, kind, wrong: fault?.wrong ?? null, look, sent: false };
    if (!send || fault) all.push(checked);
    else {
      const trial = await tryChat({ config, vault, chat: name, plain: false, print });
      all.push({
        ...checked,
        sent: trial.sent,
        wrong: trial.sent ? null : (trial.why ?? trial.verdict),
        look: trial.hint,
      });
    }
  }
  return all;
}

type Fault = { wrong: string; look: string };

function secretFault(entry: ChatEntry, vault: Vault): Fault | null {
  for (const { secret } of secretsOf(entry)) {
    try {
      vault.check(secret.name);
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
      return { wrong: error.message, look: error.hint ?? "" };
    }
  }
  return null;
}

/** Says which limit a post of this chat would break. */
function tooLong(entry: ChatEntry): Fault | null {
  const chat: Chat | undefined = chats.find(({ kind }) => kind === entry.kind);
  if (!chat) throw new MeshError("bug", `no chat of the kind ${JSON.stringify(entry.kind)}`);
  const { text, unit, body: most } = chat.limits;
  const look = "meshmac probe --self shows whether this program is whole; report it with the kind of the chat";
  for (const state of runStates) {
    for (const plain of [false, true]) {
      const given = { key: "0".repeat(64), subject: "probe", plain };
      const { body } = chat.post(longest(state), entry, given);
      const longestText = Math.max(0, ...textsIn(body ?? null).map((one) => lengthIn(unit, one)));
      if (longestText > text) return { wrong: `${state}: a text of ${longestText} ${unit}, at most ${text}`, look };
      const bytes = Buffer.byteLength(JSON.stringify(body ?? null));
      if (most !== undefined && bytes > most) return { wrong: `${state}: ${bytes} bytes, at most ${most}`, look };
    }
  }
  return null;
}

function textsIn(value: Json): string[] {
  if (typeof value === "string") return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(textsIn) : [];
}

const long = "an invented text with umlauts äöü, signs <&>*_` and more ".repeat(40);

const longest = (state: RunState): Announcement => ({
  workflow: "build-ios",
  state,
  branch: `feature/${"long-".repeat(40)}name`,
  commit: "0123456789abcdef0123456789abcdef01234567",
  run_url: "https://builds.example/runs/0190",
  mesh_node_id: "mac-07",
  provider_run_id: "0190",
  source: "probe",
  issue_key: "MOB-12",
  issue_id: "10012",
  issue_url: "https://acme.example/browse/MOB-12",
  summary: long.slice(0, 1000),
  requested_by: "Ada Example",
  lane: "ios",
  attempt: 1,
  failing_target: long.slice(0, 500),
  duration_ms: 724_000,
  reason: long.slice(0, 500),
  log_tail: Array.from({ length: 20 }, () => long),
  idempotency_key: null,
  at: 1_790_000_000_000,
});
