import { chats } from "../chats/registry.ts";
import { nearest } from "../core/nearest.ts";
import { isLoopback } from "../core/units.ts";
import { secretsOf } from "./named.ts";
import { lanesNamed } from "../core/wanted.ts";
import { place } from "./place.ts";
import type { Problem } from "./problems.ts";
import type { CommentEntry, Parsed, ReconcileEntry } from "./schema.ts";

/** Gives what the file says in one section, or as a whole, its faulty parts included. */
type Said = (section?: string) => Record<string, unknown>;

const ownPaths = ["/healthz", "/readyz", "/startupz"];

/** Lists what is wrong between the parts of a configuration, of those parts that are right. */
export function crossCheck(config: Parsed, said: Said): Problem[] {
  return [
    ...ofGateway(config, said),
    ...ofSources(config, said),
    ...ofChats(config, said),
    ...ofPagers(config, said),
    ...ofPlainHttp(config),
    ...ofArchive(config),
    ...ofNode(config, said),
    ...ofRotation(config),
  ];
}

function ofGateway({ gateway: { listen, nodes, admin, trusted_proxies } }: Parsed, said: Said): Problem[] {
  const { tls, trusted_proxies: proxies, admin: adminSaid } = said("gateway");
  // A faulty list of proxies was complained of already.
  const isBare = tls === undefined && trusted_proxies.length === 0 && (proxies === undefined || isEmpty(proxies));
  const problems = [
    { path: "gateway.listen", address: listen },
    { path: "gateway.nodes.listen", address: nodes?.listen },
  ].flatMap(({ path, address }) =>
    address && isBare && !isLoopback(address.host)
      ? [{ path, says: "off loopback needs gateway.tls, or the proxy that ends TLS in gateway.trusted_proxies" }]
      : [],
  );
  const isPrivate = isLoopback(admin.listen.host) && (!admin.url || isLoopback(new URL(admin.url).hostname));
  const hasToken = typeof adminSaid === "object" && adminSaid !== null && "token" in adminSaid;
  if (!isPrivate && !hasToken) {
    problems.push({ path: "gateway.admin.token", says: "is missing, needed unless listen and url are both loopback" });
  }
  return problems;
}

function ofSources({ sources }: Parsed, said: Said): Problem[] {
  const doors = new Map(ownPaths.map((path) => [path, "the gateway's own health"]));
  return Object.entries(sources).flatMap(([name, { path, task, build_when, comment, reconcile }]) => {
    const taken = doors.get(path);
    doors.set(path, `the door of ${name}`);
    return [
      ...(taken ? [at(["sources", name, "path"], `${JSON.stringify(path)} is ${taken} already`)] : []),
      // A faulty task was complained of already.
      ...(task || build_when.length === 0 || saysTask(said("sources")[name])
        ? []
        : [at(["sources", name, "task"], "is missing, needed beside build_when")]),
      ...(task ? lanesNamed(task.lane) : []).flatMap(([keys, lane]) =>
        unknownName(["sources", name, "task", "lane", ...keys], "lane", lane, lanesOf(said)),
      ),
      ...ofReconcile(name, comment, reconcile),
      ...(task?.repo === undefined
        ? []
        : unknownName(["sources", name, "task", "repo"], "repository", task.repo, Object.keys(said("repos")))),
    ];
  });
}

const saysTask = (source: unknown): boolean => typeof source === "object" && source !== null && "task" in source;

/** A search asks as the comment does, or as somebody of its own, in whole. */
function ofReconcile(
  name: string,
  comment: CommentEntry | undefined,
  reconcile: ReconcileEntry | undefined,
): Problem[] {
  if (!reconcile || (reconcile.site && reconcile.token)) return [];
  const lacks = (key: string, why: string) => [at(["sources", name, "reconcile", key], `is missing, needed ${why}`)];
  if (reconcile.site) return lacks("token", "beside site");
  if (reconcile.token) return lacks("site", "beside token");
  return comment ? [] : lacks("site", "where there is no comment to ask as");
}

