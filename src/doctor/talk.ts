import { patternSpans } from "../core/redact-patterns.ts";

/** Something in a text that speaks to a chat or a tracker: what it is, and in which line (from 1). Never its value. */
export interface Talk {
  kind: string;
  line: number;
}

/** Tokens that open a chat or a tracker, by how they begin; redaction knows their whole shape. Others (git, npm, cloud) a build may need. */
const tokens: [kind: string, begins: RegExp][] = [
  ["an Atlassian token", /^AT[AC]TT/],
  ["a YouTrack token", /^perm[:-]/],
  ["a Mattermost hook", /^\/hooks\//],
  ["a Slack hook", /^hooks\.slack/],
  ["a Slack token", /^x(?:ox|app)/],
  ["a Discord hook", /^discord/],
  ["a Telegram token", /^\d{6,12}:AA/],
  ["a Teams hook", /^webhook\.office/],
  ["a Linear token", /^lin_/],
  ["a Matrix token", /^syt_/],
  ["a signing key of a webhook", /^whsec_/],
];

const places: [kind: string, shape: RegExp][] = [
  ["a Slack hook", /\bhooks\.slack(?:-gov)?\.com\/\w/],
  ["the API of Slack", /\bslack\.com\/api\//],
  ["a Discord hook", /\bdiscord(?:app)?\.com\/api\//],
  ["a Teams hook", /\bwebhook\.office\.com\/|\b(?:logic\.azure|api\.powerplatform)\.com\b/],
  ["a Google Chat hook", /\bchat\.googleapis\.com\//],
  ["the API of Telegram", /\bapi\.telegram\.org\//],
  ["the API of Matrix", /\/_matrix\/client\//],
  ["the API of Mattermost", /\/api\/v4\/posts\b/],
  ["a topic of ntfy", /\bntfy\.sh\/\w/],
  ["the API of Jira", /\batlassian\.net\/rest\/|\/rest\/api\/(?:\d|latest)\/|\bapi\.atlassian\.com\//],
  ["the API of YouTrack", /\byoutrack\.cloud\/(?:youtrack\/)?api\/|\/youtrack\/api\//],
  ["the API of Linear", /\bapi\.linear\.app\b/],
];

const service = "SLACK|MATTERMOST|DISCORD|TELEGRAM|MATRIX|TEAMS|GOOGLE_?CHAT|NTFY|JIRA|ATLASSIAN|YOUTRACK|LINEAR";
// Bounded on all sides: a line of a megabyte must not cost its square.
const secretName = new RegExp(`\\b\\w{0,40}(${service})\\w{0,40}(TOKEN|SECRET|PASSWORD|KEY|HOOK)\\w{0,40}\\b`, "i");
// A value that stands there, not one that is looked up.
const assigned = new RegExp(`(${secretName.source})["']?\\s{0,4}[:=]\\s{0,4}["']?[^\\s"'$<]{6,}`, "i");

// What searches for secrets takes longer than in proportion; nobody writes such a line by hand.
const longestLine = 8192;

/** Whether a variable of this name would hold what opens a chat or a tracker. */
export const isTalkName = (name: string): boolean => secretName.test(name);

/** Finds chats and trackers in a text, each kind where it first stands. In a comment a token counts, an address does not. */
export function talksIn(text: string): Talk[] {
  const first = new Map<string, number>();
  for (const [index, line] of text.split("\n").entries())
    for (const kind of kindsIn(line.slice(0, longestLine))) if (!first.has(kind)) first.set(kind, index + 1);
  return [...first].map(([kind, line]) => ({ kind, line }));
}

function kindsIn(line: string): string[] {
  const held = patternSpans(line).map(({ from, to }) => line.slice(from, to));
  const kinds = tokens.filter(([, begins]) => held.some((text) => begins.test(text))).map(([kind]) => kind);
  if (/^\s*(?:#|\/\/)/.test(line)) return kinds;
  kinds.push(...places.filter(([, shape]) => shape.test(line)).map(([kind]) => kind));
  // What is known by its shape needs no name.
  return kinds.length > 0 || !assigned.test(line) ? kinds : ["a token by the name of its variable"];
}

/** Rewrites a property list line by line, so that the name of a variable stands before its value. */
export const flatPlist = (text: string): string =>
  text.replace(/<key>([^<]*)<\/key>(\s*)<string>/g, (_, name: string, space: string) => `${space}${name}=`);
