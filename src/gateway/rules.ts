import type { Config } from "../config.ts";
import type { Rules } from "../stores/store.ts";

/** Makes of the configuration what the store enforces: lanes, locks, lease numbers, retention, where links begin. */
export function rulesOf(config: Config): Rules {
  const lanes = Object.entries(config.lanes).map(([name, lane]) => [
    name,
    {
      needs: lane.needs,
      priority: lane.priority,
      timeout_ms: lane.timeout,
      max_lost: lane.max_lost,
      locks: lane.locks,
      limit: lane.limit ?? null,
      cancel_previous: lane.cancel_previous,
      max_depth: lane.max_depth ?? null,
    },
  ]);
  return {
    lanes: Object.fromEntries(lanes) as Rules["lanes"],
    locks: config.locks,
    lease: { ttl_ms: config.lease.ttl, heartbeat_ms: config.lease.heartbeat, fence_ms: config.lease.fence },
    keep: {
      runs_ms: config.keep.runs,
      logs_ms: config.keep.logs,
      log_bytes: config.keep.log_bytes,
      deliveries: config.keep.deliveries,
    },
    log_limit: config.logs.limit,
    admin_url: config.gateway.admin.url ?? null,
  };
}
