import { backups, commitStep, seen, type Steps, unseen } from "./step.ts";

// Jira Automation keeps a header's value in the rule and shows it to nobody again, so the rule is duplicated, not edited.
export const jiraDoor: Steps = (about) => [
  unseen(`Jira, Project settings → Automation: duplicate the rule that posts to ${about.door ?? "the door"}`),
  unseen(
    `in the copy, Send web request: put the value of ${about.next} into the header ${about.header ?? ""}, and tick Hidden`,
  ),
  unseen("enable the copy, then disable the old rule"),
  seen("used", "move a canary issue: the rule's audit log says Success, and the new value was used"),
  seen("quiet", "nobody sends the old value any more"),
  commitStep(about),
  unseen("delete the old rule"),
  backups,
];

export const jiraRest: Steps = (about) => [
  unseen(
    `https://id.atlassian.com/manage-profile/security/api-tokens, as the automation's own account: create a token that can browse and comment in this project only, with an end date; never an administrator's`,
  ),
  seen("staged", `meshmac rotate start ${about.subject.name} --stdin < FILE`),
  seen("used", `${about.use} at ${about.site ?? "the site"} with the new token`),
  seen("quiet", "the old token was not needed any more"),
  commitStep(about),
  unseen("on the same page, revoke the old token"),
  backups,
];
