import type { JsonObject } from "./json.ts";
import type { Report } from "./records.ts";

/** What a source saw of an issue that moved, in the words that `build_when` uses. Absent facts are "" or empty. */
export interface Move {
  /** Id that the sender keeps across its own retries, or null. */
  deliveryId: string | null;
  event: string;
  /** `issue` for a change of the issue itself; comments, work items and attachments match only an entry that names their event. */
  about: "issue" | "other";
  /** Names of the fields that this change touched (`status`, `labels`, `component`, …), lower case; null where the body does not say. */
  touched: string[] | null;
  issueKey: string;
  issueId: string;
  issueUrl: string | null;
  project: string[];
  status: string[];
  labels: string[];
  components: string[];
  issueType: string[];
  /** Field name (as shown) → its new values (as shown), for every field that the body says has changed. */
  changed: Record<string, string[]>;
  /** The transition's own id where the body has one (`changelog.id`, Custom data). */
  transitionId: string | null;
  summary: string;
  requestedBy: string;
  /** The issue object; dotted paths of the configuration are looked up here first, then in `body`. */
  issue: JsonObject;
  body: JsonObject;
}

/** What a verified delivery says: an issue moved, somebody else's build is over, or nothing for us and why. */
export type Seen = { move: Move } | { report: Omit<Report, "source"> } | { ignored: string };

/** A body that a source cannot read; the door answers 400 with the hint. */
export class Malformed extends Error {
  readonly hint: string;

  constructor(message: string, hint: string) {
    super(message);
    this.name = "Malformed";
    this.hint = hint;
  }
}

const issueName = /^[A-Za-z0-9][\w.-]{0,63}$/;

/** Says whether a text can be the key or id of an issue: nothing else may reach a URL, a queue or a script by that name. */
export const isIssueName = (name: string): boolean => issueName.test(name);