function ofChats({ chats: entries }: Parsed, said: Said): Problem[] {
  const sources = Object.keys(said("sources"));
  return Object.entries(entries).flatMap(([name, entry]) => {
    const chat = chats.find(({ kind }) => kind === entry.kind);
    const can = chat?.can(entry);
    const refusal = chat?.refuse?.(entry);
    const unable = (entry.policy === "update" && !can?.edit) || (entry.policy === "thread" && !can?.thread);
    const ability = entry.policy === "update" ? "edit a post" : "answer in a thread";
    return [
      ...(entry.lanes ?? []).flatMap((lane, i) =>
        unknownName(["chats", name, "lanes", i], "lane", lane, lanesOf(said)),
      ),
      // What `meshmac notify` hands in has this source, which nobody configures.
      ...(entry.sources ?? []).flatMap((source, i) =>
        source === "notify" ? [] : unknownName(["chats", name, "sources", i], "source", source, sources),
      ),
      ...(refusal ? [at(["chats", name], refusal)] : []),
      ...(unable ? [at(["chats", name, "policy"], `${entry.kind} cannot ${ability}; choose another policy`)] : []),
    ];
  });
}

function ofPagers({ pagers }: Parsed, said: Said): Problem[] {
  return Object.entries(pagers).flatMap(([name, { chat }]) =>
    chat === undefined ? [] : unknownName(["pagers", name, "chat"], "chat", chat, Object.keys(said("chats"))),
  );
}

/** Who is named in the calendar of rotations must be a secret of ours; nodes' tokens are named nowhere else. */
function ofRotation(config: Parsed): Problem[] {
  const known = [...secretsOf(config).map(({ secret }) => secret.name), ...(config.gateway.tls ? ["tls"] : [])];
  return Object.keys(config.rotation.secrets).flatMap((name) =>
    /^nodes\/[\w.-]+\.token$/.test(name) ? [] : unknownName(["rotation", "secrets", name], "secret", name, known),
  );
}

/** Plain http outwards, to anything but this machine, carries secrets in the clear; an entry has to say that it may. */
function ofPlainHttp({ chats: entries, pagers, sources }: Parsed): Problem[] {
  const comments = Object.entries(sources).map(
    ([name, { comment }]) => [["sources", name, "comment"], comment] as const,
  );
  const searches = Object.entries(sources).map(
    ([name, { reconcile }]) => [["sources", name, "reconcile"], reconcile] as const,
  );
  const outbound = [
    ...Object.entries(entries).map(([name, entry]) => [["chats", name], entry] as const),
    ...Object.entries(pagers).map(([name, entry]) => [["pagers", name], entry] as const),
    ...comments,
    ...searches,
  ];
  return outbound.flatMap(([path, entry]) =>
    Object.entries(entry?.allow_http ? {} : (entry ?? {}))
      .filter(([key, value]) => (key === "base_url" || key === "site") && isPlainHttp(value))
      .map(([key]) => at([...path, key], "expected https://, or allow_http: true beside it")),
  );
}

function ofArchive({ logs: { archive } }: Parsed): Problem[] {
  const s3 = archive?.s3;
  if (!s3 || s3.allow_http || !isPlainHttp(s3.endpoint)) return [];
  return [at(["logs", "archive", "s3", "endpoint"], "expected https://, or allow_http: true beside it")];
}

/** A node has a store or a gateway that has one. */
function ofNode({ node: { connect, allow_http } }: Parsed, said: Said): Problem[] {
  const { connect: connects, token } = said("node");
  const problems: Problem[] = [];
  if (connects !== undefined && token === undefined)
    problems.push({ path: "node.token", says: "is missing, the token that meshmac nodes add made for this node" });
  if (token !== undefined && connects === undefined)
    problems.push({ path: "node.connect", says: "is missing, the address that node.token is for" });
  if (connects !== undefined && said().store !== undefined)
    problems.push({ path: "node.connect", says: "stands in place of store; name one of them" });
  if (connect !== undefined && !allow_http && isPlainHttp(connect))
    problems.push({ path: "node.connect", says: "expected https://, or allow_http: true beside it" });
  return problems;
}

function isPlainHttp(value: unknown): boolean {
  if (typeof value !== "string" || !URL.canParse(value)) return false;
  const { protocol, hostname } = new URL(value);
  return protocol === "http:" && !isLoopback(hostname);
}

function unknownName(path: PropertyKey[], what: string, name: string, known: string[]): Problem[] {
  if (known.includes(name)) return [];
  const meant = nearest(name, known);
  const others = known.length > 0 ? `there is ${known.join(", ")}` : "none is configured";
  const hint = meant === undefined ? others : `did you mean ${JSON.stringify(meant)}?`;
  return [at(path, `no ${what} ${JSON.stringify(name)} (${hint})`)];
}

const lanesOf = (said: Said): string[] => [...new Set([...Object.keys(said("lanes")), "default"])];
const isEmpty = (value: unknown): boolean => Array.isArray(value) && value.length === 0;
const at = (path: PropertyKey[], says: string): Problem => ({ path: place(path), says });
