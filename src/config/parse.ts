import { crossCheck } from "./check.ts";
import { explain, type Problem, problemsOf } from "./problems.ts";
import { kindsIn } from "./kinds.ts";
import { configSchema, type Parsed } from "./schema.ts";

type Raw = Record<string, unknown>;
type Issues = Parameters<typeof problemsOf>[0];
type Schema = ReturnType<typeof configSchema>;
type Path = readonly PropertyKey[];

/** Parses a configuration, or lists everything that is wrong in it: what is right is still checked against the rest. */
export function parseConfig(raw: unknown): { config: Parsed; problems: Problem[] } {
  const said = (section?: string) => (section === undefined ? own(raw) : own(own(raw)[section]));
  const known = configSchema(kindsIn(said)).safeParse(raw, howTo);
  if (known.success) return { config: known.data, problems: crossCheck(known.data, said) };
  // Refused by the schema of the kinds it names, it is explained by the one of all kinds, which can list them.
  const schema = configSchema();
  const issues = schema.safeParse(raw, howTo).error?.issues ?? [];
  const config = withoutFaults(raw, issues, schema);
  return { config, problems: [...problemsOf(issues), ...crossCheck(config, said)] };
}

const howTo = { error: explain, reportInput: true, jitless: true };

/** Takes out what is wrong, first the smallest part, then more of it where that part was needed. */
function withoutFaults(raw: unknown, found: Issues, schema: Schema): Parsed {
  let rest = own(raw);
  let issues = found;
  for (const depth of [3, 2, 1]) {
    rest = issues.flatMap(faultsOf).reduce((kept, path) => without(kept, path.slice(0, depth)), rest);
    const again = schema.safeParse(rest, howTo);
    if (again.success) return again.data;
    issues = again.error.issues;
  }
  return schema.parse({});
}

/** The places of one issue, each as far as it leads through keys alone: a list is taken out as a whole. */
function faultsOf(issue: Issues[number]): Path[] {
  const path = issue.path.slice(0, issue.path.findIndex((key) => typeof key === "number") >>> 0);
  return issue.code === "unrecognized_keys" && path.length < 3 ? issue.keys.map((key) => [...path, key]) : [path];
}

function without(raw: Raw, [key, ...rest]: Path): Raw {
  if (typeof key !== "string") return raw;
  const { [key]: inner, ...others } = raw;
  return rest.length > 0 && isRaw(inner) ? { ...others, [key]: without(inner, rest) } : others;
}

const own = (value: unknown): Raw => (isRaw(value) ? value : {});

const isRaw = (value: unknown): value is Raw => typeof value === "object" && value !== null && !Array.isArray(value);
