import { at, isObject, type Json, type JsonObject, text as scalar } from "../../src/core/json.ts";
import { type Answered, type Injection, openRemote, type Received, type Remote } from "./remote.ts";
import { carelessness, isWebLink, json, onlyKeys, strictObject } from "./strict.ts";

export interface Comment {
  id: string;
  /** The issue as the path named it. */
  issue: string;
  /** What a reader sees, one line per block. */
  text: string;
  body: Json;
  /** When it was made, epoch milliseconds. */
  at: number;
}

export interface Tracker extends Disposable {
  /** The site, as `comment.site` names it. */
  url: string;
  /** Oldest first. */
  comments: Comment[];
  requests: Received[];
  /** What a strict server held against us; a good client leaves it empty. */
  faults: string[];
  arrived: Remote["arrived"];
  close(): void;
}

export interface TrackerOptions {
  /** What happens to the first requests, one each; then the server is itself. */
  script?: Injection[];
  /** The one Authorization header that it takes; any of the right shape without it. */
  authorization?: string;
  /** The same, where it changes: whether a header is taken now. */
  takes?: (authorization: string) => boolean;
  /** The only issues there are; any without it. */
  issues?: string[];
  /** The account may administer. */
  admin?: boolean;
}

/** The cloud id of the site, and that of another one. */
export const clouds = ["0f3b6c1a-0000-4000-8000-000000000012", "9d2e4f70-0000-4000-8000-000000000034"] as const;

/** Jira Cloud's REST v3, or Data Center's v2: Basic and Atlassian Document Format, or Bearer and a string of wiki markup. */
export function openJira({
  api = "cloud",
  ...options
}: TrackerOptions & { api?: "cloud" | "datacenter" } = {}): Tracker {
  const rest = `/rest/api/${api === "cloud" ? 3 : 2}`;
  const route = new RegExp(`^${rest}/issue/([^/]+)/comment$`);
  return openTracker(options, {
    route,
    account: {
      ...(api === "cloud" && {
        // The same API by the way of api.atlassian.com, which goes by the cloud id in the path.
        ...Object.fromEntries(clouds.map((id) => [`/ex/jira/${id}${rest}/myself`, () => json(200, { active: true })])),
        ...Object.fromEntries(
          clouds.map((id) => [`/ex/jira/${id}${rest}/mypermissions`, () => json(200, { permissions: {} })]),
        ),
      }),
      [`${rest}/myself`]: () => json(200, { accountId: "5b10ac8d82e05b22cc7d4ef5", active: true }),
      [`${rest}/mypermissions`](admin, query) {
        const key = query.get("permissions") ?? "";
        if (key === "") return json(400, { errorMessages: ["The 'permissions' query parameter is required."] });
        return json(200, { permissions: { [key]: { id: "0", key, type: "GLOBAL", havePermission: admin } } });
      },
    },
    ...(api === "cloud" && { open: { "/_edge/tenant_info": () => json(200, { cloudId: clouds[0] }) } }),
    scheme: api === "cloud" ? /^Basic [A-Za-z0-9+/]+=*$/ : /^Bearer \S+$/,
    refuse: (status, why) => json(status, { errorMessages: [why], errors: {} }),
    make(body) {
      onlyKeys(body, ["body", "properties", "visibility", "jsdPublic"], "the comment");
      checkProperties(body.properties);
      const text = api === "cloud" ? adfText(body.body) : scalar(body.body);
      if (text === "") throw new Error("Comment body can not be empty!");
      if (text.length > 32_767) throw new Error("The entered text is too long.");
      return text;
    },
    made: ({ id, body }) => json(201, { id, body: at(body, "body") ?? null, created: "2026-11-20T12:00:00.000+0000" }),
    list(comments, query) {
      if (query.get("orderBy") === "-created") comments.reverse();
      const some = comments.slice(0, Number(query.get("maxResults") ?? 50));
      const shown = some.map(({ id, body }) => ({ id, body: at(body, "body") ?? null }));
      return json(200, { startAt: 0, maxResults: 50, total: comments.length, comments: shown });
    },
  });
}

