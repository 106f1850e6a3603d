import { cidrSet } from "../core/cidr.ts";
import { Deadline } from "../stores/deadline.ts";
import { certificateOf } from "./certificate.ts";
import type { Finding, Scene } from "./check.ts";
import { whyOf } from "./why.ts";

export type ReachId = "public-url-not-resolving" | "public-url-private" | "public-url-unreachable" | "tls-chain";

export interface Reach {
  findings: Finding<ReachId>[];
  /** Whether it makes sense to knock. */
  open: boolean;
}

const day = 86_400_000;
const renewBefore = 14 * day;

/** Looks at the way to `public_url` as far as a hand can be shaken: its name, its address, its certificate. */
export async function reachOf(url: URL, scene: Scene): Promise<Reach> {
  // A URL writes an IPv6 address in brackets; nobody else does.
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const addresses = await addressesOf(host, scene);
  if (addresses.length === 0) return { findings: [notResolving(host)], open: false };
  const hidden = addresses.filter(isPrivate);
  const findings = hidden.length > 0 ? [privately(host, hidden)] : [];
  const { timeout: timeout_ms, ca_file } = scene.outbound;
  try {
    const { fault, until } = await certificateOf({ host, port: Number(url.port || 443), ca_file, timeout_ms });
    if (fault !== null) return { findings: [...findings, untrusted(host, fault)], open: false };
    const left = until === null ? Infinity : until - scene.now();
    return { findings: left < renewBefore ? [...findings, expiring(host, left)] : findings, open: true };
  } catch (error) {
    return { findings: [...findings, unreachable(host, whyOf(error))], open: false };
  }
}

/** Says that nobody answered for us at `public_url`. */
export const unreachable = (host: string, says: string): Finding<"public-url-unreachable"> => ({
  id: "public-url-unreachable",
  about: host,
  says,
  fix: "start the edge (load balancer, tunnel or proxy) and point it at gateway.listen; see that this machine may reach it",
});

async function addressesOf(host: string, { lookup, outbound }: Scene): Promise<string[]> {
  try {
    return await new Deadline(outbound.timeout).within(lookup(host), () => new Error("timeout"));
  } catch {
    return [];
  }
}

// What no sender on the internet can reach: https://www.iana.org/assignments/iana-ipv4-special-registry
const isPrivate = cidrSet(
  "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.168.0.0/16 ::/127 fc00::/7 fe80::/10".split(
    " ",
  ),
);

const notResolving = (host: string): Finding<ReachId> => ({
  id: "public-url-not-resolving",
  about: host,
  says: "this name has no address",
  fix: "correct gateway.public_url, or publish an A or AAAA record for the name in public DNS",
});

const privately = (host: string, addresses: string[]): Finding<ReachId> => ({
  id: "public-url-private",
  about: host,
  says: `it resolves to ${addresses.join(", ")}`,
  fix: "name a public host in gateway.public_url, or --skip public-url-private where every sender is inside or DNS answers differently outside",
});

const untrusted = (host: string, code: string): Finding<ReachId> => ({
  id: "tls-chain",
  about: host,
  says: `its certificate is not trusted (${code})${reasons[code] ? `: ${reasons[code]}` : ""}`,
  fix: "install a certificate for this very name with all its intermediates (fullchain.pem), by an authority that the senders know",
});

const expiring = (host: string, left: number): Finding<ReachId> => ({
  id: "tls-chain",
  about: host,
  says: `its certificate expires in ${Math.max(0, Math.floor(left / day))} days`,
  fix: "renew it and have the edge load it",
});

const reasons: Record<string, string> = {
  CERT_HAS_EXPIRED: "it has expired",
  CERT_NOT_YET_VALID: "it is not valid yet; does a clock go wrong?",
  DEPTH_ZERO_SELF_SIGNED_CERT: "nobody but itself signed it",
  SELF_SIGNED_CERT_IN_CHAIN: "the authority that signed it is not publicly known",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "an intermediate is missing, or the authority is not publicly known",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "an intermediate is missing, or the authority is not publicly known",
  ERR_TLS_CERT_ALTNAME_INVALID: "it is for another name",
};
