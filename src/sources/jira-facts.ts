import type { IssuePaths } from "../core/issue-paths.ts";
import { at, isObject, type Json, type JsonObject, text } from "../core/json.ts";

export type Fact = keyof IssuePaths;

// What public guides for "Send web request" call things; looked for in the body, its `issue` and its `client_payload`.
const aliases: Record<Fact, readonly string[]> = {
  issue_key: ["issue_key", "issueKey", "ticket_key", "key", "issue"],
  issue_id: ["issue_id", "issueId", "id"],
  event: ["event", "event_type", "eventType", "action", "webhookEvent"],
  project: ["project", "project_key", "projectKey"],
  status: ["status", "toStatus", "to_status", "new_status", "newStatus"],
  labels: ["labels"],
  components: ["components", "component"],
  issue_type: ["issue_type", "issueType", "issuetype"],
  summary: ["summary", "title"],
  requested_by: ["requested_by", "requestedBy", "actor", "initiator", "user"],
  delivery_id: ["deliveryId", "delivery_id"],
  transition_id: ["transitionId", "transition_id", "transition", "changelogId", "changelog_id"],
};

const inFields: Partial<Record<Fact, string>> = {
  project: "project",
  status: "status",
  labels: "labels",
  components: "components",
  issue_type: "issuetype",
  summary: "summary",
};

const absent = (value: Json | undefined): boolean => value === undefined || value === null || value === "";

/** Reads facts of one body by whatever name they have there. */
export class JiraFacts {
  /** The issue object, or an empty one where the body only names the issue. */
  readonly issue: JsonObject;
  readonly #body: JsonObject;
  readonly #paths: IssuePaths;
  readonly #fields: JsonObject | undefined;
  readonly #bodyFirst: JsonObject[];
  /** Where the issue's own names are looked for: the `id` of a Custom data body may be anything. */
  readonly #issueFirst: JsonObject[];

  constructor(body: JsonObject, paths: IssuePaths = {}) {
    this.#body = body;
    this.#paths = paths;
    const { issue, client_payload: payload } = body;
    // "Issue data (Automation format)" has the issue at the top level; every other body has it under `issue`.
    this.issue = isObject(issue) ? issue : isObject(body.fields) ? body : {};
    this.#fields = isObject(this.issue.fields) ? this.issue.fields : undefined;
    this.#bodyFirst = [body, issue, payload].filter(isObject);
    this.#issueFirst = [issue, body, payload].filter(isObject);
  }

  /** The value at the configured path, else in the issue's fields, else under a usual name; undefined where none has one. */
  value(fact: Fact): Json | undefined {
    const configured = this.#paths[fact];
    if (configured !== undefined) {
      const value = at(this.#body, configured);
      if (!absent(value)) return value;
    }
    const field = inFields[fact];
    if (field !== undefined && this.#fields && !absent(this.#fields[field])) return this.#fields[field];
    const roots = fact === "issue_key" || fact === "issue_id" ? this.#issueFirst : this.#bodyFirst;
    for (const root of roots) {
      for (const name of aliases[fact]) {
        if (Object.hasOwn(root, name) && !absent(root[name])) return root[name];
      }
    }
    return undefined;
  }

  /** The text of a fact, or "" where it is absent or no scalar. */
  text(fact: Fact): string {
    return text(this.value(fact)).trim();
  }
}