/** YouTrack's REST: Bearer, Markdown, no more than four lines (our own promise). */
export function openYouTrack(options: TrackerOptions = {}): Tracker {
  return openTracker(options, {
    route: /^(?:\/youtrack)?\/api\/issues\/([^/]+)\/comments$/,
    account: {
      "/api/users/me": () => json(200, { id: "1-2", $type: "Me" }),
      "/api/admin/telemetry": (admin) =>
        admin
          ? json(200, { id: "telemetry", $type: "Telemetry" })
          : json(403, { error: "Forbidden", error_description: "You do not have permissions" }),
    },
    scheme: /^Bearer \S+$/,
    refuse: (status, why) => json(status, { error: "Bad Request", error_description: why }),
    make(body) {
      onlyKeys(body, ["text", "usesMarkdown", "visibility"], "the comment");
      if (typeof body.text !== "string" || body.text.trim() === "") throw new Error("text is required");
      if (body.text.split("\n").length >= 5) throw new Error("five lines or more");
      return body.text;
    },
    made: ({ id, text }) => json(200, { id, text, $type: "IssueComment" }),
    list(comments, query) {
      const some = comments.slice(Number(query.get("$skip") ?? 0), Number(query.get("$top") ?? 42));
      return json(
        200,
        some.map(({ id, text }) => ({ id, text, author: { login: "builder" }, $type: "IssueComment" })),
      );
    },
  });
}

/** GitHub's REST: a bearer token, its media type and version, Markdown; comments from `since` on, oldest first. */
export function openGithub(options: TrackerOptions = {}): Tracker {
  return openTracker(options, {
    route: /^\/repos\/([\w-]+\/[\w.-]+\/issues\/\d+)\/comments$/,
    scheme: /^Bearer \S+$/,
    refuse: (status, why) =>
      json(status, { message: why, documentation_url: "https://docs.github.com/rest", status: String(status) }),
    careless({ headers }) {
      if (headers.get("accept") !== "application/vnd.github+json") return "Accept";
      return headers.get("x-github-api-version") === "2022-11-28" ? null : "X-GitHub-Api-Version";
    },
    make(body) {
      onlyKeys(body, ["body"], "the comment");
      if (typeof body.body !== "string" || body.body.trim() === "") throw new Error("body is missing");
      if (body.body.length > 65_536) throw new Error("body is too long (maximum is 65536 characters)");
      return body.body;
    },
    made: ({ id, text }) => json(201, { id: Number(id), body: text, user: { login: "acme-bot" } }),
    list(comments, query) {
      const since = Date.parse(query.get("since") ?? "1970-01-01T00:00:00Z");
      if (Number.isNaN(since)) return json(422, { message: "Invalid request" });
      const some = comments
        .filter(({ at }) => at >= since)
        .slice(0, Math.min(100, Number(query.get("per_page") ?? 30)));
      return json(
        200,
        some.map(({ id, text }) => ({ id: Number(id), body: text, user: { login: "acme-bot" } })),
      );
    },
  });
}

interface Dialect {
  /** What else a careful client of this one says or does not say. */
  careless?(request: Received): string | null;
  route: RegExp;
  /** What may be asked of the token's own account, by path. */
  account?: Record<string, (admin: boolean, query: URLSearchParams) => Answered>;
  /** What everybody may ask, by path. */
  open?: Record<string, () => Answered>;
  scheme: RegExp;
  refuse(status: number, why: string): Answered;
  /** Checks a body and answers its text; throws what is wrong with it. */
  make(body: JsonObject): string;
  made(comment: Comment): Answered;
  list(comments: Comment[], query: URLSearchParams): Answered;
}

