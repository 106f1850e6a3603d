import { type Config, secretsOf } from "../config.ts";
import { announcementOf } from "../core/announcement.ts";
import { MeshError } from "../core/error.ts";
import { judged, type Reply, type Verdict } from "../core/post.ts";
import { secretMask } from "../core/redact.ts";
import type { RetryPolicy } from "../core/retry.ts";
import { oneLine, truncate } from "../core/text.ts";
import { type Failure, sendPost, type Sent } from "../http.ts";
import type { Vault } from "../secrets.ts";
import type { Claimed } from "../stores/store.ts";
import { destinationsFrom } from "./destinations.ts";
import { printedBy, shownPost } from "./notify-preview.ts";

export interface TrialOptions {
  config: Config;
  vault: Vault;
  /** The name of a configured chat. */
  chat: string;
  /** Asks for the minimal layout. */
  plain: boolean;
  /** Where a `console` chat prints. */
  print: (line: string) => void;
}

/** What came of one try; `status` is null where no answer came. */
export interface Told {
  sent: boolean;
  verdict: string;
  status: number | null;
  why: string | null;
  hint: string | null;
}

export interface Trial extends Told {
  chat: string;
  kind: string;
}

/** Sends one post that says it is a test to one chat, once and past the store. Throws what is wrong with the files of its secrets (77, 78). */
export async function tryChat({ config, vault, chat, plain, print }: TrialOptions): Promise<Trial> {
  const entry = config.chats[chat];
  const destination = destinationsFrom(config, { mask: (text) => text }).get(`chat:${chat}`);
  if (!entry || !destination) throw new MeshError("bug", `chat ${JSON.stringify(chat)} is not configured`);
  for (const { secret } of secretsOf(entry)) vault.check(secret.name);
  const claimed = testPost(chat, config.node.id);
  const post = destination.post(claimed, { plain });
  const { kind } = destination;
  const printed = printedBy(shownPost(post));
  if (printed !== null) print(printed);
  const answer = printed === null ? await sendPost(post, destination.outbound) : null;
  const judge = (reply: Reply) => destination.judge(reply, claimed);
  const mask = secretMask(vault.values());
  const told = toldOf(answer, { who: "chat", judge, policy: destination.policy, plain, mask });
  if (told.sent && answer && "reply" in answer) answer.taken?.();
  return { chat, kind, ...told };
}

interface Asked {
  who: "chat" | "pager";
  judge: (reply: Reply) => Verdict;
  policy: RetryPolicy;
  plain: boolean;
  mask: (text: string) => string;
}

/** Reads what came of one try as a person needs it; null stands for a line that was printed. Holds no secret. */
export function toldOf(answer: Sent | null, asked: Asked): Told {
  const told =
    answer === null
      ? taken(null)
      : "failure" in answer
        ? afterFailure(answer.failure, asked)
        : afterReply(answer.reply, asked);
  return { ...told, why: told.why === null ? null : truncate(oneLine(asked.mask(told.why)), 600) };
}

const taken = (status: number | null): Told => ({ sent: true, verdict: "sent", status, why: null, hint: null });

function afterReply(reply: Reply, { who, judge, policy, plain }: Asked): Told {
  const { status } = reply;
  const said = judged(judge(reply), status, policy);
  if (said.verdict === "sent") return taken(status);
  const why = reply.text.trim() === "" ? said.why : `${said.why}: ${reply.text}`;
  return { sent: false, verdict: said.verdict, status, why, hint: hintAfter(said.verdict, status, plain, who) };
}

function hintAfter(verdict: string, status: number, plain: boolean, who: Asked["who"]): string {
  if (verdict === "degrade") {
    return plain
      ? "even the plain layout is refused: was the hook or the channel deleted?"
      : "the gateway would now try the plain layout; so does --plain";
  }
  if (verdict === "retry") return "the gateway would try again; so may you";
  if (status >= 300 && status < 400)
    return `put the address into its file that the ${who} redirects to, if you trust it`;
  if ([401, 403, 404, 410].includes(status))
    return `the ${who} does not know this address or token any more: make a new one there, and put it into its file`;
  return `compare the ${who}'s entry in the configuration with docs/${who === "chat" ? "chats" : "paging"}.md`;
}

const afterFailure = ({ code, why }: Failure, { who }: Asked): Told => ({
  sent: false,
  verdict: "no answer",
  status: null,
  why,
  hint:
    code === "timeout"
      ? `raise the ${who}'s timeout, or look whether a proxy swallows the request`
      : "look at the address in the secret's file, and whether it can be reached from here (proxy, ca_file)",
});

/** A post that nobody can take for a build's. */
function testPost(chat: string, node: string): Claimed {
  const at = Date.now();
  const id = crypto.randomUUID();
  const report = {
    source: "notify",
    workflow: "meshmac test",
    state: "succeeded" as const,
    branch: "no build",
    commit: null,
    run_url: null,
    mesh_node_id: node,
    provider_run_id: id,
    failing_target: null,
  };
  const facts = { subject: `test/${id}`, state: report.state, at, task: null, report, node, attempt: 0 };
  const telling = { adminUrl: null, mask: (text: string) => text };
  const announcement = announcementOf({ ...facts, reason: null, started_at: null, result: null }, telling);
  return {
    key: new Bun.CryptoHasher("sha256").update(id).digest("hex"),
    claim: "",
    destination: `chat:${chat}`,
    subject: facts.subject,
    seq: 1,
    state: report.state,
    announcement: { ...announcement, summary: "meshmac test post, sent by hand; no build ran" },
    tries: 1,
    unsure: false,
    handle: null,
    why: null,
    created_at: at,
  };
}
