import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { chats } from "../src/chats/registry.ts";
import { catalogue } from "../src/doctor/doctor.ts";
import { youtrackCloud } from "../src/gateway/youtrack-cloud.ts";
import { pagers } from "../src/pagers/registry.ts";
import { outboundOptions } from "../src/core/outbound.ts";
import { sources } from "../src/sources/registry.ts";
import { blocks, chatsPage, configIn, filled } from "./docs/page.ts";

const root = join(import.meta.dir, "..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");
const docs = readdirSync(join(root, "docs")).filter((name) => name.endsWith(".md"));
const pages = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", ...docs.map((name) => `docs/${name}`)];

const page = readFileSync(chatsPage, "utf8");
const kinds = chats.map(({ kind }) => kind);

describe("docs/chats.md", () => {
  test.each(kinds)("has a section and an example of %s in each of its guises", (kind) => {
    expect(sectionOf(kind)).not.toBe("");
    expect(examplesOf(kind)).toHaveLength(rowsOf(kind).length);
  });

  test.each(kinds)("says in its table what %s can do", (kind) => {
    const chat = chats.find((one) => one.kind === kind);
    const able = examplesOf(kind).map((entry) => {
      const can = chat?.can(entry);
      return [can?.edit, can?.thread, can?.idempotent];
    });
    const said = rowsOf(kind).map((cells) => cells.slice(2, 5).map((cell) => cell.startsWith("yes")));
    expect(said.length).toBeGreaterThan(0);
    expect(said).toEqual(able as boolean[][]);
  });

  test.each(kinds)("says in its table how fast %s is written to", (kind) => {
    const chat = chats.find((one) => one.kind === kind);
    const rates = examplesOf(kind).map((entry) => chat?.rate?.(entry) ?? "none");
    expect(rowsOf(kind).map((cells) => cells[6]?.split(",")[0])).toEqual(rates);
  });

  test("shows what a dry run prints; `bun test/docs/page.ts` writes it anew", () => {
    expect(filled(page)).toBe(page);
  });
});

test.each(["docs/chats.md", "docs/edge.md", "docs/lanes.md", "docs/logs.md", "docs/paging.md", "docs/trackers.md"])(
  "every configuration in %s is accepted as it stands",
  (path) => {
    const found = [...read(path).matchAll(blocks)].filter(([, kind]) => kind === "yaml");
    expect(found.length).toBeGreaterThan(0);
    for (const [, , yaml = ""] of found) expect(() => configIn(yaml)).not.toThrow();
  },
);

test("docs/edge.md has the addresses of YouTrack Cloud that the binary has, and their date", () => {
  const row = /^\| `youtrack-cloud` .*$/m.exec(read("docs/edge.md"))?.[0] ?? "";
  expect(row).toContain(`as of ${youtrackCloud.as_of}`);
  expect([...row.matchAll(/\d+\.\d+\.\d+\.\d+/g)].map(([ip]) => ip)).toEqual(youtrackCloud.ranges);
});

test("docs/configuration.md names every key of every chat and pager", () => {
  const reference = read("docs/configuration.md");
  const common = new Set(["kind"]);
  const unsaid = [...chats, ...pagers].flatMap(({ kind, options }) => {
    const section = reference.slice(reference.indexOf("## `chats.<name>`"));
    const keys = Object.keys(options.shape).filter((key) => !common.has(key));
    return [kind, ...keys].filter((word) => !section.includes(`\`${word}\``)).map((word) => `${kind}: ${word}`);
  });
  expect(unsaid).toEqual([]);
});

test("docs/doctor.md leads from every symptom to findings and commands that there are", () => {
  const [, , table = ""] = /(## From a symptom[^\n]*)\n([\s\S]*?)\n## /.exec(read("docs/doctor.md")) ?? [];
  const rows = table.split("\n").filter((line) => line.startsWith("| ") && !line.startsWith("| what"));
  expect(rows.length).toBeGreaterThan(10);
  const commands = readdirSync(join(root, "commands")).map((name) => name.replace(/\.ts$/, ""));
  for (const [, , findings = "", other = ""] of rows.map((row) => row.split("|"))) {
    const ids = [...findings.matchAll(/`([^`]+)`/g)].map(([, id = ""]) => id);
    expect(ids.filter((id) => !Object.hasOwn(catalogue, id))).toEqual([]);
    const asked = [...other.matchAll(/`meshmac (\w+)/g)].map(([, command = ""]) => command);
    expect(asked.filter((command) => !commands.includes(command))).toEqual([]);
    expect(ids.length + asked.length).toBeGreaterThan(0);
  }
});

