import { defineCommand } from "citty";

export default defineCommand({
  meta: { name: "config", description: "Look at the configuration" },
  subCommands: {
    show: () => import("./config/show.ts").then((command) => command.default),
    schema: () => import("./config/schema.ts").then((command) => command.default),
    check: () => import("./config/check.ts").then((command) => command.default),
  },
});
