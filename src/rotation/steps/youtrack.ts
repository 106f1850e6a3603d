import { backups, commitStep, seen, type Steps, unseen } from "./step.ts";

export const youtrackDoor: Steps = (about) => [
  unseen(
    `YouTrack, the project's settings → Apps → Webhook Triggers → Settings: put the value of ${about.next} into the token's field, no space before or after; the header stays ${about.header ?? ""}`,
  ),
  seen("used", "move one issue as a synthetic transition: the new value was used"),
  seen("quiet", "nobody sends the old value any more (every project that has the app was changed)"),
  commitStep(about),
  backups,
];

export const youtrackRest: Steps = (about) => [
  unseen(
    "Hub, the automation account's profile → Account Security → New token: scope YouTrack; the account may read issues and add comments in this project, and nothing else",
  ),
  seen("staged", `meshmac rotate start ${about.subject.name} --stdin < FILE`),
  seen("used", `${about.use} at ${about.site ?? "the site"} with the new token`),
  seen("quiet", "the old token was not needed for the time of the dual run (15 minutes unless configured)"),
  commitStep(about),
  unseen("in Hub, delete the old token"),
  backups,
];
