import { join } from "node:path";
import type { Config } from "../config.ts";
import type { Use } from "../core/records.ts";
import { log } from "../log.ts";
import type { Vault } from "../secrets.ts";
import type { Source } from "../sources/source.ts";
import { Spool } from "../spool/spool.ts";
import type { Store } from "../stores/store.ts";
import { openAdmin } from "./admin.ts";
import { Canaries } from "./canary.ts";
import { openCertificate } from "./certificate.ts";
import { doorsOf } from "./door.ts";
import { FailedTokens } from "./failed-tokens.ts";
import { Health, type HealthState } from "./health.ts";
import { Intake, type Rates, type SpoolState } from "./intake.ts";
import { originOf } from "./listener.ts";
import { masksOf } from "./masked-store.ts";
import { Notes } from "./notes.ts";
import { type Opened, openedWhole } from "./opened.ts";
import type { DeliveryStep, Ledger } from "./outcome.ts";
import { hallOf, listenPublic } from "./public.ts";
import { Quiet } from "./quiet.ts";
import type { Reception } from "./receive.ts";
import { openNodes } from "./nodes.ts";
import { SenderLists, type SenderListFact, type SenderListsOptions } from "./sender-lists.ts";
import { openSocket } from "./socket.ts";

export interface ServerOptions {
  config: Config;
  vault: Pick<Vault, "accepts" | "signed" | "retired" | "uncounted" | "tokens" | "values">;
  store: Store;
  /** Hides every secret in a text that is shown. */
  mask?: (text: string) => string;
  /** Epoch milliseconds. */
  now?: () => number;
  /** Milliseconds that the store may take for a task before the sender is told to come again. */
  commitWithin?: number;
  /** What people must know although deliveries can be taken, for the admin side's `/readyz`. */
  notes?: () => string[];
  /** Hears what became of every delivery. */
  on?: (step: DeliveryStep) => void;
  /** The kinds of sources there are; those of the registry unless a test brings its own. */
  sources?: Source[];
  /** Where the addresses of senders come from, and how the wait for them passes. */
  senders?: Omit<SenderListsOptions, "state_dir">;
}

export interface Server {
  /** Origin of the public side, with the port that was really taken. */
  publicUrl: string;
  adminUrl: string;
  /** Origin of the node side; null where none is configured. */
  nodesUrl: string | null;
  /** Path of the owner's socket; null where the store needs none. */
  socket: string | null;
  readonly doors: { source: string; url: string; header: string; proof: "token" | "signature" }[];
  /**
   * Makes the doors and limits of another configuration, and answers what puts them in place for the next request; a
   * delivery under way ends at the door that it came to. Throws `config`, and changes nothing, where they cannot be made.
   */
  ready(config: Config): () => void;
  state(): HealthState;
  /** Takes an entry the way of a delivery. */
  accept: Intake["accept"];
  /** What waits on this machine's disk for the store. */
  spool(): SpoolState;
  /** Which lists of senders' addresses are in use, and from when. */
  senderLists(): SenderListFact[];
  /** Which certificate the TLS listeners show; none where there are none. */
  certificateUses(): Use[];
  /** Says 503 on `/readyz` at once, keeps the doors open for `delayMs`, then answers what it accepted and closes. */
  drain(delayMs: number): Promise<void>;
  /** Closes now. */
  stop(): Promise<void>;
}

// YouTrack hangs up after 5 s: https://github.com/JetBrains/youtrack-apps (packages/webhook-triggers-app, workflow-http.js)
const commitDeadline = 3500;
const goodbye = 15_000;

/** Opens every side that a gateway listens on. The caller owns the store. Throws `unavailable` where an address is taken, and leaves nothing open then. */
export async function openServer(options: ServerOptions): Promise<Server> {
  return await openedWhole((opened) => open(options, opened));
}

