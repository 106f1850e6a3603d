import { describe, expect, test } from "bun:test";
import { clientIpBehind, clientOf, inTheClearBehind } from "../../src/gateway/client-ip.ts";

describe("the client", () => {
  const behind = clientIpBehind(["127.0.0.1/32", "10.0.0.0/8", "2001:db8:ed9e::/48", "::1/128"]);

  test.each<[why: string, peer: string, forwarded: string | null, client: string]>([
    ["nobody stands between", "203.0.113.9", null, "203.0.113.9"],
    ["a stranger writes what it likes", "203.0.113.9", "192.0.2.7", "203.0.113.9"],
    ["a proxy says nothing", "10.0.0.1", null, "10.0.0.1"],
    ["a proxy says it", "10.0.0.1", "192.0.2.7", "192.0.2.7"],
    ["two proxies say it", "127.0.0.1", "192.0.2.7, 10.0.0.1", "192.0.2.7"],
    ["a stranger wrote left of it", "10.0.0.1", "198.51.100.1, 192.0.2.7", "192.0.2.7"],
    ["a stranger wrote our own proxies", "10.0.0.1", "10.0.0.2, 127.0.0.1, 192.0.2.7", "192.0.2.7"],
    ["a stranger wrote a client and a proxy", "10.0.0.1", "198.51.100.1, 10.0.0.2, 192.0.2.7", "192.0.2.7"],
    ["everybody on the way is ours", "10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"],
    ["a hop is no address", "10.0.0.1", "192.0.2.7, unknown", "10.0.0.1"],
    ["a hop is a name", "10.0.0.1", "192.0.2.7, _hidden, 10.0.0.2", "10.0.0.2"],
    ["a hop is empty", "10.0.0.1", "192.0.2.7,,", "10.0.0.1"],
    ["the header is empty", "10.0.0.1", "", "10.0.0.1"],
    ["a hop has a port", "10.0.0.1", "192.0.2.7:4711", "192.0.2.7"],
    ["an IPv6 hop has a port", "10.0.0.1", "[2001:db8::7]:4711", "2001:db8::7"],
    ["an IPv6 hop is in brackets", "10.0.0.1", "[2001:db8::7]", "2001:db8::7"],
    ["an IPv6 hop stands bare", "10.0.0.1", "2001:db8::7", "2001:db8::7"],
    ["a port is no number", "10.0.0.1", "192.0.2.7:http", "10.0.0.1"],
    ["the peer is IPv4 in IPv6", "::ffff:10.0.0.1", "192.0.2.7", "192.0.2.7"],
    ["a hop is IPv4 in IPv6", "10.0.0.1", "192.0.2.7, ::ffff:10.0.0.2", "192.0.2.7"],
    ["the proxy is IPv6", "2001:db8:ed9e::1", "2001:db8:1::7", "2001:db8:1::7"],
    ["a stranger is next to the proxy", "2001:db8:ed9f::1", "192.0.2.7", "2001:db8:ed9f::1"],
    ["the proxy is this machine", "::1", "192.0.2.7", "192.0.2.7"],
    ["a hop is missing", "10.0.0.1", "192.0.2.7, , 10.0.0.2", "10.0.0.2"],
    ["blanks are everywhere", "10.0.0.1", "  192.0.2.7  ,\t10.0.0.2 ", "192.0.2.7"],
  ])("is found where %s", (_why, peer, forwarded, client) => {
    expect(behind(peer, forwarded)).toBe(client);
  });

  test("is the peer where no proxy is trusted", () => {
    expect(clientIpBehind([])("::ffff:203.0.113.9", "192.0.2.7")).toBe("203.0.113.9");
  });

  test.each([
    ["192.0.2.7", "192.0.2.7"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:db8:1:2::9", "2001:db8:1:2::/64"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["::1", "0:0:0:0::/64"],
  ])("%s counts as %s", (ip, client) => expect(clientOf(ip)).toBe(client));
});

describe("plain http", () => {
  const behind = inTheClearBehind(["10.0.0.0/8"]);
  const saying = (proto: string | null) => new Headers(proto === null ? {} : { "x-forwarded-proto": proto });

  test.each<[peer: string, forwarded: string | null, clear: boolean]>([
    ["10.0.0.1", "http", true],
    ["10.0.0.1", "HTTP", true],
    ["::ffff:10.0.0.1", "http", true],
    ["10.0.0.1", "https, http", true],
    ["10.0.0.1", "http,https", true],
    ["10.0.0.1", "https", false],
    ["10.0.0.1", "https, https", false],
    ["10.0.0.1", "", false],
    ["10.0.0.1", null, false],
    ["203.0.113.9", "http", false], // a stranger cannot make us cry wolf
  ])("%s saying %p: %p", (peer, forwarded, clear) => expect(behind(peer, saying(forwarded))).toBe(clear));

  test("is nobody's word where no proxy is trusted", () =>
    expect(inTheClearBehind([])("10.0.0.1", saying("http"))).toBe(false));
});
