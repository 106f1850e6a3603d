import { isIP } from "node:net";
import { cidrSet } from "../core/cidr.ts";

/** Answers whose request it is: the socket's peer, or, behind proxies we trust, who the nearest of them says it came from. */
export type ClientIp = (peer: string, forwardedFor: string | null) => string;

/** Reads `trusted_proxies` once; X-Forwarded-For counts only when it came through one of them. */
export function clientIpBehind(trustedProxies: string[]): ClientIp {
  if (trustedProxies.length === 0) return (peer) => plain(peer);
  const trusts = cidrSet(trustedProxies);
  return (peer, forwardedFor) => {
    let nearest = plain(peer);
    if (forwardedFor === null) return nearest;
    // From the right: what stands left of the first hop that we do not trust is whatever the client wrote.
    for (const hop of forwardedFor.split(",").toReversed()) {
      if (!trusts(nearest)) return nearest;
      const address = plain(withoutPort(hop.trim()));
      if (isIP(address) === 0) return nearest;
      nearest = address;
    }
    return nearest;
  };
}

/** Says of a request whether the client came over plain http, as far as a proxy that we trust says so. */
export type InTheClear = (peer: string, headers: Headers) => boolean;

/** Reads `trusted_proxies` once; X-Forwarded-Proto counts only when it came through one of them. */
export function inTheClearBehind(trustedProxies: string[]): InTheClear {
  if (trustedProxies.length === 0) return () => false;
  const trusts = cidrSet(trustedProxies);
  // One hop of several is enough: the token was readable there.
  return (peer, headers) => {
    const said = headers.get("x-forwarded-proto");
    if (said === null || !trusts(plain(peer))) return false;
    return said.split(",").some((hop) => hop.trim().toLowerCase() === "http");
  };
}

/** An IPv4 address that an IPv6 socket shows as `::ffff:10.0.0.1` is the IPv4 address. */
const plain = (ip: string): string => (ip.startsWith("::ffff:") && ip.includes(".") ? ip.slice(7) : ip);

const withoutPort = (hop: string): string =>
  /^\[([^\]]+)\](?::\d+)?$/.exec(hop)?.[1] ?? /^(\d{1,3}(?:\.\d{1,3}){3}):\d+$/.exec(hop)?.[1] ?? hop;

/** What counts as one client: an IPv4 address, or the /64 of an IPv6 address (a household has 2^64 of those). */
export function clientOf(ip: string): string {
  if (!ip.includes(":")) return ip;
  const [left = "", right = ""] = ip.split("::");
  const head = left === "" ? [] : left.split(":");
  const tail = right === "" ? [] : right.split(":");
  const zeros = Array.from({ length: Math.max(0, 8 - head.length - tail.length) }, () => "0");
  return `${[...head, ...zeros, ...tail].slice(0, 4).join(":")}::/64`;
}