async function open(options: ServerOptions, opened: Opened): Promise<Server> {
  const { config, vault, store, now = Date.now, sources } = options;
  const { gateway } = config;
  const lists = new SenderLists({ state_dir: config.state_dir, ...options.senders });
  opened(() => lists.stop());
  let doors = doorsOf(config, lists, sources);
  const masks = masksOf(vault);
  const notes = new Notes(store);
  const certificate = gateway.tls ? openCertificate(gateway.tls) : null;
  opened(() => certificate?.stop());
  const socket = store.about.kind === "sqlite" ? await openSocket({ config, store, masks }) : null;
  opened(() => socket?.stop());
  const spool = await openSpool(config);
  const intake = new Intake({
    store,
    spool,
    rates: ratesOf(config),
    commitWithin: options.commitWithin ?? commitDeadline,
    masks,
    notes,
    now,
  });
  opened(() => intake.close());
  const health = new Health(store, intake);
  const failed = new FailedTokens();
  const reception: Reception = {
    locks: vault,
    intake,
    canaries: new Canaries({
      writable: () => health.writable(),
      spools: () => intake.takes(),
      now,
    }),
    failed,
    maxBody: gateway.max_body,
    maxInFlight: gateway.max_in_flight,
    now,
    inFlight: 0,
  };
  const quiet = new Quiet();
  const ledger: Ledger = { notes, quiet, on: options.on };
  const publicSide = listenPublic(config, doors, { certificate, reception, ledger, health });
  opened(() => publicSide.server.stop(true));
  const adminSide = openAdmin({
    config,
    vault,
    store,
    health,
    failed,
    masks,
    mask: options.mask ?? masks.text,
    spool: () => intake.state(),
    notes: () => [...(options.notes?.() ?? []), ...lists.notes()],
  });
  opened(() => adminSide.server.stop(true));
  const nodeSide = openNodes({ config, certificate, vault, store, failed, masks, quiet });
  void health.writable();

  const closed = Promise.withResolvers<void>();
  const publicUrl = originOf(publicSide.server, gateway.listen, gateway.tls !== undefined);
  return {
    publicUrl,
    adminUrl: adminSide.url,
    nodesUrl: nodeSide?.url ?? null,
    socket: socket?.path ?? null,
    get doors() {
      return doors.map(({ name, path, header, verify }) => ({
        source: name,
        url: publicUrl + path,
        header,
        proof: verify.token ? ("token" as const) : ("signature" as const),
      }));
    },
    ready(next) {
      const hung = doorsOf(next, lists, sources);
      const hall = hallOf(next, hung);
      return () => {
        doors = hung;
        reception.maxBody = next.gateway.max_body;
        reception.maxInFlight = next.gateway.max_in_flight;
        intake.use(ratesOf(next));
        publicSide.use(hall);
        adminSide.use(next);
        nodeSide?.use(next);
      };
    },
    state: () => health.last,
    accept: (entry) => intake.accept(entry),
    spool: () => intake.state(),
    senderLists: () => lists.facts(),
    certificateUses: () => certificate?.uses() ?? [],
    async drain(delayMs) {
      health.drain();
      await Promise.race([Bun.sleep(delayMs), closed.promise]);
      await Promise.race([publicSide.server.stop(), Bun.sleep(goodbye), closed.promise]);
      await stop();
    },
    stop,
  };

  async function stop(): Promise<void> {
    health.drain();
    closed.resolve();
    lists.stop();
    certificate?.stop();
    await Promise.all([publicSide.server.stop(true), adminSide.server.stop(true), nodeSide?.stop(), socket?.stop()]);
    await Promise.race([intake.close(), Bun.sleep(goodbye)]);
    await Promise.race([notes.close(), Bun.sleep(goodbye)]);
  }
}

const ratesOf = ({ sources }: Config): Rates =>
  Object.fromEntries(Object.entries(sources).map(([name, { rate }]) => [name, rate]));

/** Opens the spool. One that the disk does not let us have is looked for again when it is needed: a gateway whose store is well does without. */
async function openSpool({ state_dir, gateway }: Config): Promise<Spool> {
  const { takeLock } = await import("../stores/sqlite/lock.ts");
  const dir = join(state_dir, "spool");
  const spool = new Spool({
    dir,
    limit: gateway.spool.limit,
    takeLock: (path) => takeLock(path, "owner"),
  });
  await spool.open().catch(() => {});
  const { waiting, oldest_at } = spool.facts();
  if (waiting > 0) log.info("spooled deliveries found", { waiting, oldest_ms: Date.now() - (oldest_at ?? 0) });
  return spool;
}
