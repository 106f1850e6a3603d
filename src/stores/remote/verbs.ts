import type { NodeStore, OperatorStore } from "../store.ts";
import { type Asking, waitMs } from "./ask.ts";
import * as wire from "./protocol.ts";
import { usesSaid } from "./uses.ts";

/** A node's verbs, asked of another process. */
export function nodeVerbs({ ask, give }: Asking): NodeStore {
  return {
    async lease(asked, wait) {
      if (wait?.signal?.aborted) return null;
      try {
        return (await ask("node/lease", { ask: asked, wait_ms: waitMs(wait) }, wire.leaseSaid, wait)).lease;
      } catch (error) {
        if (wait?.signal?.aborted) return null;
        throw error;
      }
    },
    async renew(node, held, wait) {
      const now = () => ask("node/renew", { node, held, wait_ms: 0 }, wire.renewSaid);
      if (!wait || wait.signal?.aborted) return await now();
      try {
        return await ask("node/renew", { node, held, wait_ms: waitMs(wait) }, wire.renewSaid, wait);
      } catch (error) {
        if (wait.signal?.aborted) return await now();
        throw error;
      }
    },
    async log({ node, run_id, attempt, offset, bytes, late }) {
      const where = new URLSearchParams({ node, run_id, attempt: String(attempt), offset: String(offset) });
      if (late) where.set("late", "1");
      return (await give(`node/log?${where}`, bytes, wire.logSaid)).next;
    },
    finish: async (result) => (await ask("node/finish", result, wire.finishSaid)).said,
    report: async (report) => (await ask("node/report", report, wire.reportSaid)).said,
    close: async () => {},
  };
}

/** An operator's verbs, asked of another process. */
export function operatorVerbs({ ask, fetchBytes }: Asking): OperatorStore {
  return {
    list: (filter) => ask("operator/list", filter, wire.listSaid),
    show: async (id) => (await ask("operator/show", { id }, wire.showSaid)).shown,
    async readLog(run_id, attempt, from, limit) {
      const { bytes, headers } = await fetchBytes("operator/read-log", { run_id, attempt, from, limit });
      const number = (name: string) => Number(headers.get(name) ?? from);
      return { bytes, next: number(wire.readLogHeaders.next), size: number(wire.readLogHeaders.size) };
    },
    cancel: async (run_id, why) => (await ask("operator/cancel", { run_id, why }, wire.cancelSaid)).said,
    accept: (entry) => ask("operator/accept", entry, wire.acceptSaid),
    drop: async (run_id) => (await ask("operator/drop", { run_id }, wire.dropSaid)).said,
    lanes: () => ask("operator/lanes", {}, wire.lanesSaid),
    pause: async (lane, why) => void (await ask("operator/pause", { lane, why }, wire.done)),
    hold: async (asked) => (await ask("operator/hold", asked, wire.holdSaid)).held,
    unhold: async (token) => void (await ask("operator/unhold", { token }, wire.done)),
    nodes: async () => (await ask("operator/nodes", {}, wire.nodesSaid)).nodes,
    mode: async (node, mode, why) => (await ask("operator/mode", { node, mode, why }, wire.modeSaid)).said,
    forget: async (node, force) => (await ask("operator/forget", { node, force }, wire.forgetSaid)).said,
    alerts: async () => (await ask("operator/alerts", {}, wire.alertsSaid)).alerts,
    gateways: async () => (await ask("operator/gateways", {}, wire.gatewaysSaid)).gateways,
    uses: async () => (await ask("operator/uses", {}, usesSaid)).tallies,
    tally: async (gateway, uses) => void (await ask("operator/tally", { gateway, uses }, wire.done)),
    destinations: async () => (await ask("operator/destinations", {}, wire.destinationsSaid)).destinations,
    posts: async (subject) => (await ask("operator/posts", { subject }, wire.postsSaid)).posts,
    deliveries: async (limit, outcome) =>
      (await ask("operator/deliveries", { limit, ...(outcome && { outcome }) }, wire.deliveriesSaid)).deliveries,
  };
}
