import { humanDuration } from "../core/units.ts";
import { call } from "../http.ts";
import { defineCheck, type Scene } from "./check.ts";

const skewed = 10_000;

/** Compares this machine's clock with the store's. Where none is to be asked, there is nothing to say. */
export const nodeClock = defineCheck({
  name: "clock",
  on: "node",
  faults: {
    "node-clock-skew": {
      severity: "warning",
      breaks: "the times of its logs and builds are wrong; far off, certificates are refused and signatures invalid",
    },
  },
  async look(scene) {
    const before = scene.now();
    const theirs = await (scene.config.node.connect === undefined ? ofStore(scene) : ofGateway(scene));
    const after = scene.now();
    if (theirs === null) return [];
    // The answer was made somewhere between.
    const ahead = theirs < before ? before - theirs : Math.min(0, after - theirs);
    if (Math.abs(ahead) < skewed) return [];
    const says = `this clock is ${humanDuration(Math.abs(ahead))} ${ahead > 0 ? "ahead of" : "behind"} the store's`;
    const fix = scene.platform === "darwin" ? "sudo sntp -sS time.apple.com" : "turn NTP on: timedatectl set-ntp true";
    return [{ id: "node-clock-skew" as const, about: scene.config.node.id, says, fix }];
  },
});

/** A row of a gateway says when it was seen and how long ago that is, both by the store's clock. */
async function ofStore(scene: Scene): Promise<number | null> {
  const [row] = await (await scene.store()).gateways();
  return row ? row.last_seen + row.silent_ms : null;
}

async function ofGateway({ config: { node } }: Scene): Promise<number | null> {
  if (node.connect === undefined) return null;
  const { timeout, connect, ...way } = node;
  const { headers } = await call({ method: "GET", url: `${connect}/healthz`, way, timeout_ms: timeout });
  const date = Date.parse(headers.get("date") ?? "");
  return Number.isNaN(date) ? null : date + 500; // it counts in whole seconds
}
