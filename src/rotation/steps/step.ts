import type { Subject } from "../subjects.ts";

/** What is known by now of a rotation; each is a fact that was seen, none is taken on trust. */
export interface Marks {
  staged: boolean;
  /** Every live gateway holds the new value. */
  loaded: boolean;
  /** The new value was used, and not refused. */
  used: boolean;
  /** The old value was not used for `quiet`. */
  quiet: boolean;
  /** A test post with the new value was taken. */
  proved: boolean;
  committed: boolean;
  /** It was committed, and every live gateway has it loaded. */
  served: boolean;
}

/** One thing to do. `done` names the fact that ticks it off; where nothing can be seen of it, null. */
export interface Step {
  say: string;
  done: keyof Marks | null;
}

/** What a text of steps may name. */
export interface About {
  subject: Subject;
  /** The file of the new value, to be read by whoever puts it in place. */
  next: string;
  /** The names in the configuration: a source, a chat, a pager. */
  entry: string;
  /** Where a door is reached from outside. */
  door: string | null;
  header: string | null;
  site: string | null;
  /** What shows that a tracker takes the token: a comment, or a search for missed moves. */
  use: string;
  /** SHA-256 of the new value and of the old one, as Redis takes them. */
  hash: { next: string; current: string } | null;
  user: string | null;
  node: string | null;
}

export type Steps = (about: About) => Step[];

export const seen = (done: keyof Marks, say: string): Step => ({ say, done });
export const unseen = (say: string): Step => ({ say, done: null });

/** The last of every rotation. */
export const commitStep = ({ subject }: About): Step => seen("committed", `meshmac rotate commit ${subject.name}`);
export const backups: Step = unseen("destroy the old value wherever else it lies: backups, password managers, notes");
