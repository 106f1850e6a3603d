import type { SourceEntry } from "../config/schema.ts";
import { readingOf } from "../gateway/reading.ts";
import type { Case, Expected, Got, Send } from "./case.ts";
import { canary, type Target, type Words, wrongSecret } from "./target.ts";

const json = { "Content-Type": "application/json" };
const strange = ["meshmac-probe"];

/** Asks a door everything that its sender relies on: accepted, a duplicate, ignored, and refused for each cause. `number` names an issue not seen before. */
export function smokeCases(target: Target, number: number): Case[] {
  const { source, maxBody, url, secret } = target;
  const suite = "smoke" as const;
  const one = (name: string, expected: Expected, ask: Case["ask"]): Case => ({
    suite,
    source: target.name,
    name,
    expected,
    ask,
  });
  const sample = sampleOf(target, target.entry, number);
  const taken = expectedOf(target, sample);
  const other = ignoredSample(target, number);
  const delivery = canary(target, sample, secret);
  const posts = (words: Words, key: string | null) => (send: Send) => send(canary(target, words, key));
  // What a door builds that nobody described to us, only it knows.
  const again: Expected = { status: [200], outcome: target.rules ? ["duplicate"] : ["duplicate", "ignored"] };
  const refused = (status: number, reason: string): Expected =>
    source.neverRefuse && status !== 401
      ? { status: [200], outcome: ["ignored"], reason }
      : { status: [status], outcome: ["refused"], reason };
  return [
    one("accepts", taken, (send) => send(delivery)),
    ...(takes(taken) ? [one("duplicate", again, repeated(delivery))] : []),
    ...(other ? [one("ignores", expectedOf(target, other), posts(other, secret))] : []),
    one("wrong token", refused(401, "unauthorized"), posts(sample, wrongSecret(secret))),
    one("no token", refused(401, "unauthorized"), posts(sample, null)),
    one("too large", refused(413, "body too large"), posts({ headers: json, body: " ".repeat(maxBody + 1) }, secret)),
    one(
      "no JSON",
      refused(415, "expected JSON"),
      posts({ ...sample, headers: { ...sample.headers, "Content-Type": "text/plain" } }, secret),
    ),
    one("GET", { status: [405], outcome: ["refused"], reason: "expected POST" }, (send) =>
      send({ method: "GET", url, headers: {}, body: null }),
    ),
    one("no such door", { status: [404], outcome: ["refused"], reason: "no such door" }, (send) =>
      send({ ...delivery, url: `${url}-${number}` }),
    ),
  ];
}

/** Where several gateways answer by turns, the one that is asked again need not be the one that was asked first. */
const repeated =
  (delivery: Parameters<Send>[0]) =>
  async (send: Send): Promise<Got> => {
    let got = await send(delivery);
    for (let again = 0; again < 3 && got.outcome === "queued"; again++) got = await send(delivery);
    return got;
  };

const takes = ({ outcome }: Expected): boolean =>
  outcome?.some((word) => word === "queued" || word === "stored") ?? false;

/** Makes the source's own sample, as text. */
export function sampleOf({ source }: Target, entry: SourceEntry, number: number): Words {
  const { headers, body } = source.sample(entry, number);
  return { headers: { ...json, ...headers }, body: JSON.stringify(body) };
}

/** A delivery that this door has no use for; null where it would take whatever its kind can say. */
function ignoredSample(target: Target, number: number): Words | null {
  const { entry } = target;
  const wishes = [
    { status: strange, project: ["MESHMACPROBE"], labels: strange, components: strange, issue_type: strange },
    { event: strange },
    { changed: { "meshmac-probe": strange } },
  ];
  const made = wishes.map((wish) => sampleOf(target, { ...entry, build_when: [wish] }, number));
  if (target.rules === null) return made[0] ?? null;
  return made.find((words) => expectedOf(target, words).outcome?.[0] === "ignored") ?? null;
}

/** What a door that decides as this configuration says must answer; where none is known, what it may. */
export function expectedOf({ source, entry, rules, name }: Target, { headers, body }: Words): Expected {
  if (rules === null) return { status: [200], outcome: ["queued", "stored", "duplicate", "ignored"] };
  const given = { source: name, run_id: "", correlation_id: "", seen_at: 0 };
  const reading = readingOf({ source, entry, rules }, Buffer.from(body), new Headers(headers), given);
  if ("refused" in reading)
    return source.neverRefuse
      ? { status: [200], outcome: ["ignored"], reason: reading.refused }
      : { status: [reading.status], outcome: ["refused"], reason: reading.refused };
  if ("ignored" in reading) return { status: [200], outcome: ["ignored"], reason: reading.ignored };
  if ("withdraw" in reading) return { status: [200], outcome: ["ignored"] };
  return { status: [200], outcome: ["report" in reading ? "stored" : "queued"] };
}
