import type { Config } from "../config.ts";
import { secretsOf } from "../config.ts";
import { MeshError } from "../core/error.ts";
import { secretMask } from "../core/redact.ts";
import type { Alert } from "../pagers/pager.ts";
import { sendPost } from "../http.ts";
import type { Vault } from "../secrets.ts";
import { type Message, type PagerAt, pagersFrom } from "./escalate-pagers.ts";
import { printedBy, shownPost } from "./notify-preview.ts";
import { type Told, toldOf } from "./notify-trial.ts";

export interface PageTrialOptions {
  config: Config;
  vault: Vault;
  /** The name of a configured pager. */
  pager: string;
  /** Asks for the minimal layout; only a chat has one. */
  plain: boolean;
  /** Where a `console` chat prints. */
  print: (line: string) => void;
}

/** What came of one test page; `resolved` is null where it was not taken, or where its end is left to people. */
export interface PageTrial extends Told {
  pager: string;
  kind: string;
  resolved: boolean | null;
}

/**
 * Sends one page that says it is a test to one pager, and its end at once, each once and past the store. Throws `usage`
 * where `plain` is asked of a pager without layouts, and what is wrong with the files of its secrets (77, 78).
 */
export async function tryPager({ config, vault, pager: name, plain, print }: PageTrialOptions): Promise<PageTrial> {
  const entry = config.pagers[name];
  const pager = pagersFrom(config, vault.keyId).find((one) => one.name === name);
  if (!entry || !pager) throw new MeshError("bug", `pager ${JSON.stringify(name)} is not configured`);
  for (const { secret } of secretsOf([entry, config.chats[entry.chat ?? ""]])) vault.check(secret.name);
  const alert = testAlert(config);
  const ask = (message: Message) => once(message, pager, { plain, print, mask: secretMask(vault.values()) });
  const page = pager.message("page", alert);
  if (!page) throw new MeshError("bug", `pager ${JSON.stringify(name)} cannot page`);
  if (plain && !page.plainer)
    throw new MeshError("usage", `--plain: a ${pager.kind} pager has one layout`, { hint: "leave --plain off" });
  const told = await ask(page);
  const end = told.sent ? pager.message("resolve", alert) : null;
  if (!end) return { pager: name, kind: pager.kind, ...told, resolved: null };
  const ended = await ask(end);
  const why = ended.why === null ? null : `its end was not taken: ${ended.why}`;
  return { pager: name, kind: pager.kind, ...told, why, hint: ended.hint, resolved: ended.sent };
}

interface Hands {
  plain: boolean;
  print: (line: string) => void;
  mask: (text: string) => string;
}

async function once({ post: rich, plainer, judge }: Message, pager: PagerAt, { plain, print, mask }: Hands) {
  const post = (plain ? plainer : undefined) ?? rich;
  const printed = printedBy(shownPost(post));
  if (printed !== null) print(printed);
  const answer = printed === null ? await sendPost(post, pager.outbound) : null;
  return toldOf(answer, { who: "pager", judge, policy: pager.policy, plain, mask });
}

/** An alert that nobody can take for a fault. */
const testAlert = ({ pool, node }: Config): Alert => ({
  key: `meshmac:${pool}:test/${crypto.randomUUID()}`,
  about: "meshmac test",
  summary: "meshmac test page, sent by hand; nothing is wrong, and it is resolved at once",
  source: node.id,
  severity: "info",
  at: Date.now(),
  links: [],
  details: {},
});
