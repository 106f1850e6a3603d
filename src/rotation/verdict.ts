import { humanDuration } from "../core/units.ts";
import type { Item, Looked } from "../secrets/shelf.ts";
import type { Evidence, ValueUse } from "./evidence.ts";
import { proofOf, type Subject } from "./subjects.ts";

/** Something that a commit would break, and what to do about it. */
export interface Objection {
  id:
    | "not-told"
    | "stale"
    | "not-loaded"
    | "not-used"
    | "refused"
    | "old-in-use"
    | "died"
    | "not-tried"
    | "no-evidence"
    | "pair";
  says: string;
  hint: string;
  /** What happens to those who force it. */
  breaks: string;
}

export interface Circumstances {
  subject: Pick<Subject, "name" | "kind">;
  looked: Looked;
  /** Null where the store could not be asked. */
  evidence: Evidence | null;
  /** How long nobody may have used the old value. */
  quiet: number;
  /** What is wrong with a staged certificate and key; null where nothing is. */
  pairFault?: string | null;
}

// A gateway writes its uses every second while there are any, and every 5 s otherwise.
const toldWithin = 15_000;

/** Lists everything that speaks against making the staged value the only one now. */
export function objectionsTo(given: Circumstances): Objection[] {
  const { subject, looked, evidence, pairFault } = given;
  const { current, next } = looked;
  if (!next) return [];
  const proof = proofOf(subject);
  if (proof === "pair") return pairFault ? [pair(pairFault)] : [];
  const tried = proof === "trial" && looked.ledger.proof?.key_id !== next.key_id ? [notTried(subject.name)] : [];
  if (!evidence) return [noEvidence, ...tried];
  const objections = [...ofGateways(evidence, next), ...tried];
  if (proof === "trial") return objections;
  return [...objections, ...ofNew(evidence.uses.get(next.key_id)), ...(current ? ofOld(given, evidence, current) : [])];
}

function ofGateways({ gateways }: Evidence, next: Item): Objection[] {
  return gateways.flatMap(({ gateway, told_ms, loaded }): Objection[] => {
    if (told_ms === null) {
      return [
        {
          id: "not-told",
          says: `gateway ${gateway} has not said yet which values it holds`,
          hint: "wait a few seconds; if it stays so, look at its log",
          breaks: `${gateway} may go on with the old value, and refuse the new one`,
        },
      ];
    }
    if (told_ms > toldWithin) {
      return [
        {
          id: "stale",
          says: `gateway ${gateway} has not written its uses for ${humanDuration(told_ms)}`,
          hint: "one that died counts no more after 30 s; one that lives cannot write to the store",
          breaks: `what ${gateway} has seen since then is unknown`,
        },
      ];
    }
    if (loaded === null || loaded.some(({ key_id }) => key_id === next.key_id)) return [];
    return [
      {
        id: "not-loaded",
        says: `gateway ${gateway} has not loaded the new value ${next.key_id}`,
        hint: "copy the staged file to every gateway's secrets_dir; if it is there, that gateway's log says why it is not used",
        breaks: `${gateway} refuses or sends the wrong value until it has the new file`,
      },
    ];
  });
}

function ofNew(use: ValueUse | undefined): Objection[] {
  const { count = 0, refused = 0 } = use ?? {};
  if (count - refused > 0) return [];
  if (refused > 0) {
    return [
      {
        id: "refused",
        says: `the new value was refused ${refused} ${refused === 1 ? "time" : "times"} and has never worked`,
        hint: "look whether it was pasted whole, and is enabled on the other side",
        breaks: "nothing would work any more",
      },
    ];
  }
  return [
    {
      id: "not-used",
      says: "the new value was never used",
      hint: "put it in place on the other side, and cause one use of it",
      breaks: "whoever still has the old value is locked out",
    },
  ];
}

function ofOld({ looked, quiet }: Circumstances, { uses, died }: Evidence, current: Item): Objection[] {
  // In an incident the old value is in the wrong hands: that it is used is the reason, not an objection.
  if (looked.ledger.staged?.reason === "incident") return [];
  const { idle_ms = null, by = null } = uses.get(current.key_id) ?? {};
  const lost = died.filter(({ silent_ms }) => silent_ms < quiet);
  const unknown = lost.map(({ gateway, silent_ms }): Objection => ({
    id: "died",
    says: `gateway ${gateway} died ${humanDuration(silent_ms)} ago, and what it saw last is lost`,
    hint: `wait until that is ${humanDuration(quiet)} ago`,
    breaks: "whoever used the old value just then is refused from now on",
  }));
  if (idle_ms === null || idle_ms >= quiet) return unknown;
  return [
    ...unknown,
    {
      id: "old-in-use",
      says: `the old value ${current.key_id} was used ${humanDuration(idle_ms)} ago, at ${by ?? "a gateway"}`,
      hint: `wait until it was not used for ${humanDuration(quiet)}; somebody still has it`,
      breaks: "whoever used it then is refused from now on",
    },
  ];
}

const notTried = (name: string): Objection => ({
  id: "not-tried",
  says: "no test post with the new value was taken yet",
  hint: `meshmac rotate start ${name} --test sends one`,
  breaks: "if the new value is wrong, nothing is posted any more",
});

const noEvidence: Objection = {
  id: "no-evidence",
  says: "the store cannot be asked who uses which value",
  hint: "start the store, or the gateway that owns it",
  breaks: "whoever still has the old value is locked out",
};

const pair = (fault: string): Objection => ({
  id: "pair",
  says: fault,
  hint: "stage a certificate with its own key: meshmac rotate start tls --stdin",
  breaks: "the gateway cannot start with it, and clients refuse it",
});
