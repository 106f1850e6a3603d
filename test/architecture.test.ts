import { expect, test } from "bun:test";
import { dirname, join, normalize, relative } from "node:path";

const root = join(import.meta.dir, "..");

/** Who may know whom. A room may import itself, what is listed here, and packages. */
const mayImport: Record<string, string[]> = {
  "src/core": [],
  "src/log.ts": ["src/log"],
  "src/log": [],
  "src/version.ts": [],
  "src/user.ts": [],
  "src/programs.ts": ["src/core"],
  "src/secrets.ts": ["src/core", "src/log.ts", "src/secrets"],
  "src/secrets": ["src/core"],
  "src/http.ts": ["src/core", "src/version.ts"],
  "src/archive.ts": ["src/core", "src/archive"],
  "src/archive": ["src/core"],
  "src/config": ["src/core", "src/sources", "src/chats", "src/pagers", "src/secrets.ts"],
  "src/sources": ["src/core"],
  "src/chats": ["src/core"],
  "src/pagers": ["src/core"],
  "src/spool": ["src/core", "src/log.ts"],
  "src/rotation": ["src/core", "src/config", "src/sources", "src/stores", "src/secrets", "src/secrets.ts"],
  "src/stores": ["src/core", "src/log.ts", "src/secrets.ts", "src/http.ts"],
  "src/worker": ["src/core", "src/stores", "src/log.ts", "src/version.ts", "src/user.ts"],
  "src/gateway": [
    "src/core",
    "src/config",
    "src/sources",
    "src/chats",
    "src/pagers",
    "src/spool",
    "src/rotation",
    "src/stores",
    "src/viewer",
    "src/http.ts",
    "src/log.ts",
    "src/secrets.ts",
    "src/version.ts",
  ],
  "src/viewer": ["src/core"],
  "src/init": ["src/core", "src/config", "src/secrets.ts"],
  "src/doctor": [
    "src/core",
    "src/user.ts",
    "src/config",
    "src/sources",
    "src/chats",
    "src/pagers",
    "src/programs.ts",
    "src/rotation",
    "src/stores",
    "src/worker",
    "src/http.ts",
    "src/secrets",
    "src/secrets.ts",
    "src/version.ts",
  ],
  "src/probe": [
    "src/core",
    "src/config",
    "src/sources",
    "src/chats",
    "src/gateway",
    "src/stores",
    "src/http.ts",
    "src/secrets.ts",
    "fixtures",
  ],
  "src/service": ["src/core", "src/config", "src/log", "src/programs.ts", "src/user.ts"],
  commands: ["src", "fixtures"],
};

/** Adapters never import each other: beside the registry, a file of these rooms knows only its port and files of its own name. */
const adapterRooms: Record<string, string> = { "src/chats": "chat", "src/sources": "source", "src/pagers": "pager" };

