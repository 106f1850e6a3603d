import { defineCommand } from "citty";

export default defineCommand({
  meta: { name: "service", description: "Have launchd or systemd run the worker or the gateway" },
  subCommands: {
    install: () => import("./service/install.ts").then((command) => command.default),
    uninstall: () => import("./service/uninstall.ts").then((command) => command.default),
    status: () => import("./service/status.ts").then((command) => command.default),
    print: () => import("./service/print.ts").then((command) => command.default),
  },
});
