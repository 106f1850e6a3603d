import type { Config } from "../config.ts";
import { durabilityOf, isUnfit } from "./redis.ts";
import { openForNode } from "../stores/open.ts";
import { live, textFact } from "./silence.ts";
import { defineCheck, type Finding } from "./check.ts";
import { hintOf, whyOf } from "./why.ts";

type Id = "store-unreachable" | "store-not-power-safe";

/** Asks whether the store answers, and what it keeps when the power goes. */
export const store = defineCheck<Id>({
  name: "store",
  on: "any",
  faults: {
    "store-unreachable": { severity: "error", breaks: "nothing is accepted, built or announced" },
    "store-not-power-safe": {
      severity: "warning",
      breaks: "a power cut can lose the deliveries of its last seconds; a kill -9 cannot",
    },
  },
  async look(scene) {
    if (scene.config.node.connect !== undefined)
      return await lookThroughGateway(scene.config, scene.config.node.connect);
    const survey = await scene.survey().catch(() => null);
    if (survey && isUnfit(survey)) return []; // its own findings say why
    try {
      const rows = await (await scene.store()).gateways();
      const [gateway] = live(rows);
      // A node's user may not read what decides it; the gateway's may.
      const known = survey?.settings.appendfsync !== undefined ? durabilityOf(survey) : null;
      const said = known ?? (gateway && textFact(gateway, "durability"));
      return said && said !== "power-safe" ? [notPowerSafe(said)] : [];
    } catch (fault) {
      const about = scene.config.store.kind === "sqlite" ? scene.config.store.path : "store";
      const fix = hintOf(fault, "start it, or correct `store` in the configuration");
      return [{ id: "store-unreachable", about, says: whyOf(fault), fix }];
    }
  },
});

/** A node over HTTPS renews nothing: that asks for its gateway, its token and its certificates, and changes no run. */
async function lookThroughGateway(config: Config, connect: string): Promise<Finding<Id>[]> {
  try {
    const gateway = await openForNode(config);
    await gateway.renew(config.node.id, []);
    return [];
  } catch (fault) {
    const fix = hintOf(fault, "correct `node.connect`");
    return [{ id: "store-unreachable", about: `node.connect ${new URL(connect).host}`, says: whyOf(fault), fix }];
  }
}

const notPowerSafe = (said: string): Finding<Id> => ({
  id: "store-not-power-safe",
  about: "store",
  says: `the store is ${said}`,
  fix: said.includes("rewrite")
    ? "set `no-appendfsync-on-rewrite no` in the configuration of Redis"
    : "set `appendfsync always` in the configuration of Redis, or --skip store-not-power-safe where that is meant so",
});
