import { defineCommand } from "citty";

export default defineCommand({
  meta: { name: "runs", description: "Look at runs, their logs, cancel and retry them" },
  subCommands: {
    list: () => import("./runs/list.ts").then((command) => command.default),
    show: () => import("./runs/show.ts").then((command) => command.default),
    logs: () => import("./runs/logs.ts").then((command) => command.default),
    cancel: () => import("./runs/cancel.ts").then((command) => command.default),
    retry: () => import("./runs/retry.ts").then((command) => command.default),
    dead: () => import("./runs/dead.ts").then((command) => command.default),
    ignored: () => import("./runs/ignored.ts").then((command) => command.default),
  },
});
