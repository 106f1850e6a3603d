import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { configFrom } from "../../src/config.ts";
import { provenHeaders } from "../../src/core/verify.ts";
import { openServer } from "../../src/gateway/server.ts";
import { sources } from "../../src/sources/registry.ts";
import { openSqlite } from "../../src/stores/sqlite.ts";
import { Folder } from "../config/folder.ts";
import { told } from "../gateway/gatehouse.ts";

const page = readFileSync(join(import.meta.dir, "../../docs/trackers.md"), "utf8");
const secret = `whsec_${Buffer.from("a key of forty bytes, for the tests only").toString("base64")}`;

interface Example {
  section: string;
  yaml: string;
  body: string;
  headers: Record<string, string>;
  answer: string;
}

/** Every JSON body of the page, with the configuration that stands above it and what its info string says. */
function examples(): Example[] {
  let [section, yaml] = ["", ""];
  return [...page.matchAll(/^## (.*)$|^```(yaml|json)(.*)\n([\s\S]*?)^```$/gm)].flatMap(
    ([, title, kind, info, text = ""]) => {
      if (title !== undefined) section = title;
      else if (kind === "yaml") yaml = text;
      if (kind !== "json") return [];
      const { answer = "", ...headers } = Object.fromEntries(
        (info ?? "")
          .trim()
          .split(" ")
          .map((word) => word.split("=")),
      );
      return [{ section, yaml, body: text, headers, answer }];
    },
  );
}

const all = examples();

test("the page has a body of every kind that it describes", () => {
  const kinds = sources.map(({ kind }) => kind).filter((kind) => !["jira", "youtrack"].includes(kind));
  expect([...new Set(all.map(({ section }) => section))]).toEqual(kinds);
  expect(all.length).toBe(page.split("\n```json").length - 1);
});

test.each(
  all.map(
    (example, at) => [`${at + 1}, ${example.section} ${Object.values(example.headers).join(" ")}`, example] as const,
  ),
)("body %s is answered as the page says", async (_name, { yaml, body, headers, answer }) => {
  using folder = new Folder();
  const raw: unknown = Bun.YAML.parse(yaml);
  const gateway = { listen: "127.0.0.1:0", admin: { listen: "127.0.0.1:0" } };
  const { config, vault } = configFrom({ ...Object(raw), gateway }, { base: folder.path, env: {} });
  const [door] = Object.values(config.sources);
  const source = sources.find(({ kind }) => kind === door?.kind);
  if (!door || !source) throw new Error("no source above the body");
  folder.write(`secrets.d/${door.token.name}`, secret);
  const store = await openSqlite({ path: `${folder.path}/meshmac.db`, state_dir: folder.path, role: "owner" });
  const server = await openServer({ config, vault, store });
  try {
    const proof = provenHeaders(source.verify(door), secret, { body, id: "msg_1", now: Date.now() });
    const sent = { method: "POST", body, headers: { "Content-Type": "application/json", ...proof, ...headers } };
    const got = await told(fetch(`${server.publicUrl}${door.path}`, sent));
    expect([got.status, got.body.status]).toEqual([200, answer]);
  } finally {
    await server.stop();
    await store.close();
  }
});
