import type { Loaded } from "../../../src/config.ts";
import { MeshError } from "../../../src/core/error.ts";
import { oneLine } from "../../../src/core/text.ts";
import { type Proof, trySecret } from "../../../src/gateway/secret-trial.ts";
import { aboutOf } from "../../../src/rotation/about.ts";
import { inOrder, urgently } from "../../../src/rotation/incident.ts";
import { proven, start } from "../../../src/rotation/start.ts";
import { statusOf } from "../../../src/rotation/status.ts";
import { stepsFor } from "../../../src/rotation/steps/registry.ts";
import { isMadeHere, proofOf, type Subject, subjectNamed, subjectsOf } from "../../../src/rotation/subjects.ts";
import type { Reason } from "../../../src/secrets/ledger.ts";
import { look, nextOf } from "../../../src/secrets/shelf.ts";
import { print } from "../../args.ts";
import { opened, testimonyOf } from "../open.ts";
import { stepLines } from "../text.ts";

export interface Asked {
  secret?: string | undefined;
  stdin?: boolean | undefined;
  all?: boolean | undefined;
  owner?: string | undefined;
  reason: Reason;
  test?: boolean | undefined;
  config?: string | undefined;
  json?: boolean | undefined;
}

/** Does what the flags of `rotate start` ask. */
export async function startFrom(asked: Asked): Promise<void> {
  checkFlags(asked);
  const loaded = await opened(asked.config);
  if (asked.all) return await startAll(loaded, asked);
  const subject = subjectNamed(loaded.config, asked.secret ?? "");
  if (!asked.stdin && !isMadeHere(subject) && !look(subject.shelf).next) tellHowToMake(subject, loaded, asked);
  const brought = asked.stdin ? await Bun.stdin.text() : undefined;
  const { fresh, raised, staged } = await start({
    config: loaded.config,
    subject,
    brought,
    reason: asked.reason,
    now: Date.now(),
  });
  const proofs = await tried(subject, staged.key_id, loaded, asked);
  const status = statusOf(subject, {
    config: loaded.config,
    testimony: await testimonyOf({ ...loaded, subject }),
    now: Date.now(),
  });
  if (asked.json) return print(JSON.stringify({ fresh, raised, proofs, ...status }));
  const otherwise = raised ? `; it is ${nowA[asked.reason]}` : "; nothing was changed";
  print(`${subject.name}: ${fresh ? "staged" : "staged already"} ${staged.key_id}${fresh ? "" : otherwise}`);
  print(`  the value, not shown here: ${subject.shelf.files.map(nextOf).join(", ")}`);
  print(`  ${howItLives(subject)}`);
  for (const { place, taken, why } of proofs)
    print(`  test post to ${place}: ${taken ? "taken" : `not taken: ${oneLine(why ?? "")}`}`);
  for (const line of stepLines(status.steps)) print(line);
  if (status.next?.reason === "incident") print(`  ${urgently(subject)}`);
  if (proofs.some(({ taken }) => !taken)) {
    throw new MeshError("unavailable", "the test post was not taken", {
      hint: `once it is mended: meshmac rotate start ${subject.name} --test; or meshmac rotate abort ${subject.name}`,
    });
  }
}

const nowA: Record<Reason, string> = {
  planned: "planned",
  staff: "now because somebody left",
  incident: "an incident now: the window is 0",
};

/** Stages what can be made here, and says what has to be made elsewhere. */
async function startAll({ config }: Loaded, { owner, reason, json }: Asked): Promise<void> {
  const chosen = inOrder(subjectsOf(config)).filter((subject) => owner === undefined || subject.owner === owner);
  if (chosen.length === 0) {
    throw new MeshError("usage", `no secret belongs to ${JSON.stringify(owner)}`, {
      hint: "rotation.owner, or rotation.secrets.<secret>.owner in the configuration",
    });
  }
  const done: { secret: string; key_id: string | null; fresh: boolean; raised: boolean; next: string }[] = [];
  for (const subject of chosen) {
    if (!isMadeHere(subject) && !look(subject.shelf).next) {
      const how =
        reason === "incident"
          ? urgently(subject)
          : `make it on the other side: meshmac rotate start ${subject.name} --stdin`;
      done.push({ secret: subject.name, key_id: null, fresh: false, raised: false, next: how });
      continue;
    }
    const { fresh, raised, staged } = await start({ config, subject, reason, now: Date.now() });
    const how = reason === "incident" ? urgently(subject) : `meshmac rotate status ${subject.name}`;
    done.push({ secret: subject.name, key_id: staged.key_id, fresh, raised, next: how });
  }
  if (json) return print(JSON.stringify({ secrets: done }));
  for (const [index, { secret, key_id, fresh, raised, next }] of done.entries()) {
    const staged = `${fresh ? "staged" : "staged already"} ${key_id}${raised ? `; it is ${nowA[reason]}` : ""}`;
    print(`${index + 1}. ${secret}: ${key_id === null ? "to be brought" : staged}`);
    print(`   ${next}`);
  }
}

async function tried(
  subject: Subject,
  key_id: string,
  { config, vault }: Loaded,
  { test, json }: Asked,
): Promise<Proof[]> {
  if (proofOf(subject) !== "trial" || !(test ?? subject.kind !== "pager")) return [];
  if (look(subject.shelf).ledger.proof?.key_id === key_id && test !== true) return [];
  const toStderr = (line: string) => void process.stderr.write(`${line}\n`);
  const proofs = await trySecret({ config, vault, subject, print: json ? toStderr : print });
  if (proofs.every(({ taken }) => taken)) await proven(config, subject, key_id, Date.now());
  return proofs;
}

function tellHowToMake(subject: Subject, { config }: Loaded, { json }: Asked): void {
  if (json) return;
  const steps = stepsFor(subject, aboutOf(subject, look(subject.shelf), config));
  for (const { say } of steps) print(`  [ ] ${say}`);
}

function howItLives(subject: Subject): string {
  switch (proofOf(subject)) {
    case "pair":
      return "the gateway goes on with the current pair until the commit";
    case "trial":
      return subject.kind === "signing"
        ? "messages carry both signatures until the commit"
        : "messages go out with the current value until the commit";
    default:
      if (subject.kind === "archive") return "the archive is written with the current value until the commit";
      return subject.kind === "rest" || subject.kind === "redis" || subject.kind === "connect"
        ? "the new value is tried first, the current one where it is refused"
        : "both values are accepted";
  }
}

function checkFlags({ secret, stdin, all, owner, test }: Asked): void {
  if (all && secret !== undefined) throw wrong("--all goes without a secret");
  if (!all && secret === undefined) throw wrong("SECRET is missing");
  if (all && stdin) throw wrong("--all takes no --stdin");
  if (all && test) throw wrong("--all takes no --test");
  if (!all && owner !== undefined) throw wrong("--owner goes with --all");
}

const wrong = (message: string): MeshError =>
  new MeshError("usage", message, { hint: "meshmac rotate start --help shows what it takes" });
