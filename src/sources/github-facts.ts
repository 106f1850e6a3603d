import type { CommandOptions } from "../core/command.ts";
import { isObject, type Json, type JsonObject, text } from "../core/json.ts";
import { Malformed } from "../core/move.ts";
import type { ReportWhen } from "../core/report-when.ts";

/** What reading needs of the configuration. */
export interface GithubReading {
  site?: string;
  report_when?: ReportWhen[] | undefined;
  commands?: CommandOptions | undefined;
}

export interface Repository {
  name: string;
  /** `owner/name`. */
  path: string;
}

const repositoryName = /^[A-Za-z0-9][\w-]{0,99}\/[\w.-]{1,100}$/;

/** The repository that a body is about. Throws Malformed where it names none. */
export function repositoryOf({ repository }: JsonObject): Repository {
  const path = isObject(repository) ? text(repository.full_name) : "";
  if (!repositoryName.test(path)) throw lacks("repository.full_name");
  return { path, name: path.slice(path.indexOf("/") + 1) };
}

/** The login of a user object, or "". */
export const loginOf = (user: Json | undefined): string => (isObject(user) ? text(user.login) : "");

/** Says what a body lacks. */
export const lacks = (what: string) =>
  new Malformed(`no ${what} in the body`, "expected what GitHub sends; is this door's kind the right one?");
