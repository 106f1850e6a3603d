import type { Config } from "../config.ts";
import type { SourceEntry } from "../config/schema.ts";
import type { Reply } from "../core/post.ts";
import { canaryHeader } from "../core/canary.ts";
import { provenHeaders, type Verify } from "../core/verify.ts";
import { type Sent, sendPost } from "../http.ts";
import { sources } from "../sources/registry.ts";
import { defineCheck, type Finding, type Scene } from "./check.ts";
import { type ReachId, reachOf, unreachable } from "./reach.ts";

type Id = ReachId | "edge-refuses" | "header-stripped" | "header-name-differs" | "door-differs";

/** Knocks at every door through `public_url`, as its sender would, with a delivery that asks for nothing. */
export const door = defineCheck<Id>({
  name: "door",
  on: "gateway",
  faults: {
    "public-url-not-resolving": { severity: "error", breaks: "no delivery reaches the gateway" },
    "public-url-private": { severity: "warning", breaks: "no sender on the internet reaches the gateway" },
    "public-url-unreachable": { severity: "error", breaks: "no delivery reaches the gateway" },
    "tls-chain": { severity: "error", breaks: "senders refuse to deliver, now or when the certificate has expired" },
    "edge-refuses": { severity: "error", breaks: "deliveries are refused before the gateway sees them" },
    "header-stripped": { severity: "error", breaks: "every delivery of this source is refused with 401" },
    "header-name-differs": { severity: "error", breaks: "every delivery of this source is refused with 401" },
    "door-differs": { severity: "error", breaks: "every delivery of this source is refused" },
  },
  async look(scene) {
    const { public_url } = scene.config.gateway;
    if (public_url === undefined) return [];
    const { findings, open } = await reachOf(new URL(public_url), scene);
    if (!open) return findings;
    const doors = Object.entries(scene.config.sources);
    const knocked = await Promise.all(doors.map(([name, entry]) => knockAt(name, entry, public_url, scene)));
    return [...findings, ...knocked.flat()];
  },
});

async function knockAt(name: string, entry: SourceEntry, public_url: string, scene: Scene): Promise<Finding<Id>[]> {
  const about = `sources.${name}`;
  const { host } = new URL(public_url);
  const verify = verifyOf(entry);
  const sent = verify && (await knock(public_url, entry, verify, scene));
  // What is wrong with a secret, another check says.
  if (!sent) return [];
  if ("failure" in sent) return [unreachable(host, `no answer to a delivery (${sent.failure.code})`)];
  const { status } = sent.reply;
  if (!isOurs(sent.reply)) {
    if (status >= 500) return [unreachable(host, `the edge answers ${status}: it does not reach the gateway`)];
    return [edgeRefuses(about, status)];
  }
  if (status === 404 || status === 405) return [differs(about, `the gateway that runs has no door at ${entry.path}`)];
  return status === 401 ? [await whyUnauthorized(about, entry, verify, scene)] : [];
}

const body = "meshmac doctor";

/** Delivers, rightly proven, a body that no source reads: the gateway refuses or ignores it and queues nothing. Null where there is no secret to prove it with. */
async function knock(origin: string, { path, token }: SourceEntry, verify: Verify, scene: Scene): Promise<Sent | null> {
  let secret: string;
  try {
    secret = scene.vault.read(token.name).trim();
  } catch {
    return null;
  }
  const given = { body: JSON.stringify(body), id: `doctor-${crypto.randomUUID()}`, now: scene.now() };
  // A canary leaves no trace in what `rotate` counts: that we know a value says nothing of who else sends it.
  const headers = { ...provenHeaders(verify, secret, given), [canaryHeader]: "1" };
  return await sendPost({ method: "POST", url: origin + path, headers, body }, scene.outbound);
}

const verifyOf = (entry: SourceEntry): Verify | undefined =>
  sources.find(({ kind }) => kind === entry.kind)?.verify(entry);

const headerOf = ({ token, signature }: Verify): string => (token ?? signature)?.header ?? "its header";

// The name that gateway/answer.ts gives it; only what the gateway itself answers has it.
const isOurs = ({ headers }: Reply): boolean => headers.has("X-Meshmac-Correlation-Id");

/** What is right was refused: asks the gateway itself, past the edge, what it makes of it. */
async function whyUnauthorized(about: string, entry: SourceEntry, verify: Verify, scene: Scene): Promise<Finding<Id>> {
  const origin = originOf(scene.config);
  // Past the edge means this machine itself: its own listener may be plain http.
  const near = { ...scene, outbound: { ...scene.outbound, allow_http: true } };
  const takes = async (way: Verify): Promise<boolean | null> => {
    const sent = await knock(origin, entry, way, near);
    if (!sent || "failure" in sent || !isOurs(sent.reply)) return null;
    const { status } = sent.reply;
    return status === 401 ? false : status === 400 || status === 200 ? true : null;
  };
  const header = headerOf(verify);
  const isTaken = await takes(verify);
  if (isTaken !== false) {
    const how = isTaken ? "the gateway takes it when asked directly" : "the gateway answered 401";
    return {
      id: "header-stripped",
      about,
      says: `a right ${header} was sent through the edge and did not arrive; ${how}`,
      fix: `let the edge (proxy, load balancer, tunnel) pass the header ${header} on unchanged`,
    };
  }
  const { header: _, ...plain } = entry;
  const usual = verifyOf(plain);
  if (usual && headerOf(usual) !== header && (await takes(usual))) {
    return {
      id: "header-name-differs",
      about,
      says: `the gateway that runs reads the token from ${headerOf(usual)}, the configuration says ${header}`,
      fix: `restart the gateway so that it reads ${header}, and name the same header in the sender's webhook settings`,
    };
  }
  return differs(about, `the gateway that runs refuses what ${entry.token.name} proves in ${header}`);
}

function originOf({ gateway: { listen, tls } }: Config): string {
  const everywhere = listen.host === "0.0.0.0" || listen.host === "::";
  const host = everywhere ? "127.0.0.1" : listen.host.includes(":") ? `[${listen.host}]` : listen.host;
  return `${tls ? "https" : "http"}://${host}:${listen.port}`;
}

const differs = (about: string, says: string): Finding<Id> => ({
  id: "door-differs",
  about,
  says,
  fix: "restart the gateway, so that it runs with the configuration and the secrets that were read here",
});

const edgeRefuses = (about: string, status: number): Finding<Id> => ({
  id: "edge-refuses",
  about,
  says: `the edge answers ${status} by itself, the gateway never saw the delivery: ${reasons[status] ?? otherReason(status)}`,
  fix: `let POST to this source's path pass: ${remedies[status] ?? "no sign-in, redirect, rule or client certificate in front of it"}`,
});

const otherReason = (status: number): string =>
  status < 300 ? "something else lives at this address" : status < 400 ? "it redirects" : "a rule of its own";

const reasons: Record<number, string> = {
  400: "it wants a client certificate, or takes the request for malformed",
  401: "it asks for credentials of its own",
  403: "an address list, a geo or firewall rule, or a client certificate that is asked for",
  404: "it has no route for this path",
  405: "it does not let POST through",
  413: "its limit for bodies is too small",
  429: "its rate limit",
};

const remedies: Record<number, string> = {
  403: "add the sender's published addresses to the allowlist and exempt the path from geo, bot and firewall rules",
  404: "route the path to gateway.listen, without changing it",
  413: "allow bodies of gateway.max_body",
};
