import { defineCommand } from "citty";

export default defineCommand({
  meta: { name: "config", description: "Look at the configuration" },
  subCommands: {
    check: () => import("./config/check.ts").then((command) => command.default),
  },
});
