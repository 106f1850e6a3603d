import { wishOf } from "../../core/debounce.ts";
import { aged, keptTallies } from "../../core/use.ts";
import { type DeliveryNote, type Mark, type NodeFacts, withdrawn } from "../../core/records.ts";
import { seqOf } from "../cursor.ts";
import { patienceFor } from "../hold.ts";
import { mostMeant, severalRuns } from "../several.ts";
import type { Accepted, Entry, Filter, GatewayRow, OperatorStore } from "../store.ts";
import type { Link } from "./link.ts";
import {
  alertOf,
  destinationOf,
  fields,
  held,
  laneRowOf,
  list,
  lockRowOf,
  objectOf,
  orNull,
  postOf,
  resultOf,
  runOf,
  taskOf,
  text,
  texts,
} from "./rows.ts";

const day_ms = 86_400_000;
const page = 500;

/** Makes the verbs that an operator's command may ask. */
export function operatorVerbs(link: Link): Omit<OperatorStore, "readLog"> {
  return {
    accept: (entry) => accept(link, entry),

    async list({ cursor, limit, states, ...filter }: Filter) {
      const before = cursor === undefined ? undefined : String(seqOf(cursor));
      const [next, rows, time] = list(
        await link.call("list", { ...filter, ...(states?.length && { states }), limit: Math.min(limit, 1000), before }),
      );
      const runs = list(rows).map((row) => {
        const [run_id, hash] = list(row);
        return runOf(text(run_id), fields(hash), Number(time));
      });
      return { runs, next: orNull(text(next)) };
    },

    async show(id) {
      const answer = list(await link.call("show", { id, most: mostMeant }));
      const [found, run_id, time, hash, ...posts] = answer;
      if (found === "none") return null;
      if (found === "many") throw severalRuns(id, answer.slice(1).map(text));
      const row = fields(hash);
      return {
        run: runOf(text(run_id), row, Number(time)),
        task: taskOf(row),
        result: resultOf(row),
        posts: posts.map((post) => postOf(fields(post))),
        cancel: orNull(row.cancel),
        locks: row.state === "running" && row.locks ? texts(JSON.parse(row.locks)) : [],
        lock_wait_ms:
          Number(row.lock_wait ?? 0) + (row.lock_since ? Number(row.ended_at ?? time) - Number(row.lock_since) : 0),
      };
    },

    async cancel(run_id, why) {
      const said = await link.call("cancel", { run_id, why });
      return said === "cancelled" || said === "asked" || said === "over" ? said : "unknown";
    },

    async drop(run_id) {
      const said = await link.call("drop", { run_id });
      return said === "dropped" || said === "not dead" ? said : "unknown";
    },

    async lanes() {
      const [lanes, locks] = list(await link.call("lanes", {}));
      return {
        lanes: list(lanes)
          .map(laneRowOf)
          .toSorted((a, b) => byName(a.lane, b.lane)),
        locks: list(locks)
          .map(lockRowOf)
          .toSorted((a, b) => byName(a.lock, b.lock)),
      };
    },

    async pause(lane, why) {
      await link.call("pause", { lane, ...(why !== null && { why }) });
    },

    async hold(ask) {
      return (await link.call("hold", { ...ask, want_ms: patienceFor(ask.ttl_ms) })) === 1;
    },

    async unhold(token) {
      await link.call("unhold", { token });
    },

    async nodes() {
      const rows = list(await link.call("nodes", {}));
      return rows.map((row) => {
        const [node, facts, last_seen, why, running] = list(row);
        return {
          node: text(node),
          facts: objectOf<NodeFacts>(facts),
          last_seen: Number(last_seen),
          mode: why === null || why === undefined ? ("active" as const) : ("drained" as const),
          why: orNull(text(why)),
          running: texts(running).map(held),
        };
      });
    },

    async mode(node, mode, why) {
      const said = await link.call("mode", { node, ...(mode === "drained" && { drained: why ?? "" }) });
      return said === 1 ? "ok" : "unknown";
    },

    async forget(node, force) {
      const said = await link.call("forget", { node, force });
      return said === "ok" || said === "busy" ? said : "unknown";
    },

    async gateways() {
      const rows = list(await link.call("gateways", {}));
      return rows.map((row) => {
        const [gateway, facts, last_seen, silent_ms] = list(row);
        return {
          gateway: text(gateway),
          facts: objectOf<GatewayRow["facts"]>(facts),
          last_seen: Number(last_seen),
          silent_ms: Math.max(0, Number(silent_ms)),
        };
      });
    },

    async uses() {
      return list(await link.call("uses", {})).map((row) => {
        const [gateway, uses, silent] = list(row);
        const silent_ms = Math.max(0, Number(silent));
        return { gateway: text(gateway), silent_ms, uses: aged(JSON.parse(text(uses)), silent_ms) };
      });
    },

    async tally(gateway, uses) {
      const kept = { keep_ms: keptTallies.ms, gateways: keptTallies.gateways };
      await link.call("tally", { gateway, uses: JSON.stringify(uses), ...kept });
    },

    async destinations() {
      const [now, ...rows] = list(await link.call("destinations", {}));
      return rows
        .map((row) => destinationOf(row, Number(now)))
        .filter(
          ({ paused_until, failures, waiting, sending }) => paused_until !== null || failures + waiting + sending > 0,
        )
        .toSorted((a, b) => (a.name < b.name ? -1 : 1));
    },

    async alerts() {
      return list(await link.call("alerts", {})).map(alertOf);
    },

    async posts(subject) {
      const [found, ...posts] = list(await link.call("posts", { subject }));
      return found === "untold" ? null : posts.map((post) => postOf(fields(post)));
    },

    async deliveries(limit, outcome) {
      const found: DeliveryNote[] = [];
      for (let before = "+"; found.length < limit;) {
        const entries = await link.newest("seen", before, page);
        for (const [, written] of entries) {
          const note: DeliveryNote = JSON.parse(written);
          if (found.length < limit && (!outcome || note.outcome === outcome)) found.push(note);
        }
        const last = entries.at(-1);
        if (!last || entries.length < page) break;
        before = `(${last[0]}`;
      }
      return found;
    },
  };
}

const byName = (one: string, other: string): number => (one < other ? -1 : 1);

async function accept(link: Link, { task, marks, seen_at, retry_of, debounce }: Entry): Promise<Accepted> {
  const reply = texts(
    await link.call(
      "accept",
      {
        run_id: task.run_id,
        marks: retry_of ? [] : marks.map(kept),
        seen_at,
        withdrawn,
        lane: task.lane,
        script: task.script,
        source: task.source,
        issue_key: task.issue_key,
        retry_of: retry_of ?? "",
        ...(debounce && { ...debounce, wish: wishOf(task) }),
      },
      JSON.stringify(task),
    ),
  );
  const [status, run_id = ""] = reply;
  return { status: status === "duplicate" ? status : "queued", run_id };
}

// `seen_at` decides, and a delivery may come late (it lay in a spool): a mark outlives its window by a day, a canary's does not.
const kept = ({ key, window_ms, only }: Mark) => ({
  key,
  window_ms,
  only,
  keep_ms: key.startsWith("p/") ? window_ms : window_ms + day_ms,
});
