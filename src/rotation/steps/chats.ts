import { type About, backups, commitStep, seen, type Step, type Steps, unseen } from "./step.ts";

const swap = (about: About, make: string, remove: string): Step[] => [
  unseen(make),
  seen("staged", `meshmac rotate start ${about.subject.name} --stdin < FILE`),
  seen("proved", "the test post with the new value was taken; look that it came to the right channel"),
  seen("loaded", "every gateway has the new value"),
  commitStep(about),
  unseen(remove),
  backups,
];

export const mattermost: Steps = (about) =>
  swap(
    about,
    "Mattermost, Integrations → Incoming Webhooks → Add: the same channel, locked to it (of a bot: Integrations → Bot Accounts → Create New Token)",
    "Mattermost: delete the old webhook, or the bot's old token",
  );

export const slack: Steps = (about) =>
  swap(
    about,
    "https://api.slack.com/apps, the app → Incoming Webhooks → Add New Webhook to Workspace: the same channel (of a bot: Install App → Reinstall)",
    "on the same page, remove the old webhook",
  );

// The other side has one token at a time: a gap cannot be had shorter than the time between these two steps.
export const oneAtATime: Steps = (about) => [
  unseen(
    `${about.subject.system}: change the token (Telegram: /revoke at @BotFather); the old one ends at once, so do the next two right away`,
  ),
  seen("staged", `meshmac rotate start ${about.subject.name} --stdin < FILE`),
  seen("proved", "the test post with the new token was taken"),
  commitStep(about),
  backups,
];

export const anyChat: Steps = (about) =>
  swap(
    about,
    `${about.subject.system}: make a new address or token of the same rights (docs/chats.md)`,
    `${about.subject.system}: delete the old one`,
  );

// Both signatures are sent while a key is staged: https://www.standardwebhooks.com
export const signing: Steps = (about) => [
  unseen(
    `add the value of ${about.next} to the keys that the receiver of ${about.entry} accepts; it gets both signatures until the commit`,
  ),
  seen("proved", "the test post, signed with the new key alone, was taken"),
  seen("loaded", "every gateway has the new key"),
  commitStep(about),
  unseen("take the old key from the receiver"),
  backups,
];

export const pager: Steps = (about) => [
  unseen(`${about.subject.system}: add a second integration of the same kind to the same service, and copy its key`),
  seen("staged", `meshmac rotate start ${about.subject.name} --stdin < FILE`),
  seen("proved", `meshmac rotate start ${about.subject.name} --test pages once, marked as a test, and takes it back`),
  seen("loaded", "every gateway has the new key"),
  commitStep(about),
  unseen(
    "wait until no page of the old key is open, or resolve it by hand: a page is taken back with the key that opened it, which is kept for undo_for",
  ),
  unseen(`${about.subject.system}: delete the old integration`),
  backups,
];
