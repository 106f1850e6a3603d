import { live, listFact, textFact } from "./silence.ts";
import { defineCheck } from "./check.ts";

/** Asks whether a gateway lives, sends and can page, and whether all are of one version. */
export const gateways = defineCheck({
  name: "gateways",
  on: "gateway",
  faults: {
    "gateway-none": { severity: "error", breaks: "no delivery is taken and nothing is announced" },
    "gateway-none-sends": { severity: "error", breaks: "deliveries are taken, and nobody is told of anything" },
    "gateway-versions": {
      severity: "warning",
      breaks: "gateways that do not agree may treat one delivery in two ways",
    },
    "logs-failing": { severity: "error", breaks: "what builds print is cut short, or is kept here alone" },
    "page-failed": { severity: "error", breaks: "people on call have not been told of a fault" },
  },
  async look(scene) {
    const rows = live(await (await scene.store()).gateways());
    if (rows.length === 0) {
      const says = "no gateway has shown itself within a minute";
      return [{ id: "gateway-none" as const, about: scene.config.pool, says, fix: "start one: meshmac serve" }];
    }
    const versions = new Set(rows.map((row) => textFact(row, "version") ?? "unknown"));
    return [
      ...(rows.some(({ facts }) => facts.sends !== false)
        ? []
        : [
            {
              id: "gateway-none-sends" as const,
              about: scene.config.pool,
              says: `every live gateway is a standby (gateway.sends: false): ${rows.map(({ gateway }) => gateway).join(", ")}`,
              fix: "set gateway.sends: true on one of them and restart it",
            },
          ]),
      ...(versions.size < 2
        ? []
        : [
            {
              id: "gateway-versions" as const,
              about: scene.config.pool,
              says: `the live gateways run ${rows.map((row) => `${textFact(row, "version") ?? "unknown"} (${row.gateway})`).join(", ")}`,
              fix: "install the newest one everywhere and restart",
            },
          ]),
      ...rows.flatMap((row) =>
        listFact(row, "log_notes").map((note) => ({
          id: "logs-failing" as const,
          about: `${row.gateway}: ${note}`,
          says: note,
          fix: "free space under `state_dir`, or correct `logs.archive`; meshmac goes on trying",
        })),
      ),
      ...rows.flatMap((row) =>
        listFact(row, "notes").map((note) => ({
          id: "page-failed" as const,
          about: `${row.gateway}: ${note}`,
          says: note,
          fix: "try the pager by itself: meshmac notify --test NAME, and correct its entry under `pagers`",
        })),
      ),
    ];
  },
});
