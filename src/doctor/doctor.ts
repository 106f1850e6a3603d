import { silentAfter } from "../core/beat.ts";
import { MeshError } from "../core/error.ts";
import type { GatewayRow } from "../stores/store.ts";
import type { Check, Fault, Finding, Scene } from "./check.ts";
import { checks } from "./registry.ts";
import { whyOf } from "./why.ts";

/** A finding with what its check says of every such finding. */
export type Diagnosis = Finding & Fault;

export interface Examination {
  findings: Diagnosis[];
  /** Checks that could not be made, and why; what they would find is unknown. */
  unchecked: { check: string; why: string }[];
  /** The gateways that beat within `silentAfter`. */
  gateways: GatewayRow[];
}

export interface Selection {
  /** Only these findings. */
  only?: string[];
  /** All but these. */
  skip?: string[];
  /** The checks there are; those of the registry unless a test brings its own. */
  from?: readonly Check[];
}

/** Every id that a finding can have, with its severity and what it breaks. */
export const catalogue: Readonly<Record<string, Fault>> = Object.assign({}, ...checks.map(({ faults }) => faults));

/** Makes every check that fits this machine and the selection, at once, and answers what they found: each finding once, errors first. Never throws. */
export async function examine(scene: Scene, { only, skip = [], from = checks }: Selection = {}): Promise<Examination> {
  const wanted = (id: string) => !skip.includes(id) && (only === undefined || only.includes(id));
  const fitting = from.filter(
    ({ on, faults }) =>
      (on === "any" || [on].flat().some((place) => scene.role[place])) && Object.keys(faults).some((id) => wanted(id)),
  );
  const looked = await Promise.all(fitting.map((check) => look(check, scene)));
  const found = looked.flatMap(({ findings }) => findings).filter(({ id }) => wanted(id));
  const once = new Map(found.map((finding) => [`${finding.id} ${finding.about}`, finding]));
  return {
    findings: [...once.values()].toSorted((a, b) => rank(a) - rank(b)),
    unchecked: onceEach(looked.flatMap(({ unchecked }) => unchecked)),
    gateways: await liveGateways(scene),
  };
}

/** A gateway's part and a node's of one name, which failed for one reason, are one thing to tell. */
const onceEach = (unchecked: Examination["unchecked"]): Examination["unchecked"] => [
  ...new Map(unchecked.map((one) => [`${one.check} ${one.why}`, one])).values(),
];

const rank = ({ severity }: Fault): number => (severity === "error" ? 0 : 1);

async function look(
  check: Check,
  scene: Scene,
): Promise<{ findings: Diagnosis[]; unchecked: Examination["unchecked"] }> {
  try {
    const findings = await check.look(scene);
    return { findings: findings.map((finding) => diagnosed(finding, check)), unchecked: [] };
  } catch (fault) {
    return { findings: [], unchecked: [{ check: check.name, why: whyOf(fault) }] };
  }
}

function diagnosed(finding: Finding, { name, faults }: Check): Diagnosis {
  const fault = faults[finding.id];
  if (!fault)
    throw new MeshError("bug", `check ${name} found ${JSON.stringify(finding.id)}, which it does not declare`);
  return { ...finding, ...fault };
}

async function liveGateways(scene: Scene): Promise<GatewayRow[]> {
  try {
    const rows = await (await scene.store()).gateways();
    return rows.filter(({ silent_ms }) => silent_ms < silentAfter);
  } catch {
    return []; // the check of the store says why
  }
}
