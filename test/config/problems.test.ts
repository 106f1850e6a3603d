import { describe, expect, test } from "bun:test";
import { configFrom } from "../../src/config.ts";
import { MeshError } from "../../src/core/error.ts";

const door = {
  kind: "jira",
  path: "/jira/openclaw",
  token: "jira/inbound.token",
  build_when: [{ status: ["Building"] }],
  task: { script: "build-ios" },
};

function complaintsOf(raw: unknown): string[] {
  try {
    configFrom(raw, { base: "/srv", env: {} });
    return [];
  } catch (fault) {
    if (!(fault instanceof MeshError) || fault.kind !== "config") throw fault;
    const [head, ...lines] = fault.message.split("\n");
    expect(head).toBe(`the configuration has ${lines.length === 1 ? "1 problem" : `${lines.length} problems`}`);
    return lines.map((line) => line.slice(2));
  }
}

const hub = { kind: "github", path: "/github", token: "github/inbound.token" };
const any = { kind: "webhook", path: "/ci", token: "ci/inbound.token", report: {} };

const faults: [about: string, raw: unknown, complaints: (string | RegExp)[]][] = [
  ["no object at all", "hello", ['expected keys and values, got "hello"']],
  ["a list", [], ["expected keys and values, got a list"]],
  ["an unknown section", { gatway: {} }, ['unknown key "gatway" (did you mean "gateway"?)']],
  ["an unknown key with no neighbour", { zebra: 1 }, ['unknown key "zebra"']],
  [
    "an unknown key below",
    { gateway: { public_ur: "x" } },
    ['gateway: unknown key "public_ur" (did you mean "public_url"?)'],
  ],
  [
    "an unknown key of one kind",
    { chats: { here: { kind: "console", brodcast: true } } },
    ['chats.here: unknown key "brodcast" (did you mean "broadcast"?)'],
  ],
  [
    "an unknown key in a list",
    { sources: { jira: { ...door, build_when: [{ stauts: "A" }] } } },
    ['sources.jira.build_when[0]: unknown key "stauts" (did you mean "status"?)'],
  ],
  [
    "an unknown kind",
    { chats: { here: { kind: "matermost" } } },
    [/^chats\.here\.kind: expected one of .*mattermost.*, got "matermost"$/],
  ],
  ["no kind", { pagers: { oncall: {} } }, [/^pagers\.oncall\.kind: is missing, expected one of .*pagerduty/]],
  ["an entry that is no object", { sources: { jira: 5 } }, ["sources.jira: expected keys and values, got 5"]],
  [
    "a gateway to reach, and no token for it",
    { node: { connect: "https://mesh.example" } },
    ["node.token: is missing, the token that meshmac nodes add made for this node"],
  ],
  [
    "a node's token, and no gateway",
    { node: { token: "nodes/mac-07.token" } },
    ["node.connect: is missing, the address that node.token is for"],
  ],
  [
    "a gateway and a store",
    { store: "sqlite:./a.db", node: { connect: "https://mesh.example", token: "nodes/mac-07.token" } },
    ["node.connect: stands in place of store; name one of them"],
  ],
  [
    "a gateway in the clear",
    { node: { connect: "http://mesh.example", token: "nodes/mac-07.token" } },
    ["node.connect: expected https://, or allow_http: true beside it"],
  ],
  [
    "a gateway's address with more in it",
    { node: { connect: "https://ada:secret@mesh.example/?x=1", token: "nodes/mac-07.token" } },
    ["node.connect: expected an address like https://mesh.example, got a text not shown here"],
  ],
  [
    "a side for nodes whose address a shell would read",
    { gateway: { nodes: { listen: "127.0.0.1:8789", url: "https://mesh.example/$(id)" } } },
    [/^gateway\.nodes\.url: expected an address like https:\/\/mesh\.example/],
  ],
  [
    "a pasted token of a node",
    { node: { connect: "https://mesh.example", token: "0123456789abcdef0123456789abcdef" } },
    [/^node\.token: name a file under secrets_dir, not the secret itself/],
  ],
  ["an address without a host", { gateway: { listen: 8787 } }, ["gateway.listen: expected host:port, got 8787"]],
  [
    "an address that is no address",
    { gateway: { listen: "8787" } },
    ['gateway.listen: expected host:port, got "8787"'],
  ],
  [
    "a bare number as duration",
    { lanes: { ios: { timeout: 45 } } },
    ["lanes.ios.timeout: expected a duration like 500ms, 90s, 5m, 2h or 30d, got 45"],
  ],
  ["a number out of bounds", { node: { concurrency: 0 } }, ["node.concurrency: expected at least 1, got 0"]],
  ["a text for a number", { lanes: { ios: { limit: "4" } } }, ['lanes.ios.limit: expected a number, got "4"']],
  ["null", { pool: null }, ["pool: expected a text, got null"]],
  [
    "a missing key",
    { gateway: { nodes: { listen: "127.0.0.1:1" } } },
    ["gateway.nodes.url: is missing, expected a URL like https://gateway.example"],
  ],
  [
    "neither a text nor a list",
    { sources: { jira: { ...door, build_when: [{ status: 5 }] } } },
    ["sources.jira.build_when[0].status: expected a text or a list, got 5"],
  ],
  [
    "a list of the wrong things",
    { sources: { jira: { ...door, build_when: [{ status: ["A", 5] }] } } },
    ["sources.jira.build_when[0].status[1]: expected a text, got 5"],
  ],
  [
    "a name that cannot be one",
    { chats: { "Build Status": { kind: "console" } } },
    [/^chats\["Build Status"\]: this name cannot be used/],
  ],
  [
    "a public_url without TLS",
    { gateway: { public_url: "http://gateway.example" } },
    ['gateway.public_url: expected an https:// URL, got "http://gateway.example"'],
  ],
  [
    "lease numbers that do not fit",
    { lease: { ttl: "30s" } },
    ["lease: expected heartbeat × 2 ≤ fence < ttl, got 20 s × 2, 60 s, 30 s"],
  ],
  [
    "a ref that no delivery could be built with",
    { sources: { jira: { ...door, task: { script: "build-ios", ref: "-x" } } } },
    ['sources.jira.task.ref: expected a ref as git allows it, not beginning with -, got "-x"'],
  ],
  [
    "the same of a default",
    { sources: { jira: { ...door, task: { script: "build-ios", ref: { from: "a", default: "a..b" } } } } },
    [/^sources\.jira\.task\.ref: expected a ref as git allows it/],
  ],
  [
    "parameters of one name to a script",
    { sources: { jira: { ...door, task: { script: "build-ios", params: { a: "1", A: "2" } } } } },
    [/^sources\.jira\.task\.params: two names differ in their case alone/],
  ],
  [
    "a limit of nothing",
    { lanes: { ios: { timeout: "0s" } } },
    ["lanes.ios.timeout: expected more than nothing, got 0"],
  ],
  ["a database that is no number", { store: "redis://10.0.0.2:6379/acme" }, [/^store: expected .*, got "redis/]],
  ["a sentinel without a master", { store: "redis+sentinel://10.0.0.2:26379" }, [/^store: expected .*, got "redis/]],

  [
    "a lane that nobody configured",
    { lanes: { ios: {} }, sources: { jira: { ...door, task: { script: "b", lane: "iso" } } } },
    ['sources.jira.task.lane: no lane "iso" (did you mean "ios"?)'],
  ],
  [
    "a search that asks as nobody",
    { sources: { jira: { ...door, reconcile: { query: "status = Building" } } } },
    ["sources.jira.reconcile.site: is missing, needed where there is no comment to ask as"],
  ],
  [
    "a search of its own site without a token",
    { sources: { jira: { ...door, reconcile: { query: "status = Building", site: "https://acme.atlassian.net" } } } },
    ["sources.jira.reconcile.token: is missing, needed beside site"],
  ],
  [
    "lanes of a table that nobody configured",
    {
      lanes: { ios: {} },
      sources: {
        jira: {
          ...door,
          task: { script: "b", lane: { from: "labels", map: { "lane:a": "iso", b: "ios" }, default: "oss" } },
        },
      },
    },
    [
      'sources.jira.task.lane.map["lane:a"]: no lane "iso" (did you mean "ios"?)',
      'sources.jira.task.lane.default: no lane "oss" (there is ios, default)',
    ],
  ],
  [
    "a repository that nobody configured",
    { sources: { jira: { ...door, task: { script: "b", repo: "app" } } } },
    ['sources.jira.task.repo: no repository "app" (none is configured)'],
  ],
  [
    "a chat of unknown lanes and sources",
    { chats: { here: { kind: "console", lanes: ["qa"], sources: ["jira"] } } },
    [
      'chats.here.lanes[0]: no lane "qa" (there is default)',
      'chats.here.sources[0]: no source "jira" (none is configured)',
    ],
  ],
  [
    "an update of what cannot be edited",
    { chats: { here: { kind: "console", policy: "update" } } },
    ["chats.here.policy: console cannot edit a post; choose another policy"],
  ],
  [
    "a thread where there are none",
    { chats: { here: { kind: "console", policy: "thread" } } },
    ["chats.here.policy: console cannot answer in a thread; choose another policy"],
  ],
  [
    "an entry of build_when that would build on everything",
    { sources: { jira: { ...door, build_when: [{ status: "Building" }, { changed: {} }] } } },
    [
      /^sources\.jira\.build_when\[1\]: an entry that names nothing would build on every delivery; name at least one key/,
    ],
  ],
  [
    "an entry of report_when that names nothing",
    { sources: { ci: { ...hub, report_when: [{}] } } },
    [/^sources\.ci\.report_when\[0\]: an entry that names nothing/],
  ],
  [
    "a door that builds something, and does not say what",
    { sources: { ci: { ...hub, build_when: [{ event: "push" }] } } },
    ["sources.ci.task: is missing, needed beside build_when"],
  ],
  [
    "a faulty task, which is not also missing",
    { sources: { ci: { ...hub, build_when: [{ event: "push" }], task: { script: { from: "x" } } } } },
    ["sources.ci.task.script: expected a text, got keys and values"],
  ],
  ["commands from nobody", { sources: { ci: { ...hub, commands: {} } } }, [/^sources\.ci\.commands: name who may ask/]],
  [
    "a header of a token where a signature opens the door",
    { sources: { ci: { ...hub, header: "X-Token" } } },
    [/^sources\.ci: unknown key "header"/],
  ],
  [
    "a way to verify that nobody knows",
    { sources: { ci: { ...any, verify: "md5" } } },
    [/^sources\.ci\.verify: expected/],
  ],
  [
    "a signature that does not cover the body",
    {
      sources: {
        ci: { ...any, verify: { scheme: "hmac", header: "X-Sign", signed: "{timestamp}", timestamp: "X-Time" } },
      },
    },
    [/^sources\.ci\.verify\.signed: expected \{body\} once/],
  ],
  [
    "a tolerance for a timestamp that is not signed",
    { sources: { ci: { ...any, verify: { scheme: "hmac", header: "X-Sign", timestamp: "X-Time", tolerance: "5m" } } } },
    [/^sources\.ci\.verify\.timestamp: name the header of \{timestamp\}/],
  ],
  [
    "two doors on one path",
    { sources: { jira: door, other: door } },
    ['sources.other.path: "/jira/openclaw" is the door of jira already'],
  ],
  [
    "a door on a path of ours",
    { sources: { jira: { ...door, path: "/healthz" } } },
    [`sources.jira.path: "/healthz" is the gateway's own health already`],
  ],
  [
    "an open listener without TLS",
    { gateway: { listen: "0.0.0.0:8787" } },
    [/^gateway\.listen: off loopback needs gateway\.tls/],
  ],
  [
    "an open listener with no proxy trusted",
    { gateway: { listen: "0.0.0.0:8787", trusted_proxies: [] } },
    [/^gateway\.listen: off loopback needs gateway\.tls/],
  ],
  [
    "an open admin side without a token",
    { gateway: { admin: { listen: "10.0.0.5:8788" } } },
    [/^gateway\.admin\.token: is missing/],
  ],
  [
    "an admin side behind a name without a token",
    { gateway: { admin: { url: "https://builds.acme.internal" } } },
    [/^gateway\.admin\.token: is missing/],
  ],
  [
    "a proxy that is no range",
    { gateway: { trusted_proxies: ["10.0.0.0/33"] } },
    ['gateway.trusted_proxies[0]: expected an address range like 10.0.0.0/8, got "10.0.0.0/33"'],
  ],
  [
    "a sender that is no range",
    { sources: { jira: { ...door, allow_ips: ["atlasian"] } } },
    [
      'sources.jira.allow_ips[0]: expected an address range like 203.0.113.0/24, atlassian or youtrack-cloud, got "atlasian"',
    ],
  ],
  [
    "plain http outwards",
    { pagers: { oncall: { kind: "pagerduty", key: "p/r.key", base_url: "http://pd.example" } } },
    ["pagers.oncall.base_url: expected https://, or allow_http: true beside it"],
  ],
];

describe("refuses", () => {
  test.each(faults)("%s", (_about, raw, complaints) => {
    const said = complaintsOf(raw);
    expect(said).toHaveLength(complaints.length);
    for (const [i, complaint] of complaints.entries()) {
      if (typeof complaint === "string") expect(said[i]).toBe(complaint);
      else expect(said[i]).toMatch(complaint);
    }
  });
});

describe("accepts", () => {
  const accepted: [about: string, raw: unknown][] = [
    ["nothing at all", {}],
    [
      "an open listener behind a trusted proxy",
      { gateway: { listen: "0.0.0.0:8787", trusted_proxies: ["10.0.0.0/8"] } },
    ],
    ["an open listener with TLS", { gateway: { listen: "[::]:8787", tls: { cert: "c.pem", key: "k.pem" } } }],
    ["an open admin side with a token", { gateway: { admin: { listen: "0.0.0.0:8788", token: "admin/api.token" } } }],
    ["an admin side on loopback alone", { gateway: { admin: { listen: "[::1]:8788", url: "http://localhost:8788" } } }],
    [
      "published senders",
      { sources: { jira: { ...door, allow_ips: ["atlassian", "youtrack-cloud", "2001:db8::/32", "10.1.2.3"] } } },
    ],
    [
      "plain http to this machine",
      { pagers: { oncall: { kind: "pagerduty", key: "p/r.key", base_url: "http://127.0.0.1:9" } } },
    ],
    [
      "plain http that an entry asks for",
      { pagers: { oncall: { kind: "pagerduty", key: "p/r.key", base_url: "http://pd.lan", allow_http: true } } },
    ],
    [
      "the lane default, configured by nobody",
      { sources: { jira: { ...door, task: { script: "b", lane: "default" } } } },
    ],
  ];
  test.each(accepted)("%s", (_about, raw) => expect(complaintsOf(raw)).toEqual([]));
});

test("tells everything that is wrong at once, of what is right and of what is not", () => {
  const said = complaintsOf({
    poool: "acme",
    gateway: { listen: "0.0.0.0:8787", max_body: 5, admin: { listen: "0.0.0.0:1" } },
    sources: {
      jira: { ...door, comment: { site: 5 }, task: { script: "b", lane: "nowhere" } },
      youtrack: { ...door, kind: "youtrack", token: 5 },
    },
    chats: { here: { kind: "console", sources: ["youtrack"], timeout: 5, policy: "update" } },
  });
  const places = said.map((line) => line.split(":")[0]);
  for (const place of [
    'unknown key "poool" (did you mean "pool"?)',
    "gateway.listen",
    "gateway.max_body",
    "gateway.admin.token",
    "sources.jira.comment.site",
    "sources.jira.task.lane",
    "sources.youtrack.token",
    "chats.here.timeout",
    "chats.here.policy",
  ]) {
    expect(places).toContain(place);
  }
  // The source exists, although it is faulty; and the list of proxies was not what was wrong.
  expect(places).not.toContain("chats.here.sources[0]");
});

test("does not complain of what follows from a fault it has told already", () => {
  expect(complaintsOf({ gateway: { listen: "0.0.0.0:8787", trusted_proxies: "10.0.0.0/8" } })).toEqual([
    'gateway.trusted_proxies: expected a list, got "10.0.0.0/8"',
  ]);
  expect(complaintsOf({ gateway: { admin: { listen: "0.0.0.0:8788", token: 5 } } })).toHaveLength(1);
});

describe("never shows what may be a secret", () => {
  const secret = "5f0e7c1d9b3a4f68a2c4e6081b3d5f7a9c1e3b5d7f90a2c4e6f8091b2d4f6a8c";
  const pasted: [about: string, raw: unknown][] = [
    ["a token for its name", { sources: { jira: { ...door, token: secret } } }],
    ["a number for a token", { sources: { jira: { ...door, token: 5_550_001_234 } } }],
    ["a URL for its name", { chats: { here: { kind: "mattermost", url: `https://chat.example/hooks/${secret}` } } }],
    ["a key for its name", { pagers: { oncall: { kind: "pagerduty", key: secret } } }],
    ["a password for its name", { store_password: `${secret}!` }],
    ["a password in the store", { store: `redis://mesh:${secret}@10.0.0.2:6379/0` }],
    ["a password in a broken store", { store: `redis//mesh:${secret.slice(0, 20)}@10.0.0.2` }],
    ["a password in a proxy", { chats: { here: { kind: "console", proxy: `socks5://me:${secret}@p.example` } } }],
    ["a token where a header belongs", { sources: { jira: { ...door, header: `Bearer ${secret}` } } }],
  ];
  test.each(pasted)("%s", (_about, raw) => {
    const said = complaintsOf(raw).join("\n");
    expect(said).not.toBe("");
    expect(said).not.toContain(secret.slice(0, 12));
    expect(said).not.toContain("5550001234");
  });

  test("asks for the name of a file instead", () => {
    expect(complaintsOf({ sources: { jira: { ...door, token: secret } } })).toEqual([
      "sources.jira.token: name a file under secrets_dir, not the secret itself",
    ]);
  });
});
