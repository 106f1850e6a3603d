import type { Tls } from "../http.ts";
import type { Case, Expected, Got, Knock, Send } from "./case.ts";
import { expectedOf, sampleOf } from "./smoke.ts";
import { canary, type Target, wrongSecret } from "./target.ts";
import { sendWire } from "./wire.ts";

const unauthorized: Expected = { status: [401], outcome: ["refused"], reason: "unauthorized" };
const suite = "security" as const;
const json = { "Content-Type": "application/json" };
const quick = 15_000;
// A gateway hangs up after 12 s of silence, rounded up to four; a proxy may be more patient, but not for ever.
const patient = 30_000;

/** Asks a door what only somebody with bad intentions would. `number` names an issue not seen before. */
export function securityCases(target: Target, number: number): Case[] {
  const { source, secret, header, name: door } = target;
  const one = (name: string, expected: Expected, ask: Case["ask"]): Case => ({
    suite,
    source: door,
    name,
    expected,
    ask,
  });
  const refused = (reason: string): Expected =>
    source.neverRefuse
      ? { status: [200], outcome: ["ignored"], reason }
      : { status: [400], outcome: ["refused"], reason };
  const sample = sampleOf(target, target.entry, number);
  const deep = `${"[".repeat(10_000)}${"]".repeat(10_000)}`;
  const polluted = `{"__proto__":{"isAdmin":true},${sample.body.slice(1)}`;
  const posts = (body: string, key: string) => (send: Send) =>
    send(canary(target, { headers: { ...sample.headers, ...json }, body }, key));
  const wrong = wrongSecret(secret);
  const good = canary(target, sample, secret);
  const withProof = (value: string): Knock => ({ ...good, headers: { ...good.headers, [header]: value } });
  return [
    one("garbage without the token", unauthorized, posts("{{{{", wrong)),
    one("a depth bomb without the token", unauthorized, posts(deep, wrong)),
    one("a depth bomb", refused("nested deeper than 32"), posts(deep, secret)),
    one("prototype keys", refused('key "__proto__" is not allowed'), posts(polluted, secret)),
    one("an oversized token", unauthorized, (send) => send(withProof("x".repeat(8000)))),
    // A list of signatures is how senders rotate; two tokens are somebody who guesses.
    ...(target.verify.token ? [one("two tokens", unauthorized, (send) => send(withTwo(good, header, wrong)))] : []),
    one("the door is as it was", expectedOf(target, sample), (send) => send(good)),
  ];
}

/** Asks the same of the server below all doors, through one of them, and of no proxy on the way. */
export function serverCases(target: Target, number: number, tls: Tls = {}): Case[] {
  const { name: source, secret } = target;
  const sample = sampleOf(target, target.entry, number);
  const good = canary(target, sample, secret);
  return [
    {
      suite,
      source,
      name: "oversized headers",
      expected: { status: [400, 413, 431], early: true },
      ask: () =>
        sendWire({ ...wired(good), tls, headers: [["X-Meshmac-Large", "x".repeat(256 * 1024)]], within: quick }),
    },
    {
      suite,
      source,
      name: "a body that does not come",
      expected: { status: [400, 408], early: true },
      ask: (send) => withheld(good, send, tls),
    },
  ];
}

const wired = ({ url, headers, body }: Knock) => ({ url, headers: Object.entries(headers), body: body ?? "" });

/** Two lines of one header, which a client would join; a server hands them over joined. */
function withTwo(good: Knock, header: string, wrong: string): Knock {
  return { ...good, headers: { ...good.headers, [header]: `${wrong}, ${good.headers[header] ?? ""}` } };
}

/** Announces a whole body and sends half of it; meanwhile others have to be answered. */
async function withheld(good: Knock, send: Send, tls: Tls): Promise<Got> {
  const { url, headers, body } = wired(good);
  const announced: [string, string][] = [...headers, ["Content-Length", String(body.length)]];
  const slow = sendWire({ url, tls, headers: announced, body: body.slice(0, body.length / 2), within: patient });
  const other = await send({ method: "GET", url, headers: {}, body: null });
  return other.status === 405 ? await slow : other;
}
