import type { Config } from "../config.ts";
import { humanDuration } from "../core/units.ts";
import { type Status, statusOf } from "../rotation/status.ts";
import { isMadeHere, type Subject, subjectsOf } from "../rotation/subjects.ts";
import { sources } from "../sources/registry.ts";
import { defineCheck, type Finding } from "./check.ts";

type Id = "token-age" | "token-expires" | "rotation-unfinished";

const day = 86_400_000;
const soon = 14 * day;

/** Looks for values that are older than their calendar allows, will soon be refused by the other side, or are being rotated for too long. */
export const rotation = defineCheck<Id>({
  name: "rotation",
  on: "gateway",
  faults: {
    "token-age": { severity: "warning", breaks: "whoever came by this value since then can still use it" },
    "token-expires": { severity: "warning", breaks: "from that day on the other side refuses it" },
    "rotation-unfinished": { severity: "warning", breaks: "two values work for longer than was meant" },
  },
  async look({ config, now }) {
    return subjectsOf(config).flatMap((subject) => {
      const status = statusOf(subject, { config, testimony: null, now: now() });
      return findingOf(subject, status, config);
    });
  },
});

function findingOf(subject: Subject, status: Status, config: Config): Finding<Id>[] {
  const { name: about } = subject;
  const { current, next, doing, window_over, window_ms, overdue, every_ms } = status;
  if (doing || (next && window_over)) {
    const says = doing
      ? `a ${doing} was begun and never finished`
      : `a second value was staged ${inDays(next?.age_ms ?? 0)} ago, for a window of ${humanDuration(window_ms)}`;
    return [{ id: "rotation-unfinished", about, says, fix: `meshmac rotate status ${about}, then commit or abort it` }];
  }
  // Who has begun is not late, and what cannot be read other findings say.
  if (next || !current) return [];
  const fix = `meshmac rotate start ${about}${isMadeHere(subject) ? "" : " --stdin, with a new one from the other side"}`;
  const expiry = expiryOf(subject, status, config);
  const noted = status.expires_ms === null ? "" : "; then write the new day into rotation.secrets";
  if (expiry !== null) return [{ id: "token-expires", about, says: expiry, fix: `${fix}${noted}` }];
  if (!overdue) return [];
  const owner = subject.owner === null ? "" : `; ${subject.owner} sees to it`;
  return [
    {
      id: "token-age",
      about,
      says: `it is ${inDays(current.age_ms)} old, and rotation.every is ${inDays(every_ms)}${owner}`,
      fix,
    },
  ];
}

function expiryOf(subject: Subject, { current, expires_ms }: Status, config: Config): string | null {
  if (expires_ms !== null) {
    if (expires_ms > soon) return null;
    return expires_ms > 0
      ? `by rotation.secrets it expires in ${inDays(expires_ms)}`
      : `by rotation.secrets it expired ${inDays(-expires_ms)} ago`;
  }
  const life = lifeOf(subject, config);
  const age = current?.age_ms ?? 0;
  // One that is older and still taken was not made when its file was written: then nothing is known.
  if (life === null || life - age > soon || life < age) return null;
  return `it has been here for ${inDays(age)}, and none of ${subject.system} lives longer than ${inDays(life)}; when it was made nobody tells`;
}

/** The longest that a token of this tracker can live, where the tracker sets a bound. */
function lifeOf({ kind, places: [place = ""] }: Subject, config: Config): number | null {
  const source = kind === "rest" ? config.sources[place.split(".")[1] ?? ""] : undefined;
  if (!source?.comment) return null;
  return sources.find((one) => one.kind === source.kind)?.comment?.tokenLife?.(source.comment) ?? null;
}

const inDays = (ms: number): string => {
  const days = Math.floor(ms / day);
  return days < 2 ? humanDuration(ms) : `${days} days`;
};
