import { readdir, readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { readRecorded } from "../../fixtures/recorded.ts";
import { isConfigured, type Loaded } from "../../src/config.ts";
import { MeshError } from "../../src/core/error.ts";
import type { Way } from "../../src/http.ts";
import { checkKeyFile } from "../../src/secrets.ts";
import { isLoopback } from "../../src/core/units.ts";
import type { Case } from "../../src/probe/case.ts";
import { recordedCases } from "../../src/probe/recorded.ts";
import { kindFrom, kinds, type Target, targetOfKind, targetsOf } from "../../src/probe/target.ts";
import { configured } from "../runs/open.ts";

/** The flags of `meshmac probe` as they were typed. */
export interface Asked {
  url?: string | undefined;
  suite: "smoke" | "security" | "all";
  source?: string | undefined;
  fixtures?: string | undefined;
  self?: boolean | undefined;
  header?: string | undefined;
  "token-file"?: string | undefined;
  "ca-file"?: string | undefined;
  "client-cert"?: string | undefined;
  "client-key"?: string | undefined;
  proxy?: string | undefined;
  outbound?: boolean | undefined;
  send?: boolean | undefined;
  junit?: string | undefined;
  config?: string | undefined;
  json?: boolean | undefined;
}

const wrong = (message: string, hint = "meshmac probe --help shows what it takes"): MeshError =>
  new MeshError("usage", message, { hint });

/** Throws `usage` where flags of different ways to probe were mixed. */
export function checkFlags(asked: Asked): void {
  if (asked.send && !asked.outbound) throw wrong("--send goes with --outbound");
  const mixed = (mode: "self" | "outbound", others: (keyof Asked)[]) => {
    const other = asked[mode] ? others.find((flag) => asked[flag] !== undefined && asked[flag] !== false) : undefined;
    if (other) throw wrong(`--${mode} takes no --${other}`);
  };
  const way = ["ca-file", "client-cert", "client-key", "proxy"] as const;
  mixed("self", ["url", "fixtures", "header", "token-file", "outbound", "config", ...way]);
  mixed("outbound", ["url", "fixtures", "header", "token-file", "source", "junit", ...way]);
  if ((asked["client-cert"] === undefined) !== (asked["client-key"] === undefined))
    throw wrong("--client-cert goes with --client-key");
  if (asked.header !== undefined && asked["token-file"] === undefined) throw wrong("--header goes with --token-file");
  if (asked["token-file"] !== undefined) {
    if (asked.config !== undefined) throw wrong("--config takes no --token-file", "the configuration names the token");
    if (asked.url === undefined)
      throw wrong("--token-file goes with --url", "such as --url https://gateway.example/jira/openclaw");
    if (asked.header !== undefined && !/^[A-Za-z0-9-]{1,64}$/.test(asked.header))
      throw wrong("--header is the name of a header alone", "such as --header X-Meshmac-Jira-Token");
  }
}

/** Finds the doors to probe: those of the configuration, or the one that the flags describe. */
export async function targetsFor(asked: Asked): Promise<Target[]> {
  const { url, source, header } = asked;
  const file = asked["token-file"];
  if (url !== undefined) checkUrl(url);
  if (file !== undefined) {
    const kind = source ?? kindFrom({ url: url ?? "", header });
    if (kind === null)
      throw wrong("nothing says what kind of source this door has", `add --source: ${kinds.join(", ")}`);
    const secret = (await readText(file)).replace(/\r?\n$/, "");
    if (secret === "")
      throw new MeshError("data", `${JSON.stringify(file)} is empty`, { hint: "put the token into it" });
    return targetOfKind(kind, { url: url ?? "", header, secret });
  }
  if (url !== undefined && asked.config === undefined && !isConfigured())
    throw wrong(
      "no configuration here",
      "without one: --token-file FILE, --source KIND, and --header where it is another",
    );
  const loaded = await configured(asked.config);
  const targets = targetsOf(loaded.config, loaded.vault, url ?? originIn(loaded), source);
  if (targets.length > 0) return targets;
  throw new MeshError("config", "no source is configured, so there is no door to probe", {
    hint: "add one under sources",
  });
}

/** By which way the gateway is reached. Throws `data`, `permission` or `config` where a file of it cannot be used, `usage` for a proxy that is none. */
export async function wayOf(asked: Asked): Promise<Way> {
  const { "ca-file": ca_file, "client-cert": client_cert, "client-key": client_key, proxy } = asked;
  for (const file of [ca_file, client_cert]) if (file !== undefined) await readText(file);
  if (client_key !== undefined) checkKeyFile(client_key);
  if (proxy !== undefined && !/^https?:$/.test(URL.parse(proxy)?.protocol ?? ""))
    throw wrong("--proxy expects the URL of a proxy", "such as --proxy http://proxy.example:3128");
  return {
    ...(ca_file !== undefined && { ca_file }),
    ...(client_cert !== undefined && { client_cert }),
    ...(client_key !== undefined && { client_key }),
    ...(proxy !== undefined && { proxy }),
    allow_http: false,
  };
}

function checkUrl(url: string): void {
  if (!/^[a-z]+:\/\//i.test(url)) throw wrong("--url begins with https://", `such as --url https://gateway.example`);
  const parsed = URL.parse(url);
  if (parsed?.protocol === "http:" && !isLoopback(parsed.hostname))
    throw wrong(
      "--url is plain http, and the token would travel with it",
      "use https, or probe on the gateway's machine",
    );
  if (parsed && /^https?:$/.test(parsed.protocol) && parsed.username === "" && parsed.password === "") return;
  throw wrong("--url expects an http(s) URL without a password in it", "such as --url https://gateway.example");
}

function originIn({ config: { gateway } }: Loaded): string {
  if (gateway.public_url !== undefined) return gateway.public_url;
  const { host, port } = gateway.listen;
  if (port === 0) throw wrong("the gateway listens on any port", "say where: --url http://127.0.0.1:8787");
  const name = host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host.includes(":") ? `[${host}]` : host;
  return `${gateway.tls ? "https" : "http"}://${name}:${port}`;
}

/** Reads the recorded exchanges of a folder: its files for the one door there is, else those in a folder per kind. Throws `data` where one is none. */
export async function exchangesIn(dir: string, targets: readonly Target[]): Promise<Case[]> {
  const names = await readdir(dir, { recursive: true }).catch((cause: unknown) => {
    throw new MeshError("data", `cannot read the folder ${JSON.stringify(dir)}`, { hint: "see --fixtures", cause });
  });
  const files = names.filter((name) => name.endsWith(".json")).toSorted();
  const cases: Case[] = [];
  for (const file of files) {
    const kind = basename(dirname(join(dir, file)));
    const takers =
      dirname(file) === "." && targets.length === 1 ? targets : targets.filter((one) => one.source.kind === kind);
    if (takers.length === 0) continue;
    const exchange = readRecorded(parsed(await readText(join(dir, file)), file));
    if ("wrong" in exchange) throw notAnExchange(file, exchange.wrong);
    const replay = { ...exchange, name: file.replace(/\.json$/, "") };
    cases.push(...takers.flatMap((target) => recordedCases(target, [replay], "canaries")));
  }
  if (cases.length > 0) return cases;
  throw new MeshError("data", `no exchange for these doors in ${JSON.stringify(dir)}`, {
    hint: "put *.json in a folder per kind (jira/, youtrack/ …), or say --source with a folder of one kind",
  });
}

function parsed(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw notAnExchange(file, "not valid JSON");
  }
}

const notAnExchange = (file: string, why: string): MeshError =>
  new MeshError("data", `${file} is no recorded exchange: ${why}`, { hint: "docs/probe.md shows one" });

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    throw new MeshError("data", `cannot read ${JSON.stringify(file)}`, {
      hint: "check the path and its rights",
      cause,
    });
  }
}
