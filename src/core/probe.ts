import type { Post, Reply } from "./post.ts";

/** A question that posts nothing and changes nothing, for `doctor`: who are we to this provider, and what may we do? */
export interface Probe {
  ask: Post;
  /** Says in one sentence what is wrong; null where nothing is, or the reply does not tell. */
  fault(reply: Reply): string | null;
}
