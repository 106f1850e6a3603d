import { defineCommand } from "citty";

export default defineCommand({
  meta: { name: "nodes", description: "Add Macs to the pool, see them, drain and remove them" },
  subCommands: {
    add: () => import("./nodes/add.ts").then((command) => command.default),
    list: () => import("./nodes/list.ts").then((command) => command.default),
    drain: () => import("./nodes/drain.ts").then((command) => command.default),
    resume: () => import("./nodes/resume.ts").then((command) => command.default),
    remove: () => import("./nodes/remove.ts").then((command) => command.default),
  },
});
