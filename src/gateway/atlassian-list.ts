import { parseCidr } from "../core/cidr.ts";
import { at, isObject, type Json, parseStranger } from "../core/json.ts";

// Where Atlassian publishes what it sends from: https://support.atlassian.com/organization-administration/docs/ip-addresses-and-domains-for-atlassian-cloud-products/
export const atlassianUrl = "https://ip-ranges.atlassian.com/";

// Atlassian's ranges are a /28 or a /64 and the like; one wider than these would let half the world in.
const widest = { ipv4: 8, ipv6: 16 };

/** Reads the ranges that Jira sends from, of any region, out of the list that Atlassian publishes. Throws an Error whose message is safe to show. */
export function jiraEgress(text: string): string[] {
  const items = at(parseStranger(text), "items");
  if (!Array.isArray(items)) throw new Error("it has no items");
  const ranges = items.flatMap(egressOf);
  if (ranges.length === 0) throw new Error("no address in it is one that Jira sends from");
  return [...new Set(ranges)];
}

function egressOf(item: Json): string[] {
  if (!isObject(item) || !lists(item.product, "jira") || !lists(item.direction, "egress")) return [];
  const cidr = typeof item.cidr === "string" ? item.cidr : "";
  const range = parseCidr(cidr);
  if (!range) throw new Error("an address range in it is none");
  if (range.prefix < widest[range.family]) throw new Error("an address range in it is too wide to be a sender's");
  return [cidr];
}

const lists = (value: Json | undefined, name: string): boolean => Array.isArray(value) && value.includes(name);
