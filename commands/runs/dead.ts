import { defineCommand } from "citty";

export default defineCommand({
  meta: { name: "dead", description: "Runs whose leases ran out too often" },
  subCommands: {
    list: () => import("./dead/list.ts").then((command) => command.default),
    retry: () => import("./dead/retry.ts").then((command) => command.default),
    drop: () => import("./dead/drop.ts").then((command) => command.default),
  },
});
