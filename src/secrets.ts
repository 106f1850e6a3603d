import { createHmac, timingSafeEqual } from "node:crypto";
import { log } from "./log.ts";
import { Copy, type Demand, sha256, type Value } from "./secrets/copy.ts";
import { pathOf } from "./secrets/file.ts";
import { tokensIn } from "./secrets/list.ts";

export { longestToken } from "./secrets/copy.ts";
export { checkKeyFile } from "./secrets/file.ts";
export { createToken, writeSecret } from "./secrets/write.ts";

/** The secret files under one folder: checked, current and staged value, read anew when a file changed. */
export interface Vault {
  /** Returns the current value. Throws `permission` (77) or `config` (78) while it was never usable. */
  read(name: string): string;
  /** Returns the key id of the value, current or staged, that `presented` equals, or null; takes the same time either way. */
  accepts(name: string, presented: string | null): string | null;
  /** Returns the key id of the value, current or staged, whose HMAC-SHA256 over `body` is `hexSignature`, or null. */
  signed(name: string, body: Uint8Array, hexSignature: string | null): string | null;
  /** Names the tokens in one folder, `nodes/mac-07.token`, as it is now or was a quarter of a second ago. */
  tokens(folder: string): string[];
  /** Returns every value ever loaded, retired ones included, for redaction. */
  values(): string[];
  /** Names the current value without showing it: the first 8 hex digits of its SHA-256. */
  keyId(name: string): string;
  /** Throws `permission` (77) or `config` (78), with what to type, where the file or the one staged beside it cannot be used. */
  check(name: string, options?: { inbound?: boolean }): void;
}

interface Entry {
  current: Copy;
  next: Copy;
  demand: Demand;
  lookedAt: number;
}

const lookAgainAfter = 250;

/** Opens the secret files under `dir`; none is read before it is asked for. `now` is a monotonic clock in milliseconds. */
export function openVault(dir: string, now: () => number = () => performance.now()): Vault {
  const entries = new Map<string, Entry>();
  const seen = new Set<string>();
  const folders = new Map<string, { tokens: string[]; lookedAt: number }>();

  function entryOf(name: string, demand: Demand): Entry {
    const path = pathOf(dir, name);
    const made = () => ({ current: new Copy(path, dir, false), next: new Copy(`${path}.next`, dir, true), demand });
    const known = entries.get(name);
    // What may be weak as an outbound secret may not be as a token that opens a door: then the file is read anew.
    if (known && (known.demand === "inbound" || demand === "any")) return known;
    const entry = { ...made(), lookedAt: Number.NEGATIVE_INFINITY };
    entries.set(name, entry);
    return entry;
  }

  function look(name: string, demand: Demand): Entry {
    const entry = entryOf(name, demand);
    if (now() - entry.lookedAt < lookAgainAfter) return entry;
    entry.lookedAt = now();
    // The staged file first, and both again after a change: renaming one over the other between two looks loses no value.
    for (let round = 0; round < 3; round++) {
      const changed = [lookAt(name, entry.next, entry), lookAt(name, entry.current, entry)];
      if (!changed.includes(true)) break;
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
  function match(name: string, same: (value: Value) => boolean): string | null {
    const live = [current(name, "inbound"), look(name, "inbound").next.value];
    const matched = live.map((value) => (value && same(value) ? value.keyId : null));
    return matched.find((keyId) => keyId !== null) ?? null;
  }

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

    accepts(name, presented) {
      const digest = sha256(presented ?? "");
      return match(name, (value) => timingSafeEqual(value.digest, digest) && presented !== null);
    },

    signed(name, body, hexSignature) {
      const hex = (hexSignature ?? "").replace(/^sha256=/i, "");
      const whole = /^[0-9a-f]{64}$/i.test(hex);
      const given = Buffer.from(whole ? hex : "0".repeat(64), "hex");
      const code = (key: Buffer) => createHmac("sha256", key).update(body).digest();
      return match(name, (value) => timingSafeEqual(code(value.bytes), given) && whole);
    },

    check(name, { inbound = false } = {}) {
      const demand = inbound ? "inbound" : "any";
      lookAfresh(entryOf(name, demand));
      const { current: file, next } = look(name, demand);
      if (file.fault) throw file.fault;
      if (next.fault) throw next.fault;
    },
  };
}

function lookAfresh(entry: Entry): void {
  entry.lookedAt = Number.NEGATIVE_INFINITY;
  entry.current.forget();
  entry.next.forget();
}
