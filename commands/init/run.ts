import { join, relative, resolve } from "node:path";
import * as snippets from "../../fixtures/init/snippets.ts";
import { configFrom } from "../../src/config.ts";
import { MeshError } from "../../src/core/error.ts";
import { compose, type Composed, type Wishes } from "../../src/init/compose.ts";
import { type Furnished, furnish, groupId, refuseExisting, writeConfig } from "../../src/init/furnish.ts";
import { print } from "../args.ts";
import { openQuestions } from "./ask.ts";

type Text = string | undefined;

export interface InitArgs {
  yes?: boolean | undefined;
  json?: boolean | undefined;
  dir?: Text;
  pool?: Text;
  "public-url"?: Text;
  sources?: Text;
  chats?: Text;
  status?: Text;
  script?: Text;
  store?: Text;
  group?: Text;
}

/** Writes a configuration and its tokens as the flags and the answers say, and prints what is to be done on the other sides. */
export async function initFrom(args: InitArgs): Promise<void> {
  refuseMisshapen(args);
  const dir = resolve(args.dir ?? ".");
  const file = join(dir, "meshmac.config.yaml");
  refuseExisting(file);
  const wishes = await wishesFrom(args);
  const gid = args.group === undefined ? undefined : groupId(args.group);
  const composed = compose(wishes, snippets);
  // What is written has passed the very check that `serve` makes; a wish that cannot be is refused before anything is there.
  const { config } = configFrom(Bun.YAML.parse(composed.yaml), { base: dir });
  // The tokens first: a second try finds and keeps them, while a configuration that is there ends it.
  const furnished = furnish(config, gid);
  writeConfig(file, composed.yaml);
  if (args.json) return print(JSON.stringify({ file, ...furnished, steps: composed.steps }));
  const script = join(dir, "scripts", `${wishes.script}.sh`);
  print(described(relative(process.cwd(), file) || file, composed, furnished, script));
}

// What one flag says is refused as that flag; what no flag says alone, by the check of the whole.
const plainName = /^[a-z0-9][a-z0-9_-]{0,63}$/;
const shapes: [flag: keyof InitArgs, shape: RegExp, expected: string][] = [
  ["pool", plainName, "a-z 0-9 _ -"],
  ["script", plainName, "a-z 0-9 _ -"],
  ["public-url", /^https:\/\/\S+$/, "an https:// URL"],
];

function refuseMisshapen(args: InitArgs): void {
  for (const [flag, shape, expected] of shapes) {
    const value = args[flag];
    if (typeof value !== "string" || shape.test(value)) continue;
    throw new MeshError("usage", `--${flag} expects ${expected}, got ${JSON.stringify(value)}`, {
      hint: "meshmac init --help shows what it takes",
    });
  }
}

const usual: Wishes = {
  pool: "meshmac",
  store: "sqlite:./state/meshmac.db",
  public_url: "https://gateway.example",
  status: "Ready for build",
  script: "build",
  sources: ["jira"],
  chats: ["mattermost"],
};

async function wishesFrom(args: InitArgs): Promise<Wishes> {
  const said: Wishes = {
    pool: args.pool ?? usual.pool,
    store: args.store ?? usual.store,
    public_url: (args["public-url"] ?? usual.public_url).replace(/\/+$/, ""),
    status: args.status ?? usual.status,
    script: args.script ?? usual.script,
    sources: args.sources === undefined ? usual.sources : kindsIn(args.sources),
    chats: args.chats === undefined ? usual.chats : kindsIn(args.chats),
  };
  if (args.yes) return said;
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new MeshError("usage", "there is no terminal to ask on", {
      hint: "add --yes, and flags for what is not usual",
    });
  }
  const questions = openQuestions();
  try {
    return {
      ...said,
      pool: await questions.ask("Name of the pool", said.pool, shaped(plainName, "a-z 0-9 _ -")),
      public_url: (
        await questions.ask(
          "How trackers reach the gateway",
          said.public_url,
          shaped(/^https:\/\/\S+$/, "an https:// URL"),
        )
      ).replace(/\/+$/, ""),
      sources: kindsIn(await questions.ask("Where issues move", said.sources.join(","), among(snippets.sources))),
      status: await questions.ask("The status that asks for a build", said.status),
      script: await questions.ask("The script that builds", said.script, shaped(plainName, "a-z 0-9 _ -")),
      chats: kindsIn(await questions.ask("Who is told", said.chats.join(","), among(snippets.chats))),
      store: await questions.ask("Where runs are kept", said.store),
    };
  } finally {
    questions.close();
  }
}

const kindsIn = (text: string): string[] => [...new Set(text.split(",").map((kind) => kind.trim()))].filter(Boolean);

const shaped = (shape: RegExp, expected: string) => (answer: string) =>
  shape.test(answer) ? null : `expected ${expected}`;

const among = (kinds: Readonly<Record<string, string>>) => (answer: string) => {
  const unknown = kindsIn(answer).find((kind) => !Object.hasOwn(kinds, kind));
  return unknown === undefined ? null : `no ${JSON.stringify(unknown)}; there is ${Object.keys(kinds).join(", ")}`;
};

function described(file: string, { steps }: Composed, { made, kept, wanted }: Furnished, script: string): string {
  const lines = [
    `wrote ${file}`,
    ...made.map((path) => `drew  ${here(path)}   its content goes to the other side: cat ${here(path)}`),
    ...kept.map((path) => `kept  ${here(path)}`),
  ];
  const blocks = steps.map(({ title, lines: told }) => [`\n${title}`, ...told.map((line) => `  ${line}`)].join("\n"));
  const write = wanted.map(({ file: path }) => `  (umask 077; cat > ${here(path)})   # paste, Enter, Ctrl-D`);
  const rest = [
    `${here(script)}   # write it: docs/getting-started.md#the-script; chmod +x`,
    "meshmac config check --secrets",
    "meshmac serve",
    "meshmac work     # beside it, or on each Mac",
    "meshmac doctor",
  ].map((line) => `  ${line}`);
  return [...lines, ...blocks, "\nthen", ...write, ...rest].join("\n");
}

const here = (path: string): string => relative(process.cwd(), path);
