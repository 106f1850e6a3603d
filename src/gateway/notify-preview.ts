import type { Config } from "../config.ts";
import { isObject, type Json, type JsonObject, text } from "../core/json.ts";
import type { Post } from "../core/post.ts";
import { secretMask } from "../core/redact.ts";
import { type Report, subjectOf } from "../core/records.ts";
import type { Secret } from "../core/secret.ts";
import type { Vault } from "../secrets.ts";
import type { StoreEvent } from "../stores/store.ts";
import { version } from "../version.ts";
import { postsOf } from "./announce.ts";
import { destinationsFrom } from "./destinations.ts";

/** A request as it would leave, with the name of a secret wherever one goes. */
export interface Shown {
  method: string;
  url: string;
  headers: Record<string, string>;
  body: Json;
}

export interface Preview {
  chat: string;
  kind: string;
  request: Shown;
}

/** Describes the first request that each chat would get for a report at `now` (epoch milliseconds); needs no secret's file. */
export function previewsOf(
  { config, vault, report }: { config: Config; vault: Vault; report: Report },
  now: number,
): Preview[] {
  const mask = secretMask(vault.values());
  const destinations = destinationsFrom(config, { mask });
  const event = eventOf(report, now);
  const posts = postsOf(event, { destinations, mask, adminUrl: config.gateway.admin.url ?? null });
  return posts.flatMap(({ key, destination: name, announcement }) => {
    const destination = destinations.get(name);
    if (!destination) return [];
    const { subject, seq, state } = event;
    const claimed = { key, destination: name, announcement, subject, seq, state, claim: "", created_at: now };
    const first = { tries: 1, unsure: false, handle: null, why: null };
    const request = shownPost(destination.post({ ...claimed, ...first }, { plain: false }));
    return [{ chat: name.replace(/^chat:/, ""), kind: destination.kind, request }];
  });
}

/** Writes a described request out, secrets by name. */
export function shownPost({ method, url, headers, basic, bearer, sign, body, bodySecrets }: Post): Shown {
  const shown: Record<string, string> = { "user-agent": `meshmac/${version}`, accept: "application/json, text/plain" };
  if (body !== undefined) shown["content-type"] = "application/json";
  for (const [name, value] of Object.entries(headers ?? {})) shown[name.toLowerCase()] = String(value);
  if (bearer) shown.authorization = `Bearer ${bearer}`;
  if (basic) shown.authorization = `Basic <${basic.user}:${basic.password}, in Base64>`;
  if (sign) {
    shown["webhook-id"] = sign.id;
    shown["webhook-timestamp"] = "<the time of the try>";
    shown["webhook-signature"] = `<signed with ${sign.key.name}>`;
  }
  return {
    method,
    url: [url].flat().map(String).join(""),
    headers: shown,
    body: bodySecrets && isObject(body) ? { ...body, ...named(bodySecrets) } : (body ?? null),
  };
}

/** What a post to the terminal prints, or null for one that goes over the network. */
export const printedBy = ({ url, body }: Shown): string | null =>
  url.startsWith("console:") && isObject(body) ? text(body.text) : null;

const named = (secrets: Record<string, Secret>): JsonObject =>
  Object.fromEntries(Object.entries(secrets).map(([name, secret]) => [name, String(secret)]));

const eventOf = (report: Report, at: number): StoreEvent => ({
  id: "",
  subject: subjectOf(report),
  seq: 1,
  state: report.state,
  at,
  task: null,
  report,
  node: report.mesh_node_id,
  attempt: 0,
  lost: 0,
  reason: null,
  started_at: null,
  result: null,
});
