import { defineCommand } from "citty";

export default defineCommand({
  meta: { name: "lanes", description: "Look at lanes and locks, pause and resume lanes, hold a lock" },
  subCommands: {
    list: () => import("./lanes/list.ts").then((command) => command.default),
    pause: () => import("./lanes/pause.ts").then((command) => command.default),
    resume: () => import("./lanes/resume.ts").then((command) => command.default),
    hold: () => import("./lanes/hold.ts").then((command) => command.default),
  },
});
