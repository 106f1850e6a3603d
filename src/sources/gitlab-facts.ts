import type { CommandOptions } from "../core/command.ts";
import { isObject, type JsonObject, text } from "../core/json.ts";
import { Malformed } from "../core/move.ts";
import type { ReportWhen } from "../core/report-when.ts";

/** What reading needs of the configuration. */
export interface GitlabReading {
  report_when?: ReportWhen[] | undefined;
  commands?: CommandOptions | undefined;
}

export interface Project {
  name: string;
  /** `group/name`. */
  path: string;
  url: string;
}

/** The project by all that a body says of it; a job of an older release names it in `repository` alone. */
export function projectOf({ project, repository, project_name }: JsonObject): Project {
  const about = isObject(project) ? project : {};
  const path = text(about.path_with_namespace) || text(project_name).replaceAll(" ", "");
  const name = path.slice(path.lastIndexOf("/") + 1) || text(about.name);
  if (name === "") throw lacks("project.path_with_namespace");
  const url = text(about.web_url) || (isObject(repository) ? text(repository.homepage) : "");
  return { name, path, url };
}

/** Says what a body lacks. */
export const lacks = (what: string) =>
  new Malformed(`no ${what} in the body`, "expected what GitLab sends; is this door's kind the right one?");
