import type { Config } from "../config.ts";
import { type Looked, nextOf } from "../secrets/shelf.ts";
import { sources } from "../sources/registry.ts";
import type { Source } from "../sources/source.ts";
import type { Evidence, LiveGateway } from "./evidence.ts";
import type { About, Marks } from "./steps/step.ts";
import { proofOf, type Subject } from "./subjects.ts";

/** Gathers what the steps of a rotation name. */
export function aboutOf(subject: Subject, { current, next }: Looked, config: Config): About {
  const [, entry = ""] = (subject.places[0] ?? "").split(".");
  const source = config.sources[entry];
  const adapter: Source | undefined = sources.find(({ kind }) => kind === source?.kind);
  const verify = source && adapter?.verify(source);
  const searches = (subject.places[0] ?? "").includes(".reconcile.");
  const account: object | undefined = searches ? source?.reconcile : source?.comment;
  const site: unknown = account && "site" in account ? account.site : null;
  const base = config.gateway.public_url;
  return {
    subject,
    next: nextOf(subject.shelf.files[0] ?? ""),
    entry: subject.places[0] ?? subject.name,
    door: source ? `${base ?? ""}${source.path}` : null,
    header: (verify?.token ?? verify?.signature)?.header ?? null,
    site: typeof site === "string" ? site : null,
    use: searches ? "missed moves were searched for" : "a failed build was commented on",
    hash: next && current ? { next: next.digest, current: current.digest } : null,
    user: config.store.kind === "redis" ? (config.store.user ?? null) : null,
    node: subject.name.replace(/^nodes\/|\.token$/g, ""),
  };
}

/** Says which facts of a rotation have been seen; of one that was committed, as they were then. */
export function marksOf(subject: Subject, looked: Looked, evidence: Evidence | null, quiet: number): Marks {
  const { current, next, ledger } = looked;
  const committed = next === null && current !== null && ledger.staged?.key_id === current.key_id;
  const holds = (key_id: string) => evidence !== null && evidence.gateways.every((one) => hasLoaded(one, key_id));
  if (committed) return { ...all(true), served: holds(current.key_id) };
  if (next === null) return all(false);
  const fresh = evidence?.uses.get(next.key_id);
  const before = current ? evidence?.uses.get(current.key_id) : undefined;
  const used = fresh !== undefined && fresh.count > fresh.refused;
  return {
    staged: true,
    loaded: proofOf(subject) === "pair" || holds(next.key_id),
    used,
    // That nobody sends the old value says something once somebody sends the new one.
    quiet: used && (before?.idle_ms ?? Number.POSITIVE_INFINITY) >= quiet,
    proved: ledger.proof?.key_id === next.key_id,
    committed,
    served: false,
  };
}

const all = (mark: boolean): Marks => ({
  staged: mark,
  loaded: mark,
  used: mark,
  quiet: mark,
  proved: mark,
  committed: mark,
  served: mark,
});

const hasLoaded = ({ loaded }: LiveGateway, key_id: string): boolean =>
  loaded !== null && loaded.some((value) => value.key_id === key_id);
