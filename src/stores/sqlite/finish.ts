import type { Result } from "../../core/records.ts";
import { lateLogs_ms } from "../../core/log-bounds.ts";
import type { LogChunk } from "../store.ts";
import type { Inside } from "./inside.ts";
import type { Changes, RunningRow } from "./run.ts";

interface AttemptRow extends RunningRow {
  state: string;
  node: string | null;
  attempt: number;
  ended_by: number | null;
  ended_at: number | null;
}

/** Makes the verbs that end a run on purpose, `finish` and `cancel`, and `drop`. */
export function finishing({ db, work, now }: Inside, { end, requeue, drop }: Changes) {
  const find = db.prepare<AttemptRow, [string]>(
    "SELECT seq, lane, lost, cancel, state, node, attempt, ended_by, ended_at FROM run WHERE run_id = ?",
  );
  const ask = db.prepare<null, [string, number]>("UPDATE run SET cancel = coalesce(cancel, ?) WHERE seq = ?");

  const former = db.prepare<{ found: 1 }, [string, number, string, number]>(
    "SELECT 1 AS found FROM former WHERE run_id = ? AND attempt = ? AND node = ? AND until > ?",
  );

  return {
    finish(result: Result): "ok" | "stale" {
      const { run_id, attempt, state, mesh_node_id } = result;
      const run = find.get(run_id);
      if (!run) return "stale";
      if (run.ended_by === attempt) return "ok";
      if (run.state !== "running" || run.node !== mesh_node_id || run.attempt !== attempt) return "stale";
      if (state !== "queued") {
        const reason = result.reason ?? (state === "cancelled" ? run.cancel : null);
        end(run.seq, { state, reason, result: JSON.stringify(result), ended_by: attempt });
      } else if (run.cancel !== null) {
        end(run.seq, { state: "cancelled", reason: run.cancel, ended_by: attempt });
      } else {
        requeue(run.seq, { ended_by: attempt });
      }
      return "ok";
    },

    cancel(run_id: string, why: string): "cancelled" | "asked" | "over" | "unknown" {
      const run = find.get(run_id);
      if (!run) return "unknown";
      if (run.state !== "queued" && run.state !== "running") return "over";
      ask.run(why, run.seq);
      if (run.state === "queued") {
        end(run.seq, { state: "cancelled", reason: run.cancel ?? why });
        return "cancelled";
      }
      work.ring();
      return "asked";
    },

    drop(run_id: string): "dropped" | "not dead" | "unknown" {
      return drop(run_id) ? "dropped" : find.get(run_id) ? "not dead" : "unknown";
    },

    /** True while this attempt of the run is leased to this node, and where it is `late`, for a while after. */
    mayLog({ run_id, attempt, node, late = false }: LogChunk): boolean {
      const run = find.get(run_id);
      if (run?.node === node && run.attempt === attempt)
        return run.state === "running" || (late && now() < (run.ended_at ?? 0) + lateLogs_ms);
      return late && former.get(run_id, attempt, node, now()) !== null;
    },
  };
}
