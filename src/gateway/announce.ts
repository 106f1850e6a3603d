import { announcementOf } from "../core/announcement.ts";
import type { RunState } from "../core/records.ts";
import { log } from "../log.ts";
import type { NewPost, Store, StoreEvent } from "../stores/store.ts";
import type { Destinations } from "./destinations.ts";
import { type Sleep, startLoop } from "./stir.ts";

export interface AnnouncerOptions {
  store: Pick<Store, "events" | "expand" | "stirred">;
  destinations: Destinations;
  /** Hides secrets in a text. */
  mask: (text: string) => string;
  /** Where the pages of runs are, or null. */
  adminUrl: string | null;
  sleep?: Sleep;
}

const batch = 64;
const look = 5_000;

/** Turns every event of the store into one post per destination that wants to hear it, until stopped. */
export function startAnnouncer({ store, sleep, ...telling }: AnnouncerOptions): { stop(): Promise<void> } {
  return startLoop("announce", { store, ...(sleep && { sleep }) }, async () => {
    const events = await store.events(batch);
    for (const event of events) {
      const posts = postsOf(event, telling);
      if (!(await store.expand(event, posts))) continue;
      log.info("state announced", {
        run_id: event.subject,
        state: event.state,
        correlation_id: event.task?.correlation_id,
        destinations: posts.map(({ destination }) => destination),
      });
    }
    return events.length > 0 ? 0 : look;
  });
}

/** Makes the posts of one event: one per destination that wants it, each with the key under which it is never made twice. */
export function postsOf(
  event: StoreEvent,
  { destinations, mask, adminUrl }: Pick<AnnouncerOptions, "destinations" | "mask" | "adminUrl">,
): NewPost[] {
  const announcement = announcementOf(event, { mask, adminUrl });
  return [...destinations.values()]
    .filter((destination) => destination.wants(announcement))
    .map(({ name }) => ({ key: postKey(event.subject, event.state, name), destination: name, announcement }));
}

/** The name of a post: hex sha256 of subject, state and destination. */
export const postKey = (subject: string, state: RunState, destination: string): string =>
  new Bun.CryptoHasher("sha256").update(JSON.stringify([subject, state, destination])).digest("hex");
