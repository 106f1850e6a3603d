import { type Config, configFrom } from "../config.ts";
import type { SourceEntry } from "../config/schema.ts";
import type { DoorRules } from "../core/decide.ts";
import { MeshError } from "../core/error.ts";
import { nearest } from "../core/nearest.ts";
import { provenHeaders, type Verify } from "../core/verify.ts";
import { canaryHeader } from "../core/canary.ts";
import { unhungDoors } from "../gateway/door.ts";
import type { Vault } from "../secrets.ts";
import { sources } from "../sources/registry.ts";
import type { Source } from "../sources/source.ts";
import type { Knock } from "./case.ts";

/** A door that is to be probed: where it is, how it is opened, and what is known of how it decides. */
export interface Target {
  name: string;
  url: string;
  source: Source;
  entry: SourceEntry;
  verify: Verify;
  /** The header that carries the token, else the signature. */
  header: string;
  secret: string;
  /** Null where no configuration says it: then nobody knows what the door builds. */
  rules: DoorRules | null;
  maxBody: number;
}

const usualHeaders: Record<string, string> = {
  "x-meshmac-jira-token": "jira",
  "x-youtrack-token": "youtrack",
};
const usualPaths: Record<string, string> = { jira: "/jira/openclaw", youtrack: "/youtrack/webhook" };

/** Names the doors that a configuration has, at a gateway whose origin is `origin`. Throws `usage` where `only` is none of them, and what reading a token throws. */
export function targetsOf(config: Config, vault: Pick<Vault, "read">, origin: string, only?: string): Target[] {
  const doors = unhungDoors(config);
  if (only !== undefined && !doors.some(({ name }) => name === only)) {
    const names = doors.map(({ name }) => name);
    const meant = nearest(only, names);
    throw new MeshError("usage", `unknown source ${JSON.stringify(only)}`, {
      hint: meant === undefined ? `configured: ${names.join(", ") || "none"}` : `did you mean ${meant}?`,
    });
  }
  return doors
    .filter(({ name }) => only === undefined || name === only)
    .map(({ name, path, source, entry, verify, header, token, rules }) => ({
      name,
      url: new URL(path, origin).href,
      source,
      entry,
      verify,
      header,
      secret: vault.read(token),
      rules,
      maxBody: config.gateway.max_body,
    }));
}

/** The kinds of sources there are. */
export const kinds = sources.map(({ kind }) => kind);

/** Guesses the kind of a door that no configuration names: by the header of its token, else by its path; null where neither says it. */
export function kindFrom({ url, header }: { url: string; header?: string | undefined }): string | null {
  const byHeader = header && Object.entries(usualHeaders).find(([name]) => name === header.toLowerCase())?.[1];
  const parts = URL.parse(url)?.pathname.toLowerCase().split("/") ?? [];
  return byHeader || (kinds.find((kind) => parts.includes(kind)) ?? null);
}

/** Names the one door of which only its kind, header and token are known; `url` may be the door's own, or the gateway's origin. */
export function targetOfKind(
  kind: string,
  { url, header, secret }: { url: string; header?: string | undefined; secret: string },
): Target[] {
  const source = sources.find((one) => one.kind === kind);
  if (source === undefined) {
    const hint = `without a configuration --source is a kind: ${kinds.join(", ")}`;
    throw new MeshError("usage", `unknown kind of source ${JSON.stringify(kind)}`, { hint });
  }
  const { pathname } = new URL(url);
  const path = pathname === "/" ? (usualPaths[kind] ?? `/${kind}`) : pathname;
  const own = { kind, path, token: "probe/inbound.token", ...(header !== undefined && { header }) };
  const task = { script: "probe" };
  const { config } = configFrom(
    { sources: { [kind]: { ...own, build_when: [{ status: "Building" }], task } } },
    { base: ".", env: {} },
  );
  return targetsOf(config, { read: () => secret }, url).map((target) => ({ ...target, rules: null }));
}

export interface Words {
  headers: Record<string, string>;
  body: string;
}

/** Makes a canary of a delivery: with this secret's proof, or with none. */
export function canary({ verify, url }: Target, { headers, body }: Words, secret: string | null): Knock {
  const proof = secret === null ? {} : provenHeaders(verify, secret, { body, id: newId(), now: Date.now() });
  return { method: "POST", url, headers: { ...headers, ...proof, [canaryHeader]: "1" }, body };
}

/** Another secret of the same shape, which opens nothing. */
export const wrongSecret = (secret: string): string => [...secret].toReversed().join("") + "0";

const newId = (): string => `probe-${crypto.randomUUID()}`;
