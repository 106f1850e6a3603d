import { BlockList, isIP } from "node:net";
import { z } from "zod";

/** Names in `allow_ips` that stand for the published addresses of a sender. */
export const namedRanges = ["atlassian", "youtrack-cloud"] as const;
export type SenderName = (typeof namedRanges)[number];

/** Finds the sender that an entry of `allow_ips` names; undefined where it is an address range. */
export const senderNamed = (text: string): SenderName | undefined => namedRanges.find((name) => name === text);

/** Parses an address range as the configuration writes it. */
export const addressRange = z
  .string()
  .refine((text) => parseCidr(text) !== null, { error: "expected an address range like 10.0.0.0/8" });

/** Parses an entry of `allow_ips`: an address range, or the name of a sender that publishes its own. */
export const senderRange = z.string().refine((text) => senderNamed(text) !== undefined || parseCidr(text) !== null, {
  error: `expected an address range like 203.0.113.0/24, ${namedRanges.join(" or ")}`,
});

interface Range {
  address: string;
  prefix: number;
  family: "ipv4" | "ipv6";
}

/** Parses `10.0.0.0/8`, `2001:db8::/32` or a single address; null where it is none. */
export function parseCidr(text: string): Range | null {
  const [address = "", bits, ...rest] = text.split("/");
  const version = isIP(address);
  if (version === 0 || rest.length > 0 || address.includes("%")) return null;
  const longest = version === 4 ? 32 : 128;
  const prefix = bits === undefined ? longest : /^\d{1,3}$/.test(bits) ? Number(bits) : Number.NaN;
  if (!(prefix <= longest)) return null;
  return { address, prefix, family: version === 4 ? "ipv4" : "ipv6" };
}

/** Makes a test for addresses within any range of `list`; an IPv4 address written as IPv6 (`::ffff:10.0.0.1`) counts as what it is. Throws a TypeError on an invalid range. */
export function cidrSet(list: readonly string[]): (ip: string) => boolean {
  const ranges = new BlockList();
  for (const text of list) {
    const range = parseCidr(text);
    if (!range) throw new TypeError(`not an address range: ${JSON.stringify(text)}`);
    ranges.addSubnet(range.address, range.prefix, range.family);
  }
  return (ip) => {
    const version = isIP(ip);
    return version !== 0 && ranges.check(ip, version === 4 ? "ipv4" : "ipv6");
  };
}
