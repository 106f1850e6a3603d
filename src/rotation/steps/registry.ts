import type { Subject } from "../subjects.ts";
import { anyChat, mattermost, oneAtATime, pager, signing, slack } from "./chats.ts";
import { githubDoor, githubRest, gitlabDoor, gitlabRest, linearDoor, linearRest } from "./forges.ts";
import { admin, archive, connect, heartbeat, node, redis, tls } from "./house.ts";
import { jiraDoor, jiraRest } from "./jira.ts";
import type { About, Step, Steps } from "./step.ts";
import { backups, commitStep, seen, unseen } from "./step.ts";
import { youtrackDoor, youtrackRest } from "./youtrack.ts";

// What to do on the other side, by kind and system. To add a system: a file beside this one, a line here.
const registry: Record<string, Steps> = {
  "door jira": jiraDoor,
  "rest jira": jiraRest,
  "door youtrack": youtrackDoor,
  "rest youtrack": youtrackRest,
  "door github": githubDoor,
  "rest github": githubRest,
  "door gitlab": gitlabDoor,
  "rest gitlab": gitlabRest,
  "door linear": linearDoor,
  "rest linear": linearRest,
  "chat mattermost": mattermost,
  "chat slack": slack,
  "chat telegram": oneAtATime,
  "chat openclaw": oneAtATime,
  chat: anyChat,
  signing,
  pager,
  admin,
  node,
  connect,
  redis,
  archive,
  heartbeat,
  tls,
  door: (about) => [
    unseen(
      `${about.subject.system}: send the value of ${about.next} in ${about.header ?? "the header"} to ${about.door ?? "the door"}`,
    ),
    seen("used", "a delivery came with the new value"),
    seen("quiet", "nobody sends the old value any more"),
    commitStep(about),
    backups,
  ],
  rest: (about) => [
    unseen(`${about.subject.system}: make a second token of the same rights`),
    seen("staged", `meshmac rotate start ${about.subject.name} --stdin < FILE`),
    seen("used", "a comment was posted with the new token"),
    seen("quiet", "the old token was not needed any more"),
    commitStep(about),
    unseen(`${about.subject.system}: delete the old token`),
    backups,
  ],
};

/** The exact steps of one rotation, in order. */
export function stepsFor({ kind, system }: Subject, about: About): Step[] {
  const steps = registry[`${kind} ${system}`] ?? registry[kind];
  return steps?.(about) ?? [commitStep(about), backups];
}
