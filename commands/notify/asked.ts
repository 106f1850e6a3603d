import { MeshError } from "../../src/core/error.ts";
import { nearest } from "../../src/core/nearest.ts";
import type { Report } from "../../src/core/records.ts";
import { truncate, webLink } from "../../src/core/text.ts";

/** The flags of `meshmac notify` as they were typed. */
export interface Asked {
  workflow?: string | undefined;
  state?: Report["state"] | undefined;
  branch?: string | undefined;
  commit?: string | undefined;
  "run-url"?: string | undefined;
  node?: string | undefined;
  "provider-run-id"?: string | undefined;
  "failing-target"?: string | undefined;
  chat?: string | undefined;
  "dry-run"?: boolean | undefined;
  test?: string | undefined;
  plain?: boolean | undefined;
  config?: string | undefined;
  json?: boolean | undefined;
}

// Chats cut at a few hundred characters; the store need not keep what no one will see.
const longest = 1000;
const longestId = 200;

/** Makes the report that the flags describe; `id` names a build that has none. Throws `usage` where a flag is missing or cannot be. */
export function reportFrom(asked: Asked, id: string): Report {
  const { state, chat } = asked;
  const workflow = said(asked.workflow);
  if (workflow === null) throw wrong("--workflow is missing", 'say what was built: --workflow "nightly"');
  if (state === undefined)
    throw wrong("--state is missing", "say how it ended: --state succeeded, failed or cancelled");
  const provider_run_id = said(asked["provider-run-id"]) ?? id;
  if (provider_run_id.length > longestId) throw wrong(`--provider-run-id is longer than ${longestId} characters`);
  const run_url = asked["run-url"]?.trim() || null;
  if (run_url !== null && webLink(run_url) === null)
    throw wrong("--run-url expects an http(s) URL without a password in it");
  return {
    source: "notify",
    workflow,
    state,
    branch: said(asked.branch) ?? "",
    commit: said(asked.commit),
    run_url,
    mesh_node_id: said(asked.node),
    provider_run_id,
    failing_target: said(asked["failing-target"]),
    ...(chat !== undefined && { chats: [chat] }),
  };
}

/** Throws `usage` where a mode was mixed with flags of another. */
export function checkModes(asked: Asked): void {
  if (asked.plain && asked.test === undefined) throw wrong("--plain goes with --test");
  if (asked.test === undefined) return;
  const other = reporting.find((flag) => asked[flag] !== undefined && asked[flag] !== false);
  if (other) throw wrong(`--test takes no --${other}`, "it sends a post of its own");
}

/** Throws `usage` where a chat is not among those configured. */
export const checkChat = (chat: string, chats: Record<string, unknown>): void => checkName("chat", chat, chats);

function checkName(what: string, name: string, entries: Record<string, unknown>): void {
  if (Object.hasOwn(entries, name)) return;
  const names = Object.keys(entries);
  const meant = nearest(name, names);
  const known = names.length === 0 ? `no ${what} is configured` : `configured: ${names.join(", ")}`;
  throw wrong(`unknown ${what} ${JSON.stringify(name)}`, meant === undefined ? known : `did you mean ${meant}?`);
}

/**
 * Finds what a test is for: a chat or a pager, by its name; `chat:` or `pager:` before it says which. Throws `usage` where
 * there is none of this name, or one of each.
 */
export function testedOf(
  name: string,
  { chats, pagers }: { chats: Record<string, unknown>; pagers: Record<string, unknown> },
): { chat: string } | { pager: string } {
  const [, what, rest = ""] = /^(chat|pager):(.*)$/s.exec(name) ?? [];
  if (what === "pager") {
    checkName("pager", rest, pagers);
    return { pager: rest };
  }
  if (what === "chat") {
    checkName("chat", rest, chats);
    return { chat: rest };
  }
  const [isChat, isPager] = [Object.hasOwn(chats, name), Object.hasOwn(pagers, name)];
  if (isChat && isPager)
    throw wrong(
      `a chat and a pager are called ${JSON.stringify(name)}`,
      `say --test chat:${name} or --test pager:${name}`,
    );
  if (isPager) return { pager: name };
  if (!isChat) checkName(Object.keys(pagers).length === 0 ? "chat" : "chat or pager", name, { ...chats, ...pagers });
  return { chat: name };
}

const reporting = [
  "workflow",
  "state",
  "branch",
  "commit",
  "run-url",
  "node",
  "provider-run-id",
  "failing-target",
  "chat",
  "dry-run",
] as const;

function said(text: string | undefined): string | null {
  const value = text?.trim() ?? "";
  return value === "" ? null : truncate(value, longest);
}

const wrong = (message: string, hint = "meshmac notify --help shows what it takes"): MeshError =>
  new MeshError("usage", message, { hint });
