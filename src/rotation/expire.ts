import type { Config } from "../config.ts";
import { forgetPrev, look, prevSince } from "../secrets/shelf.ts";
import { alone } from "./lock.ts";
import { type Subject, subjectsOf } from "./subjects.ts";

/** Deletes the values before the last change whose `undo_for` is over. Does nothing where this process may not. */
export async function removeExpired(config: Config, now: number): Promise<void> {
  const expired = subjectsOf(config).filter((subject) => isExpired(subject, config, now));
  if (expired.length === 0) return;
  try {
    await alone(config.secrets_dir, () => {
      for (const subject of expired) if (isExpired(subject, config, now)) forgetPrev(subject.shelf);
    });
  } catch {
    // A gateway often may only read its secrets: then the next `meshmac rotate` does it, and `status` says so.
  }
}

function isExpired({ shelf }: Subject, { rotation }: Config, now: number): boolean {
  try {
    const found = look(shelf);
    const since = found.ledger.doing === null ? prevSince(found) : null;
    return since !== null && now - since >= rotation.undo_for;
  } catch {
    return false; // what cannot be read is not ours to delete
  }
}
