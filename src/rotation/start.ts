import { randomBytes } from "node:crypto";
import type { Config } from "../config.ts";
import { MeshError } from "../core/error.ts";
import { refuseUnfit, sha256 } from "../secrets/copy.ts";
import type { Reason } from "../secrets/ledger.ts";
import { finish, type Item, type Looked, prove, raise, stage } from "../secrets/shelf.ts";
import { createToken } from "../secrets/write.ts";
import { alone } from "./lock.ts";
import { pairIn } from "./pair.ts";
import { pairFaultIn } from "./status.ts";
import { isInbound, isMadeHere, type Subject } from "./subjects.ts";

export interface Beginning {
  config: Config;
  subject: Subject;
  /** The value that was brought; undefined where it is to be made here. */
  brought?: string | undefined;
  reason: Reason;
  now: number;
}

/**
 * Stages a new value. Where one is staged already it stays, and a more pressing reason takes the place of its own. Throws `usage`
 * where the other side has to make it, `data` where it is no use, `later` where another value is staged.
 */
export async function start({
  config,
  subject,
  brought,
  reason,
  now,
}: Beginning): Promise<{ fresh: boolean; raised: boolean; staged: Item }> {
  return await alone(config.secrets_dir, () => {
    const before = finish(subject.shelf);
    const { current, next } = before;
    if (next) {
      refuseOther(subject, brought, current, next);
      return { fresh: false, raised: raise(subject.shelf, reason), staged: next };
    }
    if (!current) {
      throw new MeshError("config", `no secret file ${subject.shelf.files.join(", ")}`, {
        hint: "write the first value by hand; a rotation begins with one that is in use",
      });
    }
    const texts = textsFor(subject, brought, current);
    refuseUseless(subject, texts, before);
    const probe = { ...before, next: { ...current, texts } };
    const fault = pairFaultIn(subject, probe, config, now);
    if (fault) throw new MeshError("data", fault, { hint: "nothing was staged" });
    return { fresh: true, raised: false, staged: stage(subject.shelf, texts, { at: now, reason }) };
  });
}

/** Writes down that the other side has taken a test post with this value, if it is still the staged one. */
export async function proven(config: Config, { shelf }: Subject, key_id: string, now: number): Promise<void> {
  await alone(config.secrets_dir, () => {
    if (finish(shelf).next?.key_id === key_id) prove(shelf, key_id, now);
  });
}

/** A repeat is harmless; a value that nobody stages must not pass for one that was. */
function refuseOther(subject: Subject, brought: string | undefined, current: Item | null, next: Item): void {
  if (brought === undefined) return;
  const texts = current ? textsFor(subject, brought, current) : [brought];
  if (texts.every((text, index) => text === next.texts[index])) return;
  throw new MeshError("later", `another value of ${subject.name} is staged already: ${next.key_id}`, {
    hint: `meshmac rotate abort ${subject.name} takes it away; then bring the new one`,
  });
}

function textsFor(subject: Subject, brought: string | undefined, current: Item): string[] {
  if (subject.kind === "tls" && brought !== undefined) {
    const { cert, key } = pairIn(brought, current.texts[1] ?? "");
    return [cert, key];
  }
  if (brought !== undefined) return [brought.replace(/\r?\n$/, "")];
  if (!isMadeHere(subject)) {
    throw new MeshError("usage", `the new value of ${subject.name} is made on the other side`, {
      hint: `make it there, then: meshmac rotate start ${subject.name} --stdin < FILE`,
    });
  }
  // https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#signature-scheme
  return [subject.kind === "signing" ? `whsec_${randomBytes(32).toString("base64")}` : createToken()];
}

function refuseUseless(subject: Subject, texts: string[], { current, ledger }: Looked): void {
  if (texts.every((text, index) => text === current?.texts[index])) {
    throw new MeshError("data", `that is the current value of ${subject.name}`, { hint: "bring a new one" });
  }
  if (subject.kind === "tls") return;
  const [text = ""] = texts;
  refuseUnfit("the new value", text, isInbound(subject) ? "inbound" : "any");
  const digest = sha256(text).toString("hex");
  const before = ledger.retired.find((one) => one.digest === digest);
  if (before) {
    throw new MeshError("data", `that value of ${subject.name} was retired on ${new Date(before.at).toISOString()}`, {
      hint: "bring a new one; to go back after a commit: meshmac rotate undo",
    });
  }
  if (subject.places[0]?.endsWith(".url") && !/^https?:$/.test(URL.parse(text.trim())?.protocol ?? "")) {
    throw new MeshError("data", "the new value is no http(s) URL", { hint: "bring the whole address" });
  }
}
