import { backups, commitStep, seen, type Steps, unseen } from "./step.ts";

export const admin: Steps = (about) => [
  unseen(`give the value of ${about.next} to whoever asks the admin side (browsers, scripts, a metrics scraper)`),
  seen("used", "somebody asked with the new token"),
  seen("quiet", "nobody asks with the old one any more"),
  commitStep(about),
  backups,
];

export const node: Steps = (about) => [
  unseen(
    `on ${about.node ?? "the node"}, meshmac rotate start with this value: it tries the new one first (node.token, --stdin)`,
  ),
  seen("used", "the node asked for work with the new token"),
  seen("quiet", "nobody asks with the old one any more"),
  commitStep(about),
  unseen("on the node, meshmac rotate commit"),
  backups,
];

export const connect: Steps = (about) => [
  unseen("on the gateway: meshmac rotate start nodes/<this node>.token"),
  seen("staged", `here: meshmac rotate start ${about.subject.name} --stdin, with that value`),
  unseen("on the gateway: meshmac rotate commit nodes/<this node>.token"),
  unseen(`here: meshmac rotate commit ${about.subject.name} --force (a node cannot see the gateway's evidence)`),
  backups,
];

// A user of Redis has a list of passwords; adding one and taking one away by its SHA-256 shows neither:
// https://redis.io/docs/latest/commands/acl-setuser/
export const redis: Steps = (about) => [
  unseen(`redis-cli ACL SETUSER ${about.user ?? "default"} '#${about.hash?.next ?? "<sha256 of the new value>"}'`),
  seen("loaded", "every gateway has the new password"),
  seen("used", "a gateway has shown it to Redis, which took it"),
  seen("quiet", "no connection was made with the old one"),
  commitStep(about),
  unseen(`redis-cli ACL SETUSER ${about.user ?? "default"} '!${about.hash?.current ?? "<sha256 of the old value>"}'`),
  unseen("redis-cli ACL SAVE, or CONFIG REWRITE where users stand in redis.conf"),
  backups,
];

// A key of S3 is an id and a secret that come together, and the id stands in the configuration: they change at once.
export const archive: Steps = (about) => [
  unseen("at the provider: make a second access key of the same rights"),
  seen("staged", `meshmac rotate start ${about.subject.name} --stdin < FILE`),
  unseen("put the new key's id into logs.archive.s3.access_key_id of every gateway's configuration"),
  seen("committed", `meshmac rotate commit ${about.subject.name} --force (nothing is archived with it before)`),
  unseen("restart the gateways; what was not archived meanwhile follows"),
  unseen("at the provider: delete the old access key"),
  backups,
];

export const heartbeat: Steps = (about) => [
  unseen("make a new check at the dead-man service"),
  seen("staged", `meshmac rotate start ${about.subject.name} --stdin < FILE`),
  seen("proved", "the new address was asked once and answered"),
  seen("loaded", "every gateway has the new address"),
  commitStep(about),
  unseen("delete the old check"),
  backups,
];

export const tls: Steps = (about) => [
  unseen("have a certificate issued for the host in gateway.public_url"),
  seen("staged", "cat fullchain.pem privkey.pem | meshmac rotate start tls --stdin"),
  commitStep(about),
  seen("served", "every gateway shows it to new connections (it looks at its files four times a second)"),
  unseen("revoke the old certificate where its key may be in other hands"),
  backups,
];
