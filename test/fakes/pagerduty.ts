import { isObject, type Json, type JsonObject } from "../../src/core/json.ts";
import { type Answered, type Injection, openRemote, type Received, type Remote } from "./remote.ts";
import { carelessness, isWebLink, json, onlyKeys, strictObject } from "./strict.ts";

export interface Incident {
  dedup_key: string;
  status: "triggered" | "resolved";
  /** How many triggers came while it was open. */
  triggers: number;
  payload: JsonObject;
}

export interface Pagerduty extends Disposable {
  base_url: string;
  /** Every incident that was ever opened, oldest first. */
  incidents: Incident[];
  /** The events taken, oldest first. */
  events: JsonObject[];
  /** Resolves that were taken and dropped: of nothing open under that routing key. */
  dropped: string[];
  requests: Received[];
  /** What a strict service held against us; a good client leaves it empty. */
  faults: string[];
  arrived: Remote["arrived"];
  close(): void;
}

export interface PagerdutyOptions {
  /** What happens to the first requests, one each; then the service is itself. */
  script?: Injection[];
  /** What happens to all later ones. */
  after?: Injection;
}

const eventKeys = ["routing_key", "event_action", "dedup_key", "payload", "links", "images", "client", "client_url"];
const payloadKeys = ["summary", "source", "severity", "timestamp", "component", "group", "class", "custom_details"];
const largest = 524_288;

/** PagerDuty's Events API v2: incidents by routing key and dedup key, as strict as the real one and stricter where that is lenient in silence. */
export function openPagerduty({ script = [], after = "normal" }: PagerdutyOptions = {}): Pagerduty {
  const open = new Map<string, Incident>();
  const incidents: Incident[] = [];
  const events: JsonObject[] = [];
  const dropped: string[] = [];
  const faults: string[] = [];

  const service = (request: Received): Answered => {
    if (request.method !== "POST" || request.path !== "/v2/enqueue") return json(404, { message: "Not Found" });
    try {
      const careless = carelessness(request, "chat");
      if (careless) throw new Error(careless);
      if (request.bytes.length > largest) return json(413, { message: "too large" });
      return take(checked(strictObject(request.text)));
    } catch (error) {
      const why = error instanceof Error ? error.message : "bad event";
      faults.push(why);
      return json(400, { status: "invalid event", message: "Event object is invalid", errors: [why] });
    }
  };

  const take = (event: JsonObject): Answered => {
    events.push(event);
    const dedup_key = String(event.dedup_key);
    const name = JSON.stringify([event.routing_key, dedup_key]);
    const incident = open.get(name);
    if (event.event_action === "trigger") {
      if (incident) incident.triggers++;
      else {
        const opened: Incident = { dedup_key, status: "triggered", triggers: 1, payload: event.payload as JsonObject };
        open.set(name, opened);
        incidents.push(opened);
      }
    } else if (!incident) dropped.push(dedup_key);
    else if (event.event_action === "resolve") {
      incident.status = "resolved";
      open.delete(name);
    }
    return json(202, { status: "success", message: "Event processed", dedup_key });
  };

  const { url, requests, arrived, close } = openRemote({ service, script, after });
  return { base_url: url, incidents, events, dropped, requests, faults, arrived, close, [Symbol.dispose]: close };
}

function checked(event: JsonObject): JsonObject {
  onlyKeys(event, eventKeys, "the event");
  const { routing_key, event_action, dedup_key, payload, links } = event;
  if (typeof routing_key !== "string" || !/^[0-9a-zA-Z]{32}$/.test(routing_key)) throw new Error("'routing_key'");
  if (!["trigger", "acknowledge", "resolve"].includes(String(event_action))) throw new Error("'event_action'");
  if (!isText(dedup_key, 255)) throw new Error("'dedup_key'");
  if (links !== undefined && !(Array.isArray(links) && links.every(isLink))) throw new Error("'links'");
  if (event_action !== "trigger") return event;
  if (!isObject(payload)) throw new Error("'payload' is missing or blank");
  onlyKeys(payload, payloadKeys, "the payload");
  if (!isText(payload.summary, 1024)) throw new Error("'payload.summary'");
  if (!isText(payload.source, 1024)) throw new Error("'payload.source'");
  if (!["critical", "error", "warning", "info"].includes(String(payload.severity)))
    throw new Error("'payload.severity' is invalid (must be one of the following: critical, warning, error or info)");
  const { timestamp, custom_details } = payload;
  if (timestamp !== undefined && !/^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(String(timestamp))) throw new Error("'timestamp'");
  if (custom_details !== undefined && !isObject(custom_details)) throw new Error("'custom_details'");
  return event;
}

const isText = (value: Json | undefined, longest: number): boolean =>
  typeof value === "string" && value !== "" && value.length <= longest;

const isLink = (value: Json): boolean => isObject(value) && isWebLink(value.href) && isText(value.text, 255);
