import { type Config, placesOf } from "../config.ts";
import type { Archive } from "../core/archive.ts";
import type { Report } from "../core/records.ts";
import { maskPatterns } from "../core/redact.ts";
import { log, redactLog } from "../log.ts";
import type { Vault } from "../secrets.ts";
import type { Entry, NodeStore, Store } from "../stores/store.ts";
import { startAnnouncer } from "./announce.ts";
import { startArchiver } from "./archive-logs.ts";
import { destinationsFrom } from "./destinations.ts";
import { pagersFrom } from "./escalate-pagers.ts";
import { type Escalation, startEscalation } from "./escalate.ts";
import { startHeartbeat } from "./heartbeat.ts";
import { maskedReport, maskedStore, maskedTask, type Masks, masksOf } from "./masked-store.ts";
import type { DeliveryStep } from "./outcome.ts";
import { startReaper } from "./reap.ts";
import { startReconciler } from "./reconcile.ts";
import { rulesOf } from "./rules.ts";
import { startSender } from "./send.ts";
import { startLoop } from "./stir.ts";
import { openServer, type Server } from "./server.ts";
import { startUses } from "./uses.ts";

export interface GatewayOptions {
  config: Config;
  vault: Vault;
  store: Store;
  /** Where logs go when their attempts are over. */
  archive?: Archive | undefined;
  /** Where a `console` chat prints. */
  print: (line: string) => void;
  /** Hears what became of every delivery. */
  on?: (step: DeliveryStep) => void;
}

export interface Gateway extends Pick<Server, "publicUrl" | "adminUrl" | "nodesUrl" | "socket" | "doors"> {
  /** The store as a worker in this process may reach it: what it hands in is masked first. */
  nodeStore: NodeStore;
  /** Says 503 on `/readyz`, keeps the doors open for `drain_delay`, finishes what it accepted, then resolves. */
  drain(): Promise<void>;
  /** Closes the doors and loops now. */
  stop(): Promise<void>;
}

const republishEvery = 15_000;

/** Opens everything a gateway is: doors, admin side, socket, announcing, sending, paging, reaping. The caller owns the store. */
export async function openGateway({
  config,
  vault,
  store: plain,
  archive,
  print,
  on,
}: GatewayOptions): Promise<Gateway> {
  const masks = masksOf(vault);
  const mask = (text: string) => maskPatterns(masks.text(text));
  redactLog(masks.text);
  const store = maskingStrangers(plain, masks);
  const published = keepPublished(store, config);
  let escalation: Escalation | undefined;
  const archiver = startArchiver({ store, archive, state_dir: config.state_dir, mask: masks.bytes });
  const pageNotes = () => escalation?.notes() ?? [];
  const logNotes = () => [...store.notes(), ...archiver.notes()];
  const notes = () => [...pageNotes(), ...logNotes()];
  const server = await openServer({ config, vault, store, mask, notes, ...(on && { on }) });
  // A staged value may be the one that mends a destination: then its circuit is probed, as after any change.
  const destinations = destinationsFrom(config, {
    mask,
    keyId: (name) =>
      vault
        .sendable(name)
        .map(({ keyId }) => keyId)
        .join(),
  });
  // A standby takes deliveries; what is to be said of them waits in the store for a gateway that sends.
  const { sends } = config.gateway;
  const announcer = sends
    ? startAnnouncer({ store, destinations, mask, adminUrl: config.gateway.admin.url ?? null })
    : null;
  const sender = sends ? startSender({ store, destinations, mask, print }) : null;
  const facts = () => ({
    sends,
    pool: config.pool,
    posts_to: sends ? placesOf(config, vault.keyId) : {},
    durability: store.about.durability,
    sending: sender?.underWay() ?? 0,
    notes: pageNotes(),
    log_notes: logNotes(),
    spool: server.spool(),
    sender_lists: server.senderLists().map(({ name, fetched_at }) => ({ name, fetched_at })),
  });
  const drainer = startDrainer(store, [config.node.id, config.gateway.admin.url].filter(Boolean).join(" at "));
  const takesNodes = config.gateway.nodes !== undefined;
  const reaper = startReaper({ store, config, takesNodes, facts });
  const uses = startUses({ store, vault, config });
  const pagers = pagersFrom(config, (name) => vault.keyId(name), vault.earlier);
  const links = config.gateway.admin.url ?? null;
  escalation = startEscalation({
    store,
    config,
    standby: !config.gateway.sends,
    pagers,
    destinations,
    mask,
    print,
    adminUrl: links,
  });
  const reconciler = startReconciler({ config, store, accept: server.accept });
  const heartbeat = startHeartbeat({ heartbeat: config.heartbeat, store });
  const { publicUrl, adminUrl, nodesUrl, socket, doors } = server;
  log.info("gateway listening", {
    public_url: publicUrl,
    admin_url: adminUrl,
    nodes_url: nodesUrl ?? undefined,
    store: store.about.kind,
    durability: store.about.durability,
    doors: doors.map(({ source, url }) => `${source} ${url}`),
  });

  let over: Promise<void> | undefined;
  const close = (delay: number) =>
    (over ??= (async () => {
      const searched = reconciler.stop();
      await server.drain(delay);
      await searched;
      published.stop();
      const loops = [announcer, sender, drainer, reaper, archiver, escalation, heartbeat, uses];
      await Promise.all(loops.map((loop) => loop?.stop()));
      log.info("gateway stopped");
    })());
  return {
    publicUrl,
    adminUrl,
    nodesUrl,
    socket,
    doors,
    nodeStore: maskedStore(store, masks),
    drain: () => close(config.gateway.drain_delay),
    stop: async () => {
      void reconciler.stop();
      await server.stop();
      await close(0);
    },
  };
}

/** The store, but no task and no report enters it with a secret of ours in it, whoever wrote that into an issue or a build. */
function maskingStrangers(store: Store, masks: Masks): Store {
  const accept = (entry: Entry) => store.accept(maskedTask(entry, masks));
  const report = (told: Report) => store.report(maskedReport(told, masks));
  return new Proxy(store, {
    get(target, name) {
      if (name === "accept") return accept;
      if (name === "report") return report;
      const member: unknown = Reflect.get(target, name);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}

const drainAgainAfter = 5000;

/** Moves the logs that wait in the store to the files of this gateway. `name` is what the others call it. */
function startDrainer(store: Store, name: string): { stop(): Promise<void> } {
  if (store.about.kind === "sqlite") return { stop: async () => {} };
  return startLoop("drain", { store }, async () => ((await store.drain(name)) ? 0 : drainAgainAfter));
}

/** Publishes lanes, locks and lease numbers, and again while the store cannot be reached or may have forgotten them. */
function keepPublished(store: Store, config: Config): { stop(): void } {
  const rules = rulesOf(config);
  const publish = () =>
    store.publish(rules).catch((fault: Error) => log.warn("rules not published", { why: fault.message }));
  void publish();
  const timer = setInterval(publish, republishEvery);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}
