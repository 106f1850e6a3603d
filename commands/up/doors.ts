import type { Config } from "../../src/config.ts";
import type { JsonObject } from "../../src/core/json.ts";
import type { Gateway } from "../../src/gateway/gateway.ts";
import type { Vault } from "../../src/secrets.ts";
import { provenHeaders } from "../../src/core/verify.ts";
import { sources } from "../../src/sources/registry.ts";

/** A request that asks one door for a build, token included. */
export interface Knock {
  source: string;
  url: string;
  headers: Record<string, string>;
  body: string;
}

/** Makes, for every door, a delivery that satisfies its own `build_when`; `number` ends the key of the issue it is about. */
export function knocksFor(config: Config, vault: Vault, { doors }: Pick<Gateway, "doors">, number?: number): Knock[] {
  return doors.flatMap(({ source, url }) => {
    const entry = config.sources[source];
    const adapter = sources.find(({ kind }) => kind === entry?.kind);
    if (!entry || !adapter) return [];
    const { headers, body } = adapter.sample(entry, number);
    const text = JSON.stringify(body as JsonObject);
    const proof = provenHeaders(adapter.verify(entry), vault.read(entry.token.name), {
      body: text,
      id: `sample-${crypto.randomUUID()}`,
      now: Date.now(),
    });
    return [{ source, url, headers: { "Content-Type": "application/json", ...headers, ...proof }, body: text }];
  });
}

/** The number of an issue that no earlier start within a dedupe window has used. */
export const freshNumber = (now: number): number => 1000 + (Math.floor(now / 1000) % 9000);

/** Writes a knock as a line for a POSIX shell. */
export function curlLine({ url, headers, body }: Knock): string {
  const parts = Object.entries(headers).map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`);
  return ["curl -sS", ...parts, `-d ${quoted(body)}`, quoted(url)].join(" ");
}

/** Quotes a text for a POSIX shell. */
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
