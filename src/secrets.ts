import { timingSafeEqual } from "node:crypto";
import { MeshError } from "./core/error.ts";
import type { Use } from "./core/records.ts";
import type { Live } from "./core/secret.ts";
import { type Proof, proves } from "./core/verify.ts";
import { log } from "./log.ts";
import { Copy, type Demand, sha256, type Value } from "./secrets/copy.ts";
import { pathOf } from "./secrets/file.ts";
import { tokensIn } from "./secrets/list.ts";
import { Past } from "./secrets/past.ts";
import { Usages } from "./secrets/usage.ts";

export { longestToken } from "./secrets/copy.ts";
export { checkKeyFile } from "./secrets/file.ts";
export { createToken, writeSecret } from "./secrets/write.ts";

/** The secret files under one folder: checked, current and staged value, read anew when a file changed; it counts what each value is used for. */
export interface Vault {
  /** Returns the current value. Throws `permission` (77) or `config` (78) while it was never usable. */
  read(name: string): string;
  /** Returns the values that may be sent, in the order to try them: the staged one, where there is one, before the current. Throws like `read`. */
  sendable(name: string): Live[];
  /** Returns the staged value alone, for a trial. Throws `config` where nothing usable is staged. */
  staged(name: string): Live;
  /** Returns the key id of the value, current or staged, that `presented` equals, or null; takes the same time either way. */
  accepts(name: string, presented: string | null): string | null;
  /** Names the tokens in one folder, `nodes/mac-07.token`, as it is now or was a quarter of a second ago. */
  tokens(folder: string): string[];
  /** Returns the key id of the value, current or staged, that a signature was made with, or null; tries both either way. */
  signed(name: string, proof: Proof): string | null;
  /** Says that `presented` was a value of this secret within the last 30 days, and what became of it; null where it was none. */
  retired(name: string, presented: string): string | null;
  /** Returns a value by its key id, one from before the last change included, for what only it can end; null where it is gone. */
  earlier(name: string, keyId: string): string | null;
  /** The same checks without a trace in `uses`: what we send to ourselves proves nothing about who else uses a value. */
  uncounted: Pick<Vault, "accepts" | "signed" | "retired">;
  /** Returns every value ever loaded, retired ones included, for redaction. */
  values(): string[];
  /** Names the current value without showing it: the first 8 hex digits of its SHA-256. */
  keyId(name: string): string;
  /** Throws `permission` (77) or `config` (78), with what to type, where the file or the one staged beside it cannot be used. */
  check(name: string, options?: { inbound?: boolean }): void;
  /** Keeps an eye on these secrets from now on, whether or not anybody asks for them. */
  watch(names: readonly string[], options?: { inbound?: boolean }): void;
  /** Keeps no eye on these any more, and counts nothing of them; their values stay hidden, and what still holds them may use them. */
  release(names: readonly string[]): void;
  /** Looks at every secret that was asked for or is watched, and says which values are loaded and how each was used. */
  uses(): Use[];
}

interface Entry {
  current: Copy;
  next: Copy;
  demand: Demand;
  lookedAt: number;
  /** Nobody names it any more. */
  released: boolean;
}

const lookAgainAfter = 250;

