import type { Json, JsonObject } from "../../src/core/json.ts";

type Dice = () => number;

const pick = <T>(dice: Dice, from: readonly T[]): T => from[Math.floor(dice() * from.length)] as T;

/** What breaks readers: other types, huge and tiny things, names of prototypes, text that other programs take for theirs. */
const hostile: ((dice: Dice) => Json)[] = [
  () => null,
  () => true,
  () => [],
  () => ({}),
  () => "",
  (dice) => Math.floor((dice() - 0.5) * 2 ** 53),
  () => 1e308,
  () => -0,
  (dice) => "x".repeat(Math.floor(dice() ** 3 * 60_000)),
  (dice) => "\u0000\u001b[31m\u202e\ud800\udfff\n\r".repeat(1 + Math.floor(dice() * 20)),
  () => "../../../etc/passwd",
  () => "$(touch /tmp/x);`id`|<!channel> @all %00%0a",
  () => "--upload-pack=sh",
  (dice) => Array.from({ length: Math.floor(dice() * 300) }, (_, i) => i),
  (dice) => nested(Math.floor(dice() * 60)),
  (dice) => Object.fromEntries(Array.from({ length: Math.floor(dice() * 200) }, (_, i) => [`key${i}`, i])),
  () => Object.fromEntries(["toString", "valueOf", "length", "then", "toJSON"].map((name) => [name, 1])),
  () => ({ name: { name: { name: "Building" } } }),
  () => "2026-13-45T99:99:99Z",
  () => "\u{1d173}\u{e0001}é𝒳",
];

const keys = [
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "hasOwnProperty",
  "",
  "key",
  "id",
  "fields",
  "a.b",
  "0",
];

function nested(depth: number): Json {
  let value: Json = "deep";
  for (let i = 0; i < depth; i++) value = i % 2 ? [value] : { fields: value };
  return value;
}

/** Changes a body in one to four places, keeping most of its structure. */
export function mutated(body: JsonObject, dice: Dice): JsonObject {
  const copy = structuredClone(body);
  for (let changes = 1 + Math.floor(dice() * 4); changes > 0; changes--) change(copy, dice);
  return copy;
}

function change(body: JsonObject, dice: Dice): void {
  let here: Json[] | JsonObject = body;
  for (;;) {
    const key = pick(dice, Object.keys(here));
    if (key === undefined) return void put(here, pick(dice, keys), pick(dice, hostile)(dice));
    const value: Json | undefined = (here as JsonObject)[key];
    if (typeof value === "object" && value !== null && dice() < 0.7) {
      here = value as Json[] | JsonObject;
      continue;
    }
    if (dice() < 0.2) delete (here as JsonObject)[key];
    else if (dice() < 0.3) put(here, pick(dice, keys), value ?? null);
    else put(here, key, pick(dice, hostile)(dice));
    return;
  }
}

/** Sets an own property, whatever its name. */
const put = (on: object, key: string, value: Json): void =>
  void Object.defineProperty(on, key, { value, enumerable: true, configurable: true, writable: true });

/** Breaks the bytes of a text: cut, doubled, bits turned, bytes put in. */
export function broken(text: string, dice: Dice): Uint8Array<ArrayBuffer> {
  const bytes = new TextEncoder().encode(text);
  const at = () => Math.floor(dice() * bytes.length);
  const parts: (() => Uint8Array)[] = [
    () => bytes.subarray(0, at()),
    () => Buffer.concat([bytes.subarray(at()), bytes]),
    () => {
      for (let turns = 1 + Math.floor(dice() * 8); turns > 0; turns--) {
        const index = at();
        bytes[index] = (bytes[index] ?? 0) ^ (1 << Math.floor(dice() * 8));
      }
      return bytes;
    },
    () => Buffer.concat([bytes.subarray(0, at()), Uint8Array.of(0, 0xff, 0xc0, 0x80, 0x22, 0x7b), bytes]),
    () => new TextEncoder().encode(`${"[".repeat(at())}${text}`),
    () => new TextEncoder().encode(text.replace(/"(\w+)":/, `"$1":1,"__proto__":{"a":1},"$1":`)),
  ];
  return new Uint8Array(pick(dice, parts)());
}

/** Headers as senders, proxies and strangers send them; the token is left to the caller. */
export function headersFor(dice: Dice): Record<string, string> {
  const headers: Record<string, string> = { "Content-Type": "application/json" };
  if (dice() < 0.7) return headers;
  const more: [string, string][] = [
    [
      "Content-Type",
      pick(dice, ["text/plain", "application/json; charset=utf-16", "application/vnd.x+json", "x".repeat(300)]),
    ],
    [
      "X-Hub-Signature",
      pick(dice, ["sha256=", `sha256=${"0".repeat(64)}`, `sha1=${"0".repeat(40)}`, "x".repeat(5000)]),
    ],
    ["X-Atlassian-Webhook-Identifier", pick(dice, ["1", "x".repeat(3000), "../x", "a b"])],
    ["X-Forwarded-For", pick(dice, ["192.0.2.1", "x", ",,,", "::1, 192.0.2.1", "9".repeat(2000)])],
    ["User-Agent", pick(dice, ["", "x".repeat(4000), "a%0ab"])],
    ["Content-Encoding", pick(dice, ["gzip", "br", "identity"])],
    ["Expect", "100-continue"],
    [`X-${"y".repeat(Math.floor(dice() * 200))}`, "z".repeat(Math.floor(dice() * 6000))],
  ];
  for (let count = 1 + Math.floor(dice() * 3); count > 0; count--) {
    const [name, value] = pick(dice, more);
    headers[name] = value;
  }
  return headers;
}

/** Whole requests that are no HTTP, or HTTP that two programs read in two ways. `head` is a right one's request line and headers. */
export function crooked(head: string, body: string, dice: Dice): string {
  const lines = [
    `${head}Content-Length: ${body.length + 50}\r\n\r\n${body}`,
    `${head}Content-Length: -1\r\n\r\n${body}`,
    `${head}Content-Length: ${body.length}\r\nContent-Length: 5\r\n\r\n${body}`,
    `${head}Content-Length: ${body.length}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${body}`,
    `${head}Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFF\r\n${body}`,
    `${head}Transfer-Encoding: chunked\r\n\r\n5\r\n${body.slice(0, 5)}\r\nZZ\r\n`,
    `${head}Content-Length: 99999999999999999999\r\n\r\n${body}`,
    `${head.replace("HTTP/1.1", "HTTP/9.9")}\r\n\r\n`,
    `${head.replace("POST", "P\u0000ST")}\r\n\r\n`,
    `${head}X: ${"a".repeat(70_000)}\r\n\r\n`,
    `${head}: no name\r\n\r\n`,
    "\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "",
  ];
  return pick(dice, lines);
}
