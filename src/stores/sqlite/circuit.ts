import { gateOf } from "../gate.ts";
import type { Cause, DestinationRow, Health } from "../store.ts";
import type { Inside } from "./inside.ts";

interface GateRow {
  name: string;
  paused_until: number;
  failures: number;
  open_until: number | null;
  opened_at: number | null;
  /** The claim of the one post that an open circuit has let through. */
  probe: string | null;
  cause: Cause | null;
  setup: string | null;
  why: string | null;
}

/** Whether a destination may be sent to, and which of its posts a pause or an open circuit has held up: those made before `heldUntil`. */
export interface Passage {
  open: boolean;
  probing: boolean;
  heldUntil: number;
  /** When the clock alone opens it; null while a probe is under way. */
  at: number | null;
}

/** What a try did to the circuit of its destination. */
export type Turned = "opened" | "closed" | null;

export interface Tried {
  claim: string;
  destination: string;
  why: string | null;
  time: number;
}

// What was refused longer ago is no news any more: a post is not tried for longer either.
const rememberedFor = 86_400_000;

/** Makes what is kept of destinations: pauses, circuits, and the verbs `destinations` and `reconsider`. */
export function gating({ db, now, posts }: Inside) {
  const row = db.prepare<GateRow, [string]>("SELECT * FROM destination WHERE name = ?");
  const rows = db.prepare<GateRow, []>("SELECT * FROM destination");
  const pause = db.prepare<null, [string, number, string | null]>(`
    INSERT INTO destination (name, paused_until, why) VALUES (?, ?, ?)
    ON CONFLICT (name) DO UPDATE SET paused_until = max(paused_until, excluded.paused_until), why = excluded.why`);
  const probe = db.prepare<null, [string, string]>("UPDATE destination SET probe = ? WHERE name = ?");
  const release = db.prepare<null, [string]>("UPDATE destination SET probe = NULL WHERE probe = ?");
  const releaseLost = db.prepare<null, [number]>(`
    UPDATE destination SET probe = NULL WHERE probe IN (SELECT claim FROM post WHERE status = 'sending' AND claim_until <= ?)`);
  const closeCircuit = db.prepare<null, [number, string]>(`
    UPDATE destination SET failures = 0, open_until = NULL, opened_at = NULL, probe = NULL, cause = NULL, setup = NULL, why = NULL,
      paused_until = max(paused_until, iif(open_until IS NULL, 0, ?)) WHERE name = ?`);
  const count = db.prepare<null, [string]>(`
    INSERT INTO destination (name, failures) VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET failures = failures + 1`);
  const openCircuit = db.prepare<null, [number, number, string, string, string | null, string]>(`
    UPDATE destination SET open_until = ?, opened_at = coalesce(opened_at, ?), probe = NULL, cause = ?, setup = ?, why = ? WHERE name = ?`);
  // `/` and `0` are neighbours: between them lies every destination behind this gate.
  const giveUp = db.prepare<null, [string, number, string, string, string, number]>(`
    UPDATE post SET status = 'dead', why = ?, at = ?
    WHERE status = 'waiting' AND (destination = ? OR destination > ? || '/' AND destination < ? || '0') AND created_at <= ?`);
  // The end of a subject alone is still news by then, and only where nothing newer was made for its line.
  const reviveRefused = db.prepare<null, [number, number, string, string, string, number, string]>(`
    UPDATE post SET status = 'waiting', refused_under = NULL, due_at = ?, at = ?
    WHERE refused_under IS NOT NULL AND status = 'dead' AND state NOT IN ('queued', 'running')
      AND (destination = ? OR destination > ? || '/' AND destination < ? || '0') AND created_at > ? AND refused_under <> ?
      AND NOT EXISTS (SELECT 1 FROM post q WHERE q.subject = post.subject AND q.destination = post.destination AND q.seq > post.seq)`);
  const probeNow = db.prepare<null, [number, string, string, string]>(`
    UPDATE destination SET open_until = min(open_until, ?), setup = ? WHERE name = ? AND open_until IS NOT NULL AND setup <> ?`);
  const counts = db.prepare<{ name: string; waiting: number; sending: number }, []>(`
    SELECT name, sum(waiting) AS waiting, sum(sending) AS sending FROM (
      SELECT destination AS name, 1 AS waiting, 0 AS sending FROM post WHERE status = 'waiting'
      UNION ALL SELECT destination, 0, 1 FROM post WHERE status = 'sending') GROUP BY name`);

  function passage(destination: string, time: number): Passage {
    const gate = row.get(gateOf(destination));
    const until = Math.max(gate?.paused_until ?? 0, gate?.open_until ?? 0);
    const probing = typeof gate?.open_until === "number";
    const busy = typeof gate?.probe === "string";
    const open = until <= time && !busy;
    // What waits at an open circuit was held up by it, up to this moment.
    return { open, probing, heldUntil: probing ? time + 1 : until, at: busy ? null : until };
  }

  /** Lets the ends go again that this gate refused under another setup, `""` for under any. */
  function revive(name: string, setup: string, time: number): number {
    return reviveRefused.run(time, time, name, name, name, time - rememberedFor, setup).changes;
  }

  function feel(health: Health | undefined, { claim, destination, why, time }: Tried): Turned {
    const name = gateOf(destination);
    const gate = row.get(name);
    const probing = gate?.probe === claim;
    if (!health) {
      if (probing) release.run(claim);
      return null;
    }
    if (health.well) {
      if (!gate || (gate.failures === 0 && gate.open_until === null)) return null;
      closeCircuit.run(time, name);
      if (gate.open_until === null) return null;
      revive(name, "", time);
      return "closed";
    }
    // It began before the circuit opened, and says nothing new.
    if (!probing && (health.early || typeof gate?.open_until === "number")) return null;
    count.run(name);
    const failures = (gate?.failures ?? 0) + 1;
    const { limit, open_ms, longest_ms, give_up_ms, cause, setup } = health;
    if (failures < limit && !probing) return null;
    const ms = Math.min(longest_ms, open_ms * 2 ** Math.max(0, failures - limit));
    openCircuit.run(time + ms, time, cause, setup, why, name);
    if (!probing) return "opened";
    giveUp.run(`given up while the circuit was open: ${why ?? ""}`, time, name, name, name, time - give_up_ms);
    return null;
  }

  return {
    passage,
    feel,

    /** Keeps everybody from this destination until then. */
    pause: (destination: string, until: number, why: string | null): void =>
      void pause.run(gateOf(destination), until, why),

    /** Notes that this claim is the one that an open circuit lets through. */
    letThrough: (destination: string, claim: string): void => void probe.run(claim, gateOf(destination)),

    /** Forgets the probes whose claims ran out. */
    releaseLost: (time: number): void => void releaseLost.run(time),

    reconsider(setups: Record<string, string>): void {
      let any = 0;
      for (const [name, setup] of Object.entries(setups)) {
        any += probeNow.run(now(), setup, name, setup).changes + revive(name, setup, now());
      }
      if (any > 0) posts.ring();
    },

    destinations(): DestinationRow[] {
      const time = now();
      const idle = { waiting: 0, sending: 0 };
      const known = new Map(rows.all().map((gate) => [gate.name, gate]));
      const busy = new Map(counts.all().map((each) => [each.name, each]));
      return [...new Set([...known.keys(), ...busy.keys()])]
        .map((name) => rowOf(name, known.get(name), busy.get(name) ?? idle, time))
        .filter(isNotable)
        .toSorted((a, b) => (a.name < b.name ? -1 : 1));
    },
  };
}

function rowOf(
  name: string,
  gate: GateRow | undefined,
  { waiting, sending }: { waiting: number; sending: number },
  time: number,
): DestinationRow {
  const paused = gate !== undefined && gate.paused_until > time;
  const open = gate !== undefined && gate.open_until !== null;
  return {
    name,
    paused_until: paused ? gate.paused_until : null,
    failures: gate?.failures ?? 0,
    circuit: !open ? "closed" : gate.probe === null ? "open" : "half_open",
    opened_at: gate?.opened_at ?? null,
    cause: gate?.cause ?? null,
    why: paused || open ? gate.why : null,
    waiting,
    sending,
  };
}

const isNotable = ({ paused_until, failures, waiting, sending }: DestinationRow): boolean =>
  paused_until !== null || failures > 0 || waiting > 0 || sending > 0;
