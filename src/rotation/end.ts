import type { Config } from "../config.ts";
import { MeshError } from "../core/error.ts";
import { humanDuration } from "../core/units.ts";
import type { Vault } from "../secrets.ts";
import { checkKeyFile } from "../secrets.ts";
import { abort, commit, finish, type Looked, nextOf, undo } from "../secrets/shelf.ts";
import { evidenceOf, type Testimony } from "./evidence.ts";
import { alone } from "./lock.ts";
import { pairFaultIn } from "./status.ts";
import { isInbound, proofOf, type Subject } from "./subjects.ts";
import { type Objection, objectionsTo } from "./verdict.ts";

export interface Ending {
  config: Config;
  vault: Pick<Vault, "check">;
  subject: Subject;
  /** What the store says; null where it could not be asked. */
  testimony: Testimony | null;
  quiet: number;
  force: boolean;
  now: number;
}

/** What came of it; `changed` is false where it had been done before. */
export interface Ended {
  changed: boolean;
  looked: Looked;
  /** What was said against it, and was forced. */
  forced: Objection[];
}

/** Makes the staged value the only accepted one. Throws `later` (75) with every reason against it, unless forced; `usage` where nothing is staged. */
export async function commitStaged(ending: Ending): Promise<Ended> {
  const { config, vault, subject, testimony, quiet, force, now } = ending;
  return await alone(config.secrets_dir, () => {
    const looked = finish(subject.shelf);
    const { current, next, ledger } = looked;
    if (!next) {
      if (current && ledger.staged?.key_id === current.key_id) return { changed: false, looked, forced: [] };
      throw nothingStaged(subject);
    }
    if (subject.kind === "tls") checkKeyFile(nextOf(subject.shelf.files[1] ?? ""));
    else vault.check(subject.name, { inbound: isInbound(subject) });
    const objections = objectionsTo({
      subject,
      looked,
      evidence: testimony && evidenceOf(testimony, subject.name),
      quiet,
      pairFault: pairFaultIn(subject, looked, config, now),
    });
    if (objections.length > 0 && !force) throw refusal(subject, objections);
    return { changed: true, looked: commit(subject.shelf, now), forced: objections };
  });
}

/** Takes the staged value away. Throws `later` (75) while somebody uses it already, unless forced. */
export async function abortStaged({ config, subject, testimony, quiet, force, now }: Ending): Promise<Ended> {
  return await alone(config.secrets_dir, () => {
    const looked = finish(subject.shelf);
    const { next } = looked;
    if (!next) return { changed: false, looked, forced: [] };
    const use = testimony && evidenceOf(testimony, subject.name).uses.get(next.key_id);
    const inUse = proofOf(subject) === "use" && use && use.count > use.refused && (use.idle_ms ?? quiet) < quiet;
    if (inUse && !force) {
      throw new MeshError(
        "later",
        `the new value ${next.key_id} is in use: last ${humanDuration(use.idle_ms ?? 0)} ago, at ${use.by ?? "a gateway"}`,
        { hint: "put the old value back on the other side first, or --force and lock it out" },
      );
    }
    return { changed: true, looked: abort(subject.shelf, now), forced: [] };
  });
}

/** Goes back to the moment before the last commit, with both values accepted. Throws `usage` where the value before is not kept any more. */
export async function undoCommit({ config, subject, now }: Pick<Ending, "config" | "subject" | "now">): Promise<Ended> {
  return await alone(config.secrets_dir, () => {
    const looked = finish(subject.shelf);
    if (looked.next) return { changed: false, looked, forced: [] };
    if (!looked.prev) {
      throw new MeshError("usage", `no value before is kept for ${subject.name}`, {
        hint: `it is kept for ${humanDuration(config.rotation.undo_for)} after a commit (rotation.undo_for); meshmac rotate start ${subject.name} --stdin stages any value`,
      });
    }
    return { changed: true, looked: undo(subject.shelf, now), forced: [] };
  });
}

const nothingStaged = ({ name }: Subject): MeshError =>
  new MeshError("usage", `nothing is staged for ${name}`, { hint: `meshmac rotate start ${name}` });

function refusal({ name }: Subject, objections: Objection[]): MeshError {
  const lines = objections.map(({ says, hint }) => `\n  ${says}\n    ${hint}`);
  return new MeshError("later", `${name} is not committed; both values stay accepted${lines.join("")}`, {
    hint: "--force commits all the same, and says what it breaks",
  });
}
