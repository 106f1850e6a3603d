import { isObject, text } from "../core/json.ts";
import { defineCheck } from "./check.ts";
import { live } from "./silence.ts";

/** Asks every live gateway whether it runs by what its configuration file says now. */
export const followed = defineCheck({
  name: "followed",
  on: "gateway",
  faults: {
    "config-not-loaded": { severity: "error", breaks: "what was changed has no effect, and a restart would fail" },
    "config-needs-restart": { severity: "warning", breaks: "this part of what was changed has no effect yet" },
  },
  async look(scene) {
    const rows = live(await (await scene.store()).gateways());
    return rows.flatMap(({ gateway, facts: { config } }) => {
      if (!isObject(config)) return [];
      const refused = text(config.refused);
      const places = Array.isArray(config.needs_restart) ? config.needs_restart.map(text) : [];
      return [
        ...(refused === ""
          ? []
          : [
              {
                id: "config-not-loaded" as const,
                about: gateway,
                says: `it runs by what the file said before: ${refused}`,
                fix: "correct what `meshmac config check --secrets` says on its machine; it is read again by itself",
              },
            ]),
        ...places.map((place) => ({
          id: "config-needs-restart" as const,
          about: `${gateway}: ${place}`,
          says: `${place} is another in the file than the one that runs`,
          fix: "restart that gateway, or take the change back",
        })),
      ];
    });
  },
});
