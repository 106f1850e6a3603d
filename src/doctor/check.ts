import type { Config, Problem } from "../config.ts";
import type { Outbound } from "../core/outbound.ts";
import type { Vault } from "../secrets.ts";
import type { Survey } from "../stores/redis/survey.ts";
import type { OperatorStore } from "../stores/store.ts";
import type { Machine } from "./machine.ts";

/** How much of the house a fault takes with it: an error stops something now, a warning will. */
export type Severity = "error" | "warning";

/** What a check knows of each of its findings before it looks. */
export interface Fault {
  severity: Severity;
  /** What does not work, or will not, for the user. */
  breaks: string;
}

/** One thing that is wrong. */
export interface Finding<Id extends string = string> {
  /** Stable: scripts and the docs rely on it. */
  id: Id;
  /** What it is about: a place in the configuration, a file, a destination, a run. */
  about: string;
  /** What was seen, in one sentence without a secret. */
  says: string;
  /** What to do, in one line. */
  fix: string;
  /** Does it, where that is safe without asking; answers what was done. */
  mend?: Mend;
}

/** A change that `--fix` makes. Every file that it writes, moves or chmods is named, so that a copy can be kept first. */
export interface Mend {
  files: string[];
  apply(): void | Promise<void>;
}

/** Which machine this is, by what its configuration holds; both for one that does everything. */
export interface Role {
  gateway: boolean;
  node: boolean;
}

export type Place = keyof Role;

/** What every check sees. Effects come with it, so that a test can bring its own. */
export interface Scene {
  /** What is right of the configuration. */
  config: Config;
  /** What is wrong in it. */
  problems: Problem[];
  /** What errors call the file; null where there is none. */
  file: string | null;
  vault: Vault;
  role: Role;
  /** The store, opened at first use. Throws where it cannot be reached, each time. */
  store(): Promise<OperatorStore>;
  /** What can be seen of the Redis that the store is, fit or not; null where it is none. Throws where it cannot be reached. */
  survey(): Promise<Survey | null>;
  env: Record<string, string | undefined>;
  platform: NodeJS.Platform;
  machine: Machine;
  /** Epoch milliseconds. */
  now(): number;
  /** How the checks themselves ask the network: the time they take, and whom they trust. */
  outbound: Outbound;
  /** Every address of a host; rejects where it has none. */
  lookup(host: string): Promise<string[]>;
  /** Bytes on the file system of a folder. */
  space(folder: string): Promise<{ free: number; total: number }>;
  /** Where this machine keeps its lists of users and groups. */
  etc: string;
}

/** Looks for one kind of trouble. */
export interface Check<Id extends string = string> {
  name: string;
  /** Where it makes sense: on a gateway, on a node, on either, or anywhere. */
  on: Place | readonly Place[] | "any";
  faults: Readonly<Record<Id, Fault>>;
  /** Answers what is wrong. What it throws is told as "could not check", and stops no other check. */
  look(scene: Scene): Promise<Finding<Id>[]>;
}

/** Declares a check with the ids of its own faults. */
export const defineCheck = <Id extends string>(check: Check<Id>): Check<Id> => check;