/** Opens the secret files under `dir`; none is read before it is asked for. `now` is a monotonic clock in milliseconds. */
export function openVault(dir: string, now: () => number = () => performance.now()): Vault {
  const entries = new Map<string, Entry>();
  const usages = new Map<string, Usages>();
  const pasts = new Map<string, Past>();
  const seen = new Set<string>();
  const folders = new Map<string, { tokens: string[]; lookedAt: number }>();

  function entryOf(name: string, demand: Demand): Entry {
    // What may be weak as an outbound secret may not be as a token that opens a door: then the file is read anew.
    const known = entries.get(name);
    if (known && (known.demand === "inbound" || demand === "any")) return known;
    const path = pathOf(dir, name);
    const usage = usagesOf(name);
    const copy = (file: string, staged: boolean) => new Copy(file, dir, staged, (keyId) => usage.of(keyId));
    const entry = {
      current: copy(path, false),
      next: copy(`${path}.next`, true),
      demand,
      lookedAt: Number.NEGATIVE_INFINITY,
      released: false,
    };
    entries.set(name, entry);
    return entry;
  }

  const usagesOf = (name: string): Usages => kept(usages, name, () => new Usages(now));
  const pastOf = (name: string): Past => kept(pasts, name, () => new Past(pathOf(dir, name), dir, now));

  function look(name: string, demand: Demand): Entry {
    const entry = entryOf(name, demand);
    if (now() - entry.lookedAt < lookAgainAfter) return entry;
    entry.lookedAt = now();
    let changed = false;
    // The staged file first, and both again after a change: renaming one over the other between two looks loses no value.
    for (let round = 0; round < 3; round++) {
      const changes = [lookAt(name, entry.next, entry), lookAt(name, entry.current, entry)];
      if (!changes.includes(true)) break;
      changed = true;
    }
    if (changed) {
      const live = [entry.current.value, entry.next.value].flatMap((value) => (value ? [value.keyId] : []));
      usagesOf(name).live(live);
    }
    return entry;
  }

  function lookAt(name: string, copy: Copy, entry: Entry): boolean {
    const before = copy.value;
    const changed = copy.look(entry.demand);
    if (copy.value) seen.add(copy.value.text);
    if (changed && copy.fault && (before || copy === entry.next)) {
      log.error("changed secret not used", { secret: name, key_id: before?.keyId ?? null, why: copy.fault });
    }
    return changed;
  }

  function current(name: string, demand: Demand = "any"): Value {
    const { value, fault } = look(name, demand).current;
    if (value) return value;
    throw fault;
  }

  /** The key id of the first live value that `same` holds for; asks for every value, so that time tells nothing. */
  function match(name: string, same: (value: Value) => boolean, counts: boolean): string | null {
    const live = [current(name, "inbound"), look(name, "inbound").next.value];
    const matched = live.map((value) => (value && same(value) ? value : null));
    const found = matched.find((value) => value !== null);
    if (!found) return null;
    if (!counts) return found.keyId;
    found.usage.count++;
    found.usage.lastAt = now();
    return found.keyId;
  }

  const locks = (counts: boolean): Pick<Vault, "accepts" | "signed" | "retired"> => ({
    accepts(name, presented) {
      const digest = sha256(presented ?? "");
      return match(name, (value) => timingSafeEqual(value.digest, digest) && presented !== null, counts);
    },
    signed: (name, proof) => match(name, (value) => proves(proof, value.bytes), counts),
    retired: (name, presented) => pastOf(name).retired(name, presented, Date.now()),
  });

  const liveOf = ({ text, keyId, usage }: Value): Live => ({
    text,
    keyId,
    used(refused) {
      usage.count++;
      if (refused) usage.refused++;
      usage.lastAt = now();
    },
    taken: () => void usage.taken++,
  });

  return {
    read: (name) => current(name).text,
    keyId: (name) => current(name).keyId,
    values: () => [...seen],

    tokens(folder) {
      const known = folders.get(folder);
      if (known && now() - known.lookedAt < lookAgainAfter) return known.tokens;
      const tokens = tokensIn(dir, folder);
      folders.set(folder, { tokens, lookedAt: now() });
      return tokens;
    },

    sendable(name) {
      const here = current(name);
      const { value: next } = look(name, "any").next;
      return next && next.keyId !== here.keyId ? [liveOf(next), liveOf(here)] : [liveOf(here)];
    },

    staged(name) {
      const entry = entryOf(name, "any");
      lookAfresh(entry);
      const { value, fault } = look(name, "any").next;
      if (value) return liveOf(value);
      throw fault ?? new MeshError("config", `nothing is staged for ${name}`);
    },

    ...locks(true),
    uncounted: locks(false),

    earlier(name, keyId) {
      const known = [...seen].find((text) => sha256(text).toString("hex", 0, 4) === keyId);
      return known ?? pastOf(name).prev(keyId);
    },

    check(name, { inbound = false } = {}) {
      const demand = inbound ? "inbound" : "any";
      lookAfresh(entryOf(name, demand));
      const { current: file, next } = look(name, demand);
      if (file.fault) throw file.fault;
      if (next.fault) throw next.fault;
    },

    watch(names, { inbound = false } = {}) {
      for (const name of names) {
        look(name, inbound ? "inbound" : "any").released = false;
        // The value before the last change may still be sent to us, and quoted: it is hidden like the others.
        const before = pastOf(name).prev();
        if (before !== null) seen.add(before);
      }
    },

    release(names) {
      for (const name of names) {
        const entry = entries.get(name);
        if (entry) entry.released = true;
      }
    },

    uses: () =>
      [...entries].flatMap(([name, { demand, released }]) => {
        if (released) return [];
        const { current: file, next } = look(name, demand);
        return usagesOf(name).rows(name, { current: file.value?.keyId, next: next.value?.keyId });
      }),
  };
}

function kept<T>(all: Map<string, T>, name: string, make: () => T): T {
  const known = all.get(name);
  if (known !== undefined) return known;
  const made = make();
  all.set(name, made);
  return made;
}

function lookAfresh(entry: Entry): void {
  entry.lookedAt = Number.NEGATIVE_INFINITY;
  entry.current.forget();
  entry.next.forget();
}
