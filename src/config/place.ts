type Path = readonly PropertyKey[];

const namesSecret = /^(?:url|(?:.*_)?(?:token|key|password|secret))$/;
// user:password@host, also where somebody mistyped the URL around it
const hasUserInfo = /[:/][^/]*@/;
const longest = 60;

/** Writes where in the configuration something is: `sources.jira.build_when[0].status`. */
export function place(path: Path): string {
  return path.map(step).join("").replace(/^\./, "");
}

function step(key: PropertyKey): string {
  if (typeof key === "number") return `[${key}]`;
  const name = String(key);
  return /^[\w-]+$/.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`;
}

/** Writes a value for an error: scalars as JSON, the rest by its kind; never what stands where a secret could. */
export function got(value: unknown, path: Path): string {
  if (Array.isArray(value)) return "a list";
  if (value instanceof Date) return "a date (quote it)";
  if (typeof value === "object" && value !== null) return "keys and values";
  if (typeof value === "function") return "a function";
  const name = path.findLast((key) => typeof key === "string");
  const hidden = typeof name === "string" && namesSecret.test(name);
  if (hidden && value !== null) return `${typeName(typeof value)} not shown here`;
  if (typeof value !== "string") return String(value);
  if (hasUserInfo.test(value)) return "a text not shown here";
  return value.length > longest ? `${value.length} characters` : JSON.stringify(value);
}

const people: Record<string, string> = {
  string: "a text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "keys and values",
  record: "keys and values",
};

/** Names a type as people do. */
export const typeName = (type: string): string => people[type] ?? type;
