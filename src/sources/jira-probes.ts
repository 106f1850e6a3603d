import { at, objectIn } from "../core/json.ts";
import type { Reply } from "../core/post.ts";
import { apiOf, asWhom, type Options } from "./jira-rest.ts";
import type { TrackerProbe } from "./source.ts";

/** Asks Jira whose token it is, and whether that account may administer: https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-myself/ */
export function jiraProbes(entry: Options): TrackerProbe[] {
  const isCloud = apiOf(entry) === "cloud";
  const rest = `${entry.base_url ?? entry.site}/rest/api/${isCloud ? 3 : 2}`;
  const ask = (path: string) => ({ method: "GET", url: `${rest}/${path}`, ...asWhom(entry) }) as const;
  return [
    ...(isCloud ? baseProbe(entry) : []),
    {
      finding: isCloud ? "jira-site-email-mismatch" : "tracker-credentials-refused",
      ask: ask("myself"),
      fault: isCloud ? cloudFault : dataCenterFault,
      fix: isCloud
        ? "make comment.site, comment.email and the token belong together; a token with scopes needs comment.base_url https://api.atlassian.com/ex/jira/<cloud id>"
        : "make a personal access token on this very site, and write it into the file that comment.token names",
    },
    {
      finding: "jira-token-too-strong",
      ask: ask("mypermissions?permissions=ADMINISTER"),
      fault: ({ status, text }) =>
        status === 200 && at(objectIn(text), "permissions.ADMINISTER.havePermission") === true
          ? "the token's account administers Jira"
          : null,
      fix: "use the token of an account that may only browse and comment in the projects that build",
    },
  ];
}

/** Asks the site for its cloud id, which everybody may, and compares it with the one in `base_url`. */
function baseProbe({ site, base_url }: Options): TrackerProbe[] {
  const [, id = null] = /\/ex\/jira\/([^/]+)$/.exec(base_url ?? "") ?? [];
  if (base_url === undefined || id === null) return [];
  return [
    {
      finding: "jira-base-differs",
      ask: { method: "GET", url: `${site}/_edge/tenant_info`, headers: { Accept: "application/json" } },
      fault({ status, text }) {
        const own = status === 200 ? at(objectIn(text), "cloudId") : null;
        return typeof own === "string" && own !== id
          ? `base_url names another cloud id than the site has: ${own}`
          : null;
      },
      fix: "write https://api.atlassian.com/ex/jira/ and the cloud id that the site has into comment.base_url",
    },
  ];
}

function cloudFault({ status, text }: Reply): string | null {
  // The credentials are right, only this question is outside what the token may ask.
  if (/scope/i.test(text) && (status === 401 || status === 403)) return null;
  if (status === 401)
    return "Jira refused the credentials (401): site, e-mail address and token do not belong together, or the token expired or was revoked";
  if (status === 404) return "there is no Jira at this address (404)";
  return isPage(status, text) ? "a web page answered in place of Jira's API" : null;
}

function dataCenterFault({ status, text }: Reply): string | null {
  if (status === 401) return "Jira refused the token (401): it expired, was revoked, or belongs to another site";
  if (status === 404) return "there is no Jira at this address (404): does site lack its context path?";
  return isPage(status, text) ? "a web page answered in place of Jira's API" : null;
}

const isPage = (status: number, text: string): boolean => status === 200 && text.trimStart().startsWith("<");
