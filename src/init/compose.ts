import { MeshError } from "../core/error.ts";

/** What a new configuration depends on. */
export interface Wishes {
  pool: string;
  store: string;
  /** How trackers reach the doors, without a slash at its end. */
  public_url: string;
  /** The status or stage of an issue that asks for a build. */
  status: string;
  script: string;
  /** Kinds, in order. */
  sources: string[];
  chats: string[];
}

/** The texts it is made of: a frame, and per kind an entry whose leading comment says what to do on the other side. */
export interface Snippets {
  config: string;
  sources: Readonly<Record<string, string>>;
  chats: Readonly<Record<string, string>>;
}

/** What is to be done on the other side, as `init` prints it. */
export interface Step {
  title: string;
  lines: string[];
}

export interface Composed {
  yaml: string;
  steps: Step[];
}

/** Writes a commented configuration and what to do on the other sides. Throws `usage` for a kind without a snippet. */
export function compose(wishes: Wishes, snippets: Snippets): Composed {
  const chosen = (what: "sources" | "chats") =>
    wishes[what].map((kind, n) => {
      const snippet = snippets[what][kind];
      if (snippet === undefined) {
        throw new MeshError("usage", `no ${what.slice(0, -1)} of the kind ${JSON.stringify(kind)}`, {
          hint: `there is ${Object.keys(snippets[what]).join(", ")}`,
        });
      }
      return named(kind, parted(snippet), what === "chats" && n > 0);
    });
  const [sources, chats] = [chosen("sources"), chosen("chats")];
  const { pool, store, public_url, status, script } = wishes;
  const scalars = quoted({ pool, store, public_url, status, script });
  const entries = (all: Entry[]) => all.map(({ body }) => indented(filled(body, scalars))).join("");
  const yaml = filled(snippets.config, { ...scalars, sources: entries(sources), chats: entries(chats) });
  return {
    yaml: yaml.replace(/^(sources|chats):\n\n/gm, "$1: {}\n\n"),
    steps: [
      ...sources.map(({ name, steps, body }) => ({ title: name, lines: told(steps, body, wishes) })),
      ...chats.map(({ name, steps }) => ({ title: name, lines: steps })),
    ],
  };
}

interface Entry {
  name: string;
  steps: string[];
  body: string;
}

/** Parts the leading comment from the entry. */
function parted(snippet: string): Omit<Entry, "name"> {
  const lines = snippet.trimEnd().split("\n");
  const first = lines.findIndex((line) => !line.startsWith("#"));
  return {
    steps: lines.slice(0, first).map((line) => line.replace(/^# ?/, "")),
    body: `${lines.slice(first).join("\n")}\n`,
  };
}

/** The first chat is called what its snippet says; the others as their kind, for no two may share a name. */
const named = (kind: string, { steps, body }: Omit<Entry, "name">, byKind: boolean): Entry => ({
  name: kind,
  steps,
  body: byKind ? body.replace(/^[\w-]+:/, `${kind}:`) : body,
});

/** Fills a source's steps with its own address, header and token file. */
function told(steps: string[], body: string, { public_url, status }: Wishes): string[] {
  const of = (key: string) => new RegExp(`^  ${key}: (\\S+)`, "m").exec(body)?.[1] ?? "";
  const values = { url: public_url + of("path"), header: of("header"), token: `secrets.d/${of("token")}`, status };
  return steps.map((line) => filled(line, values));
}

/** Fills `{{name}}`; what has another name is somebody else's placeholder and stays. */
const filled = (text: string, values: Readonly<Record<string, string>>): string =>
  text.replace(/\{\{(\w+)\}\}/g, (whole, name: string) => values[name] ?? whole);

/** Values as they stand between the double quotes of YAML. */
const quoted = (values: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, JSON.stringify(value).slice(1, -1)]));

const indented = (body: string): string => body.replace(/^(?=.)/gm, "  ");
