import type { Json } from "../../core/json.ts";
import type { DeliveryNote } from "../../core/records.ts";
import type { AlertRow, GatewayRow, NodeRow } from "../store.ts";
import type { Inside } from "./inside.ts";

interface NodeRecord {
  node: string;
  facts: string;
  last_seen: number;
  mode: "active" | "drained";
  why: string | null;
}

/** Makes the verbs that keep the house's own notes: nodes, deliveries, beats and alerts. */
export function noting(inside: Inside) {
  const { db, now, work } = inside;
  const allNodes = db.prepare<NodeRecord, []>("SELECT node, facts, last_seen, mode, why FROM node ORDER BY node");
  const allGateways = db.prepare<{ gateway: string; facts: string; last_seen: number }, []>(
    "SELECT gateway, facts, last_seen FROM gateway ORDER BY gateway",
  );
  const running = db.prepare<{ node: string; run_id: string; attempt: number }, []>(
    "SELECT node, run_id, attempt FROM run INDEXED BY run_leased WHERE state = 'running' ORDER BY seq",
  );
  const setMode = db.prepare<null, [string, string | null, string]>("UPDATE node SET mode = ?, why = ? WHERE node = ?");
  const holds = db.prepare<{ yes: number }, [string]>(
    "SELECT EXISTS (SELECT 1 FROM run INDEXED BY run_leased WHERE state = 'running' AND node = ?) AS yes",
  );
  const forgetNode = db.prepare<null, [string]>("DELETE FROM node WHERE node = ?");
  const allDeliveries = db.prepare<DeliveryNote, [number]>(
    "SELECT at, source, correlation_id, outcome, reason, run_id, issue_key FROM delivery ORDER BY id DESC LIMIT ?",
  );
  const someDeliveries = db.prepare<DeliveryNote, [string, number]>(
    "SELECT at, source, correlation_id, outcome, reason, run_id, issue_key FROM delivery WHERE outcome = ? ORDER BY id DESC LIMIT ?",
  );
  const addDelivery = db.prepare<null, [number, string, string, string, string | null, string | null, string | null]>(
    "INSERT INTO delivery (at, source, correlation_id, outcome, reason, run_id, issue_key) VALUES (?, ?, ?, ?, ?, ?, ?)",
  );
  const trimDeliveries = db.prepare<null, [number]>(
    "DELETE FROM delivery WHERE id <= (SELECT max(id) FROM delivery) - ?",
  );
  const beat = db.prepare<null, [string, string, number]>(`
    INSERT INTO gateway (gateway, facts, last_seen) VALUES (?, ?, ?)
    ON CONFLICT (gateway) DO UPDATE SET facts = excluded.facts, last_seen = excluded.last_seen`);
  const open = db.prepare<null, [string, number, string | null]>(`
    INSERT INTO alert (alert_key, opened_at, opened_with) VALUES (?, ?, ?)
    ON CONFLICT (alert_key) DO UPDATE SET opened_at = excluded.opened_at, opened_with = excluded.opened_with, resolved_at = NULL
    WHERE resolved_at IS NOT NULL`);
  const resolve = db.prepare<null, [number, string]>(
    "UPDATE alert SET resolved_at = ? WHERE alert_key = ? AND resolved_at IS NULL",
  );
  const forget = db.prepare<null, [number]>("DELETE FROM alert WHERE resolved_at < ?");
  const allAlerts = db.prepare<{ key: string; open: number; at: number; opened_with: string | null }, []>(`
    SELECT alert_key AS key, resolved_at IS NULL AS open, coalesce(resolved_at, opened_at) AS at, opened_with FROM alert ORDER BY alert_key`);

  return {
    nodes(): NodeRow[] {
      const held = running.all();
      return allNodes.all().map(({ facts, ...row }) => ({
        ...row,
        facts: JSON.parse(facts),
        running: held.filter(({ node }) => node === row.node).map(({ run_id, attempt }) => ({ run_id, attempt })),
      }));
    },

    mode(node: string, mode: NodeRow["mode"], why: string | null): "ok" | "unknown" {
      if (setMode.run(mode, mode === "drained" ? why : null, node).changes === 0) return "unknown";
      if (mode === "active") work.ring();
      return "ok";
    },

    forget(node: string, force: boolean): "ok" | "busy" | "unknown" {
      if (!force && holds.get(node)?.yes) return "busy";
      return forgetNode.run(node).changes === 0 ? "unknown" : "ok";
    },

    gateways: (): GatewayRow[] =>
      allGateways.all().map(({ facts, ...row }) => ({
        ...row,
        facts: JSON.parse(facts),
        silent_ms: Math.max(0, now() - row.last_seen),
      })),

    deliveries: (limit: number, outcome?: DeliveryNote["outcome"]): DeliveryNote[] =>
      outcome === undefined ? allDeliveries.all(limit) : someDeliveries.all(outcome, limit),

    note(deliveries: DeliveryNote[]): void {
      for (const { at, source, correlation_id, outcome, reason, run_id, issue_key } of deliveries) {
        addDelivery.run(at, source, correlation_id, outcome, reason, run_id, issue_key);
      }
      trimDeliveries.run(inside.rules.keep.deliveries);
    },

    beat: (gateway: string, facts: Record<string, Json>): void => void beat.run(gateway, JSON.stringify(facts), now()),

    alert(key: string, what: "open" | "resolve", opened_with?: string): boolean {
      const time = now();
      if (what === "open") return open.run(key, time, opened_with ?? null).changes > 0;
      forget.run(time - Math.max(inside.rules.keep.runs_ms, shortestMemory));
      return resolve.run(time, key).changes > 0;
    },

    alerts: (): AlertRow[] => allAlerts.all().map((row) => ({ ...row, open: row.open === 1 })),
  };
}

// What was resolved is still known for a day, however little is kept.
const shortestMemory = 86_400_000;