test("docs/doctor.md names every finding with its severity", () => {
  const rows = [...read("docs/doctor.md").matchAll(/^\| `([a-z-]+)` \| (\w+) \|/gm)].map(([, id, severity]) => [
    id,
    severity,
  ]);
  expect(rows).toEqual(Object.entries(catalogue).map(([id, { severity }]) => [id, severity]));
});

test("docs/configuration.md names every key of every source and its comment", () => {
  const reference = read("docs/configuration.md");
  const [, after = ""] = reference.split("\n## `sources.<name>`\n");
  const section = after.split("\n## ")[0] ?? "";
  const unsaid = sources.flatMap(({ kind, options, comment }) => {
    const outbound = new Set(Object.keys(outboundOptions.shape));
    const own = Object.keys(comment?.options.shape ?? {}).filter((key) => !outbound.has(key));
    return [kind, ...Object.keys(options.shape), ...own]
      .filter((word) => !section.includes(`\`${word}\``))
      .map((word) => `${kind}: ${word}`);
  });
  expect(unsaid).toEqual([]);
});

test("README names every command", () => {
  const block = /subCommands: \{([\s\S]*?)\}/.exec(read("commands/main.ts"))?.[1] ?? "";
  const names = [...block.matchAll(/^\s*"?([a-z-]+)"?:/gm)].map(([, name]) => name);
  expect(names).toContain("serve");
  const readme = read("README.md");
  expect(names.filter((name) => !readme.includes(`\`meshmac ${name}`))).toEqual([]);
});

test("README leads to every page", () => {
  const readme = read("README.md");
  expect(docs.filter((name) => !readme.includes(`](docs/${name})`))).toEqual([]);
});

const told = new Set(
  [...read("docs/builders.md").matchAll(/(?:^|`)(?:sudo )?meshmac ((?:[a-z]+ ?)+)/gm)].map(([, words = ""]) =>
    words.trim(),
  ),
);

test.each([...told])("docs/builders.md says `meshmac %s`, and that is there", async (words) => {
  // What follows the command's own words is checked when it runs, so help is all that is asked for.
  const child = Bun.spawn([process.execPath, join(root, "commands/main.ts"), ...words.split(" "), "--help"], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said = await child.stdout.text();
  expect(await child.exited).toBe(0);
  const command = words.replace(/^(service \w+).*/, "$1");
  expect(said).toContain(`meshmac ${command}`);
});

test.each(pages)("every relative link in %s leads to something that exists", (path) => {
  const text = read(path).replace(/^```[\s\S]*?^```$/gm, "");
  const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = ""]) => target);
  expect(links.filter((target) => !/^[a-z]+:/.test(target) && !leads(path, target))).toEqual([]);
});

function leads(from: string, target: string): boolean {
  const [file = "", anchor] = target.split("#");
  const path = file === "" ? from : join(dirname(from), file);
  if (!existsSync(join(root, path))) return false;
  return anchor === undefined || anchorsOf(read(path)).has(anchor);
}

/** As GitHub makes them. */
const anchorsOf = (text: string): Set<string> =>
  new Set(
    [...text.replace(/^```[\s\S]*?^```$/gm, "").matchAll(/^#+ (.*)$/gm)].map(([, title = ""]) =>
      title
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );

function sectionOf(kind: string): string {
  const [, after = ""] = page.split(`\n## ${kind}\n`);
  return after.split("\n## ")[0] ?? "";
}

const rowsOf = (kind: string): string[][] =>
  page
    .split("\n")
    .filter((line) => line.startsWith(`| [\`${kind}\`]`))
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );

const examplesOf = (kind: string) =>
  [...sectionOf(kind).matchAll(blocks)]
    .filter(([, language]) => language === "yaml")
    .flatMap(([, , yaml = ""]) => Object.values(configIn(yaml).chats))
    .filter((entry) => entry.kind === kind);
