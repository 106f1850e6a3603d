import { defineCommand } from "citty";

export default defineCommand({
  meta: {
    name: "rotate",
    description: "Replace a secret while both values work, and with proof that the new one does",
  },
  subCommands: {
    start: () => import("./rotate/start.ts").then((command) => command.default),
    status: () => import("./rotate/status.ts").then((command) => command.default),
    commit: () => import("./rotate/commit.ts").then((command) => command.default),
    abort: () => import("./rotate/abort.ts").then((command) => command.default),
    undo: () => import("./rotate/undo.ts").then((command) => command.default),
    due: () => import("./rotate/due.ts").then((command) => command.default),
  },
});
