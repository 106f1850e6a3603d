import { z } from "zod";
import { shortId } from "../core/announcement.ts";
import { sha256 } from "../core/intent.ts";
import type { Run } from "../core/records.ts";
import { oneLine, truncate } from "../core/text.ts";
import { humanDuration } from "../core/units.ts";
import type { Alert } from "../pagers/pager.ts";
import type { AlertRow, DestinationRow, Unheard } from "../stores/store.ts";

/** What is said of a fault, as it is kept with its alert. */
const toldSchema = z.object({
  about: z.string(),
  summary: z.string(),
  source: z.string(),
  severity: z.enum(["critical", "error", "warning", "info"]),
  links: z.array(z.object({ href: z.string(), text: z.string() })),
  details: z.record(z.string(), z.string()),
}) satisfies z.ZodType<Omit<Alert, "key" | "at">>;

export type Told = z.output<typeof toldSchema>;

export interface Looked {
  alerts: Map<string, AlertRow>;
  unheard: Unheard[];
  /** There may be more states unheard than were read. */
  more: boolean;
  destinations: DestinationRow[];
  /** The dead runs that nobody has dropped or retried. */
  dead: Run[];
  /** There may be more of them than were read. */
  moreDead: boolean;
}

export interface Circumstances {
  now: number;
  /** We have only just begun: what is overdue may be on its way. */
  settling: boolean;
  /** We never send. */
  standby: boolean;
  /** We are a standby, and no gateway that sends has been seen for `escalate_after`. */
  nobodySends: boolean;
  escalate_after: number;
  /** This gateway, as `source` of its pages. */
  node: string;
  /** The destinations that are configured. */
  known: Set<string>;
  /** Where the pages of runs are, or null. */
  adminUrl: string | null;
  mask: (text: string) => string;
}

// A run that died longer ago is no news, and its alert is forgotten.
const freshFor = 86_400_000;
const settlesIn = 60_000;

export const isFault = (key: string): boolean => /^(unheard|destination|run|sender)\//.test(key);

/** Whether a fault is taken back when it is over; a dead run stays dead, and people close its page. */
export const isRecoverable = (key: string): boolean => !key.startsWith("run/");

/** Finds the faults that nobody has been told of yet, each with what there is to say. */
export function faultsIn(looked: Looked, given: Circumstances): Map<string, Told> {
  const unheard = given.settling ? [] : unheardRoutes(looked, given);
  const found = [...unheard, ...deadDestinations(looked, given), ...deadRuns(looked, given), ...noSender(given)];
  return new Map(found.filter(([key]) => !looked.alerts.get(key)?.open));
}

/** Whether the fault of an open alert is over. */
export function isOver(row: AlertRow, looked: Looked, { now, standby, escalate_after, known }: Circumstances): boolean {
  const [kind, ...rest] = row.key.split("/");
  // A standby does not look while somebody sends, and who sends is the proof that it is over.
  if (kind === "sender") return !standby;
  if (kind === "run") {
    // An alert of the last moment may be of a run that died after the dead were read.
    const isKnown = looked.moreDead || now - row.at < settlesIn;
    const isListed = looked.dead.some(({ run_id }) => run_id === rest.join("/"));
    return (!isKnown && !isListed) || now - row.at > freshFor;
  }
  if (kind === "destination") {
    const name = rest.join("/").replace(/\/config$/, "");
    return !known.has(name) || !looked.destinations.some((one) => one.name === name && isMisconfigured(one));
  }
  const states = looked.unheard.filter((state) => keyOf(state) === row.key);
  if (states.length === 0) return !looked.more;
  // What was given up is heard by nobody any more: people were told, and it is over when somebody hears again.
  const givenUp = states.every(({ posts }) => posts.every(({ status }) => status === "dead"));
  const names = new Set(states.flatMap(({ posts }) => posts.map(({ destination }) => destination)));
  return givenUp && now - row.at >= escalate_after && [...names].some((name) => isWell(name, looked));
}

/** Reads what an alert was opened with; a gateway of another version may have written it, and its page must not fail for that. */
export function toldIn({ key, opened_with }: AlertRow): Told {
  const nothing = { about: key, summary: key, source: "meshmac", severity: "error", links: [], details: {} } as const;
  try {
    return toldSchema.parse(JSON.parse(opened_with ?? ""));
  } catch {
    return { ...nothing, links: [] };
  }
}

