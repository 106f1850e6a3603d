import { announcementOf } from "../core/announcement.ts";
import { type Announcement, type RunState, runStates } from "../core/records.ts";
import { log } from "../log.ts";
import type { Expansion, NewPost, Store, StoreEvent } from "../stores/store.ts";
import type { Destination, Destinations } from "./destinations.ts";
import { nap, type Sleep, startLoop } from "./stir.ts";

/** What states are told with. */
export interface Telling {
  destinations: Destinations;
  /** Hides secrets in a text. */
  mask: (text: string) => string;
  /** Where the pages of runs are, or null. */
  adminUrl: string | null;
}

export interface AnnouncerOptions extends Telling {
  store: Pick<Store, "events" | "expand" | "stirred">;
  sleep?: Sleep;
}

export interface Announcer {
  /** Tells the states that are expanded from now on with this. */
  use(telling: Telling): void;
  stop(): Promise<void>;
}

const batch = 256;
const look = 5_000;
// What comes within this time is expanded together: under load the store commits once for many.
const gather = 10;

/** Turns every event of the store into one post per destination that wants to hear it, until stopped. */
export function startAnnouncer({ store, sleep = nap, ...first }: AnnouncerOptions): Announcer {
  let telling: Telling = first;
  let heard = heardBy(telling);
  const loop = startLoop("announce", { store, sleep }, async () => {
    const events = await store.events(batch, heard);
    if (events.length === 0) return look;
    const expansions = events.map((event) => ({ event, posts: postsOf(event, telling) }));
    const ours = await store.expand(expansions);
    for (const [n, expansion] of expansions.entries()) if (ours[n]) tell(expansion);
    await sleep(gather);
    return 0;
  });
  return {
    use(next) {
      telling = next;
      heard = heardBy(next);
    },
    stop: () => loop.stop(),
  };
}

const heardBy = ({ destinations }: Telling): RunState[] =>
  runStates.filter((state) => [...destinations.values()].some(({ hears }) => hears.has(state)));

function tell({ event, posts }: Expansion): void {
  if (posts.length === 0) return;
  log.info("state announced", {
    run_id: event.subject,
    state: event.state,
    correlation_id: event.task?.correlation_id,
    destinations: posts.map(({ destination }) => destination),
  });
}

/** Makes the posts of one event: one per destination that wants it, each with the key under which it is never made twice. */
export function postsOf(event: StoreEvent, { destinations, mask, adminUrl }: Telling): NewPost[] {
  if (destinations.size === 0) return [];
  const announcement = announcementOf(event, { mask, adminUrl });
  return [...destinations.values()]
    .filter((destination) => isFor(destination, announcement, event.report?.chats))
    .map(({ name }) => ({ key: postKey(event.subject, event.state, name), destination: name, announcement }));
}

/** A report that names its chats is for these alone, whatever else they hear. */
const isFor = ({ name, wants }: Destination, announcement: Announcement, chats: string[] | undefined): boolean =>
  chats === undefined ? wants(announcement) : chats.some((chat) => name === `chat:${chat}`);

/** The name of a post: hex sha256 of subject, state and destination. */
export const postKey = (subject: string, state: RunState, destination: string): string =>
  new Bun.CryptoHasher("sha256").update(JSON.stringify([subject, state, destination])).digest("hex");
