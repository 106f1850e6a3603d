import { backups, commitStep, seen, type Steps, unseen } from "./step.ts";

// A forge keeps one secret per webhook and signs with it; while it is changed, both are accepted here.
const hook =
  (where: string): Steps =>
  (about) => [
    unseen(
      `${where}: put the value of ${about.next} into the secret of the webhook that posts to ${about.door ?? "the door"}`,
    ),
    seen("used", "redeliver the last delivery from its log, or wait for the next: the new value was used"),
    seen("quiet", "no other webhook, of another repository or project, has the old value"),
    commitStep(about),
    backups,
  ];

const token =
  (make: string, remove: string): Steps =>
  (about) => [
    unseen(make),
    seen("staged", `meshmac rotate start ${about.subject.name} --stdin < FILE`),
    seen("used", "a failed build was commented on with the new token"),
    seen("quiet", "the old token was not needed any more"),
    commitStep(about),
    unseen(remove),
    backups,
  ];

export const githubDoor = hook("GitHub, the repository's (or organisation's) Settings → Webhooks → Edit → Secret");
export const gitlabDoor = hook(
  "GitLab, the project's (or group's) Settings → Webhooks → Edit → Secret token, or Signing token",
);

export const githubRest = token(
  "GitHub, as the automation's own account: Settings → Developer settings → Fine-grained tokens: this repository alone, Issues read and write",
  "on the same page, delete the old token",
);
export const gitlabRest = token(
  "GitLab, the project's Settings → Access tokens: a project token that may comment and no more, with an end date",
  "on the same page, revoke the old token",
);
export const linearRest = token(
  "Linear, Settings → Security & access → Personal API keys, as the automation's own account: a key that may create comments",
  "on the same page, revoke the old key",
);

// Linear draws the signing secret of a webhook itself, so a new one comes with a new webhook.
export const linearDoor: Steps = (about) => [
  unseen(
    `Linear, Settings → API → Webhooks: make a second webhook like the first, to ${about.door ?? "the door"}, disabled, and copy its signing secret`,
  ),
  seen("staged", `meshmac rotate start ${about.subject.name} --stdin < FILE`),
  unseen("enable the new webhook, then disable the old one; what both send is one run"),
  seen("used", "a delivery came that was signed with the new secret"),
  seen("quiet", "nothing comes signed with the old one any more"),
  commitStep(about),
  unseen("delete the old webhook"),
  backups,
];
