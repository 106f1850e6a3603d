import { type Config, type Loaded, placesOf } from "../config.ts";
import { bindSecrets } from "../config/named.ts";
import type { Archive } from "../core/archive.ts";
import type { Report } from "../core/records.ts";
import { maskPatterns } from "../core/redact.ts";
import { log, redactLog } from "../log.ts";
import type { Vault } from "../secrets.ts";
import type { Entry, NodeStore, Store } from "../stores/store.ts";
import { startArchiver } from "./archive-logs.ts";
import { fixedPlaces } from "./fixed.ts";
import { maskedReport, maskedStore, maskedTask, type Masks, masksOf } from "./masked-store.ts";
import { type Opened, openedWhole } from "./opened.ts";
import type { DeliveryStep } from "./outcome.ts";
import { keepPublished } from "./published.ts";
import { startReaper } from "./reap.ts";
import { startReconciler } from "./reconcile.ts";
import { type Reload, startReload } from "./reload.ts";
import { renewed } from "./renewed.ts";
import { startLoop } from "./stir.ts";
import { openServer, type Server } from "./server.ts";
import { startUses } from "./uses.ts";
import { startVoice, type Voice } from "./voice.ts";

/** With the `file` that it came from, the configuration is followed: see `reload`. */
export interface GatewayOptions extends Partial<Pick<Loaded, "file" | "said" | "digest">> {
  config: Config;
  vault: Vault;
  store: Store;
  /** Where logs go when their attempts are over. */
  archive?: Archive | undefined;
  /** Where a `console` chat prints. */
  print: (line: string) => void;
  /** Hears what became of every delivery. */
  on?: (step: DeliveryStep) => void;
  /** Whether a worker runs in this process by the same configuration. */
  worker?: boolean;
}

export interface Gateway extends Pick<Server, "publicUrl" | "adminUrl" | "nodesUrl" | "socket" | "doors"> {
  /** The store as a worker in this process may reach it: what it hands in is masked first. */
  nodeStore: NodeStore;
  /** Reads the configuration file now, whether or not it has changed; it is read by itself when it changes. */
  reload(): void;
  /** Says 503 on `/readyz`, keeps the doors open for `drain_delay`, finishes what it accepted, then resolves. */
  drain(): Promise<void>;
  /** Closes the doors and loops now. */
  stop(): Promise<void>;
}

/** Opens everything a gateway is: doors, admin side, socket, announcing, sending, paging, reaping; and follows the file of its configuration. The caller owns the store. Throws as `openServer` does, and leaves nothing running then. */
export async function openGateway(options: GatewayOptions): Promise<Gateway> {
  return await openedWhole((opened) => open(options, opened));
}

async function open(options: GatewayOptions, opened: Opened): Promise<Gateway> {
  const { vault, store: plain, archive, print, on, worker = false } = options;
  let { config } = options;
  const masks = masksOf(vault);
  const mask = (text: string) => maskPatterns(masks.text(text));
  redactLog(masks.text);
  const store = maskingStrangers(plain, masks);
  const published = keepPublished(store, config);
  opened(() => published.stop());
  let voice: Voice | undefined;
  let reload: Reload | undefined;
  const archiver = startArchiver({ store, archive, state_dir: config.state_dir, masks });
  opened(() => archiver.stop());
  const pageNotes = () => voice?.notes() ?? [];
  const logNotes = () => [...store.notes(), ...archiver.notes()];
  const notes = () => [...(reload?.notes() ?? []), ...pageNotes(), ...logNotes()];
  const server = await openServer({ config, vault, store, mask, notes, ...(on && { on }) });
  opened(() => server.stop());
  voice = startVoice({ config, vault, store, mask, print });
  const facts = () => ({
    sends: config.gateway.sends,
    pool: config.pool,
    posts_to: config.gateway.sends ? placesOf(config, vault.keyId) : {},
    durability: store.about.durability,
    sending: voice?.underWay() ?? 0,
    notes: pageNotes(),
    log_notes: logNotes(),
    spool: server.spool(),
    sender_lists: server.senderLists().map(({ name, fetched_at }) => ({ name, fetched_at })),
    config: reload?.facts() ?? {},
  });
  const drainer = startDrainer(store, () => [config.node.id, config.gateway.admin.url].filter(Boolean).join(" at "));
  const takesNodes = config.gateway.nodes !== undefined;
  const reaper = startReaper({ store, config, takesNodes, facts });
  const uses = startUses({ store, vault, config, more: server.certificateUses });
  const reconciler = renewed(config, searched, (given) =>
    startReconciler({ config: given, store, accept: server.accept }),
  );
  const { publicUrl, adminUrl, nodesUrl, socket } = server;
  log.info("gateway listening", {
    public_url: publicUrl,
    admin_url: adminUrl,
    nodes_url: nodesUrl ?? undefined,
    store: store.about.kind,
    durability: store.about.durability,
    doors: server.doors.map(({ source, url }) => `${source} ${url}`),
  });
  const { file = null, said = {}, digest = null } = options;
  const fixed = fixedPlaces(config, { worker });
  reload = startReload({ running: { config, vault, file, said, digest }, fixed, take, onNews: reaper.beat });

  /** Puts another configuration in place for whatever begins from now on. */
  function take(next: Config): void {
    bindSecrets(next, vault);
    const swaps = [server.ready(next), voice?.ready(next)];
    uses.use(next);
    for (const swap of swaps) swap?.();
    published.use(next);
    reconciler.use(next);
    config = next;
  }

  let over: Promise<void> | undefined;
  const close = (delay: number) =>
    (over ??= (async () => {
      const still = Promise.all([reload?.stop(), reconciler.stop()]);
      await server.drain(delay);
      await still;
      published.stop();
      await Promise.all([voice, drainer, reaper, archiver, uses].map((loop) => loop?.stop()));
      log.info("gateway stopped");
    })());
  return {
    publicUrl,
    adminUrl,
    nodesUrl,
    socket,
    get doors() {
      return server.doors;
    },
    nodeStore: maskedStore(store, masks),
    reload: () => reload?.now(),
    drain: () => close(config.gateway.drain_delay),
    stop: async () => {
      void reconciler.stop();
      await server.stop();
      await close(0);
    },
  };
}

/** What of a configuration its searches of trackers are made of. */
const searched = ({ sources, repos, lanes, keep }: Config): unknown => [
  Object.entries(sources).filter(([, { reconcile }]) => reconcile !== undefined),
  repos,
  lanes,
  keep.runs,
];

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
function startDrainer(store: Store, name: () => string): { stop(): Promise<void> } {
  if (store.about.kind === "sqlite") return { stop: async () => {} };
  return startLoop("drain", { store }, async () => ((await store.drain(name())) ? 0 : drainAgainAfter));
}