/** One owner per dangerous thing. */
const onlyIn: [what: string, pattern: RegExp, owner: RegExp][] = [
  ["ofetch", /from "ofetch"/, /^src\/http\.ts$/],
  ["c12", /from "c12"|import\("c12"\)/, /^src\/config(\.ts|\/)/],
  ["consola", /from "consola/, /^src\/log\.ts$/],
  ["ioredis", /from "ioredis"/, /^src\/stores\/redis(\.ts|\/)/],
  ["bun:sqlite", /from "bun:sqlite"/, /^src\/stores\/sqlite(\.ts|\/)/],
  ["Bun's S3 client", /\bS3Client\b|\bBun\.s3\b|import \{[^}]*\bs3\b[^}]*\} from "bun"/, /^src\/archive\/s3\.ts$/],
  ["citty", /from "citty"/, /^commands\//],
  ["fetch", /(?<![\w.])fetch\(/, /^src\/http\.ts$/],
  ["process.exit", /process\.exit\(/, /^commands\/main\.ts$/],
  // A worker's scripts, and what it watches them with, are its own affair.
  ["Bun.spawn", /\bBun\.spawn/, /^src\/((programs|user)\.ts|worker\/)/],
  ["Secret.reveal", /\.(reveal|lives)\(/, /^src\/(core\/secret|http|archive\/s3|stores\/(redis|remote))(\.ts|\/)/],
];

interface Source {
  path: string;
  room: string;
  text: string;
  imports: string[];
}

const room = (path: string): string => {
  const parts = path.split("/");
  if (parts[0] !== "src") return parts[0] ?? "";
  if (path === "src/config.ts") return "src/config";
  return parts.length === 2 ? path : `src/${parts[1]}`;
};

const codeLines = (text: string): number =>
  text.split("\n").filter((line) => !/^\s*(\/\/|\*|\/\*|$)/.test(line)).length;

const sources: Source[] = [...new Bun.Glob("{src,commands}/**/*.ts").scanSync(root)].map((path) => {
  const text = new TextDecoder().decode(Bun.mmap(join(root, path)));
  const found = text.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)"/g);
  const imports = [...found].map(([, to]) => relative(root, normalize(join(root, dirname(path), to ?? ""))));
  return { path, room: room(path), text, imports: imports.filter((to) => to.endsWith(".ts")) };
});

test("every room imports only what it may", () => {
  const faults = sources.flatMap(({ path, room: from, imports }) =>
    imports
      .filter(
        (to) =>
          room(to) !== from &&
          !(mayImport[from] ?? []).some((allowed) => room(to) === allowed || to.startsWith(`${allowed}/`)),
      )
      .map((to) => `${path} → ${to}`),
  );
  expect(faults).toEqual([]);
});

test("every room is known", () => {
  expect([...new Set(sources.map((source) => source.room))].filter((name) => !(name in mayImport))).toEqual([]);
});

test("adapters never import each other", () => {
  const faults = sources.flatMap(({ path, room: from, imports }) => {
    const port = adapterRooms[from];
    const own =
      path
        .slice(from.length + 1)
        .replace(/\.ts$/, "")
        .split(/[-/]/)[0] ?? "";
    if (port === undefined || own === "registry") return [];
    const strangers = imports.filter((to) => to.startsWith(`${from}/`) && to !== `${from}/${port}.ts`);
    return strangers.filter((to) => !to.slice(from.length + 1).startsWith(own)).map((to) => `${path} → ${to}`);
  });
  expect(faults).toEqual([]);
});

test("a worker reaches no source, chat, pager or http, by any path but the store it was given", () => {
  const byPath = new Map(sources.map((source) => [source.path, source]));
  const reached = new Set<string>();
  const walk = (path: string): void => {
    if (reached.has(path)) return;
    reached.add(path);
    for (const to of byPath.get(path)?.imports ?? []) walk(to);
  };
  for (const { path } of sources.filter((source) => source.room === "src/worker")) walk(path);
  expect([...reached].filter((path) => /^src\/(sources|chats|pagers|gateway|http\.ts|config)/.test(path))).toEqual([]);
});

test.each(onlyIn)("%s has one owner", (_what, pattern, owner) => {
  expect(sources.filter(({ path, text }) => pattern.test(text) && !owner.test(path)).map(({ path }) => path)).toEqual(
    [],
  );
});

test("imports make no cycle", () => {
  const edges = new Map(sources.map(({ path, imports }) => [path, imports]));
  const done = new Set<string>();
  const cycles: string[] = [];
  const walk = (path: string, trail: string[]): void => {
    if (trail.includes(path)) return void cycles.push([...trail.slice(trail.indexOf(path)), path].join(" → "));
    if (done.has(path)) return;
    for (const to of edges.get(path) ?? []) walk(to, [...trail, path]);
    done.add(path);
  };
  for (const path of edges.keys()) walk(path, []);
  expect(cycles).toEqual([]);
});

test("no file has over 300 lines of code", () => {
  expect(sources.map(({ path, text }) => [path, codeLines(text)] as const).filter(([, lines]) => lines > 300)).toEqual(
    [],
  );
});
