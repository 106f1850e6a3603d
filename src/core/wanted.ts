import { z } from "zod";
import { isGoodRef } from "./ref.ts";
import { limit } from "./units.ts";

export const words = z.union([z.string().transform((word) => [word]), z.array(z.string()).min(1)]);

const saysNothing = (entry: object): boolean =>
  Object.values(entry).every((said) => said === undefined || Object.keys(said).length === 0);

/** One way in which a delivery asks for a build: every key of the entry must hold, by any of its values. */
export const buildWhen = z
  .strictObject({
    event: words.optional(),
    project: words.optional(),
    status: words.optional(),
    labels: words.optional(),
    components: words.optional(),
    issue_type: words.optional(),
    changed: z.record(z.string(), words).optional(),
    where: z.record(z.string(), words).optional(),
  })
  .refine((entry) => !saysNothing(entry), {
    error:
      "an entry that names nothing would build on every delivery; name at least one key, such as event: [issueUpdated]",
    when: ({ issues }) => issues.length === 0,
  });

export type BuildWhen = z.output<typeof buildWhen>;

/** A plain string, or a dotted path into the issue (then the whole body) with a default. */
export const taken = z.union([z.string(), z.strictObject({ from: z.string().min(1), default: z.string().optional() })]);

export type Taken = z.output<typeof taken>;

export const scriptName = /^[a-z0-9][a-z0-9_-]{0,63}$/;

const upper = (name: string): string => name.toUpperCase();
const saidRef = (ref: Taken): string | undefined => (typeof ref === "string" ? ref : ref.default);

/** A ref that the configuration says itself would be ignored with every delivery if it were a bad one. */
const refTaken = taken.refine((ref) => isGoodRef(saidRef(ref) ?? "main"), {
  error: "expected a ref as git allows it, not beginning with -",
});

/** A lane by name, or by what the issue has: the first name of `map` that it has leads to its lane. */
const laneTaken = z.union([
  z.string(),
  z.strictObject({
    from: z.string().min(1),
    map: z
      .record(z.string(), z.string())
      .refine((map) => Object.keys(map).length > 0, { error: "expected at least one name with its lane" }),
    default: z.string().default("default"),
  }),
]);

export type LaneTaken = z.output<typeof laneTaken>;

/** Lists the lanes that a task may go to, each with the keys that lead to it. */
export function lanesNamed(lane: LaneTaken): [at: string[], lane: string][] {
  if (typeof lane === "string") return [[[], lane]];
  const mapped = Object.entries(lane.map).map(([name, to]): [string[], string] => [["map", name], to]);
  return [...mapped, [["default"], lane.default]];
}

/** How a task is made of a delivery. */
export const taskOptions = z.strictObject({
  script: z.string().regex(scriptName, { error: "expected a script's name: a-z 0-9 _ -, at most 64" }),
  lane: laneTaken.default("default"),
  repo: z.string().optional(),
  ref: refTaken.default("main"),
  params: z
    .record(
      z.string().regex(/^[A-Za-z][A-Za-z0-9_]{0,63}$/, { error: "expected a name of letters, digits and _" }),
      taken,
    )
    .refine((params) => new Set(Object.keys(params).map(upper)).size === Object.keys(params).length, {
      error: "two names differ in their case alone, and both would become one MESHMAC_PARAM_<NAME>",
    })
    .default({}),
  timeout: limit.optional(),
});

export type TaskOptions = z.output<typeof taskOptions>;