type Found = [key: string, told: Told];

/** One fault for all states that the same destinations owed: an outage pages once, however many builds it swallows. */
function unheardRoutes({ unheard, alerts }: Looked, given: Circumstances): Found[] {
  const routes = Map.groupBy(unheard, keyOf);
  return [...routes].flatMap(([key, states]): Found[] => {
    const before = alerts.get(key);
    // Those that were overdue when the last alert of this route was resolved were part of it.
    const fresh = states.filter(({ since }) => !before || since > before.at - given.escalate_after);
    const [newest] = fresh;
    if (!newest) return [];
    const names = newest.posts.map(({ destination }) => destination);
    const first = `${aboutOf(newest)} ${newest.state}`;
    const others = fresh.length === 1 ? "" : ` and ${fresh.length - 1} more`;
    const long = humanDuration(given.escalate_after);
    return [
      [
        key,
        told(given, {
          about: names.join(", "),
          summary: `nobody heard of ${first}${others}: ${names.join(", ")} did not take it within ${long}`,
          severity: "critical",
          href: newest.announcement.run_url,
          details: {
            states: fresh
              .slice(0, 10)
              .map((state) => `${aboutOf(state)} ${state.state} (${state.subject})`)
              .join(", "),
            ...Object.fromEntries(newest.posts.map(({ destination, status, why }) => [destination, why ?? status])),
          },
        }),
      ],
    ];
  });
}

const deadDestinations = ({ destinations }: Looked, given: Circumstances): Found[] =>
  destinations
    .filter((one) => isMisconfigured(one) && given.known.has(one.name))
    .map(({ name, why, waiting }) => [
      `destination/${name}/config`,
      told(given, {
        about: name,
        summary: `${name} refuses what it is sent: ${why ?? "for a reason of its configuration"}`,
        severity: "error",
        details: { waiting: String(waiting) },
      }),
    ]);

const deadRuns = ({ dead, alerts }: Looked, given: Circumstances): Found[] =>
  dead
    .filter(({ run_id, ended_at }) => given.now - (ended_at ?? 0) <= freshFor && !alerts.has(`run/${run_id}`))
    .map((run) => [
      `run/${run.run_id}`,
      told(given, {
        about: run.issue_key || run.script,
        summary: `${run.issue_key || run.script} is dead: ${run.reason ?? "its leases ran out"}`,
        severity: "error",
        href: given.adminUrl === null ? null : `${given.adminUrl}/runs/${encodeURIComponent(run.run_id)}`,
        details: {
          run: run.run_id,
          script: run.script,
          lane: run.lane,
          node: run.node ?? "none",
          build_again: `meshmac runs retry ${shortId(run.run_id)}`,
        },
      }),
    ]);

/** What waits for a gateway that sends is said by nobody, and what is not even expanded shows nowhere else. */
const noSender = (given: Circumstances): Found[] =>
  given.nobodySends
    ? [
        [
          "sender/none",
          told(given, {
            about: "gateway",
            summary: `nobody sends: no gateway but a standby was seen for ${humanDuration(given.escalate_after)}`,
            severity: "critical",
            details: {},
          }),
        ],
      ]
    : [];

const isMisconfigured = ({ circuit, cause }: DestinationRow): boolean => circuit !== "closed" && cause === "config";

const isWell = (name: string, { destinations }: Looked): boolean => {
  const row = destinations.find((one) => one.name === name);
  return !row || (row.circuit === "closed" && row.failures === 0);
};

const aboutOf = ({ announcement: { issue_key, workflow } }: Unheard): string => issue_key ?? workflow;

function keyOf({ posts }: Unheard): string {
  const route = posts.map(({ destination }) => destination).join("+");
  return `unheard/${route.length > 150 ? sha256(route) : route}`;
}

interface Saying extends Pick<Told, "about" | "summary" | "severity" | "details"> {
  /** The page of the run that it is about. */
  href?: string | null;
}

function told({ node, mask }: Circumstances, { about, summary, severity, details, href }: Saying): Told {
  const say = (text: string, limit: number) => truncate(oneLine(mask(text)), limit);
  return {
    about: say(about, 200),
    summary: say(summary, 1000),
    source: node,
    severity,
    links: !href ? [] : [{ href, text: "run" }],
    details: Object.fromEntries(Object.entries(details).map(([name, text]) => [name, say(text, 1000)])),
  };
}