function openTracker(
  { script = [], authorization, takes, issues, admin = false }: TrackerOptions,
  dialect: Dialect,
): Tracker {
  const comments: Comment[] = [];
  const faults: string[] = [];
  const fault = (why: string): Answered => {
    faults.push(why);
    return dialect.refuse(400, why);
  };
  const service = (request: Received): Answered => {
    const issue = decodeURIComponent(dialect.route.exec(request.path)?.[1] ?? "");
    const as = request.headers.get("authorization") ?? "";
    const anybody = request.method === "GET" && as === "" ? dialect.open?.[request.path] : undefined;
    if (anybody) return anybody();
    const account = request.method === "GET" ? dialect.account?.[request.path] : undefined;
    if (issue === "" && !account) return dialect.refuse(404, "no such resource");
    if (authorization === undefined ? !dialect.scheme.test(as) : as !== authorization)
      return dialect.refuse(401, "Unauthorized");
    if (takes && !takes(as)) return dialect.refuse(401, "Unauthorized");
    const careless = carelessness(request, "tracker") ?? dialect.careless?.(request);
    if (careless) return fault(careless);
    if (account) return account(admin, request.query);
    if (issues && !issues.includes(issue))
      return dialect.refuse(404, "Issue does not exist or you do not have permission to see it.");
    const here = comments.filter((comment) => comment.issue === issue);
    if (request.method === "GET") return dialect.list(here, request.query);
    if (request.method !== "POST") return dialect.refuse(405, "Method Not Allowed");
    try {
      const body = strictObject(request.text);
      const comment = { id: String(10_000 + comments.length), issue, text: dialect.make(body), body, at: Date.now() };
      comments.push(comment);
      return dialect.made(comment);
    } catch (error) {
      return fault(error instanceof Error ? error.message : "bad body");
    }
  };
  const { url, requests, arrived, close } = openRemote({ service, script });
  return { url, comments, requests, faults, arrived, close, [Symbol.dispose]: close };
}

function checkProperties(properties: Json | undefined): void {
  if (properties === undefined) return;
  if (!Array.isArray(properties)) throw new Error("properties is not a list");
  for (const property of properties) {
    if (!isObject(property)) throw new Error("a property is not an object");
    onlyKeys(property, ["key", "value"], "a property");
    if (typeof property.key !== "string" || property.key.length > 255) throw new Error("a property's key");
    if (property.value === undefined || JSON.stringify(property.value).length > 32_768) throw new Error("its value");
  }
}

/** Reads an Atlassian Document; throws where Jira would refuse it. */
function adfText(document: Json | undefined): string {
  if (!isObject(document) || document.type !== "doc" || document.version !== 1)
    throw new Error("not a doc of version 1");
  onlyKeys(document, ["type", "version", "content"], "the document");
  return nodesOf(document, "the document").map(block).join("\n");
}

function block(node: JsonObject): string {
  if (node.type === "paragraph") {
    onlyKeys(node, ["type", "content"], "a paragraph");
    return nodesOf(node, "a paragraph").map(inline).join("");
  }
  if (node.type !== "codeBlock") throw new Error(`a block of type ${scalar(node.type)}`);
  onlyKeys(node, ["type", "attrs", "content"], "a codeBlock");
  if (node.attrs !== undefined) {
    if (!isObject(node.attrs)) throw new Error("attrs is not an object");
    onlyKeys(node.attrs, ["language"], "attrs of a codeBlock");
  }
  return nodesOf(node, "a codeBlock")
    .map((inner) => {
      if (inner.type !== "text" || inner.marks !== undefined) throw new Error("a codeBlock holds plain text only");
      return inline(inner);
    })
    .join("");
}

function inline(node: JsonObject): string {
  if (node.type === "hardBreak") return "\n";
  if (node.type !== "text") throw new Error(`an inline of type ${scalar(node.type)}`);
  onlyKeys(node, ["type", "text", "marks"], "a text");
  if (typeof node.text !== "string" || node.text === "") throw new Error("an empty text node");
  if (node.marks !== undefined && !Array.isArray(node.marks)) throw new Error("marks is not a list");
  for (const mark of node.marks ?? []) {
    if (!isObject(mark) || !["link", "strong", "em", "code"].includes(scalar(mark.type))) throw new Error("a mark");
    if (mark.type === "link" && !isWebLink(at(mark, "attrs.href"))) throw new Error("a link that is not http(s)");
  }
  return node.text;
}

function nodesOf(node: JsonObject, what: string): JsonObject[] {
  if (!Array.isArray(node.content) || !node.content.every(isObject)) throw new Error(`content of ${what}`);
  return node.content;
}
