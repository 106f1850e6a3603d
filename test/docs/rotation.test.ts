import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { JsonObject } from "../../src/core/json.ts";
import { createToken } from "../../src/secrets.ts";
import { openMattermost } from "../fakes/mattermost.ts";
import { openJira } from "../fakes/tracker.ts";
import { deliver, eventually, Household, jiraBody } from "../house/household.ts";

setDefaultTimeout(60_000);

const page = readFileSync(join(import.meta.dir, "../../docs/rotation.md"), "utf8");
const binary = process.env.MESHMAC_BINARY ?? join(import.meta.dir, "../../dist/meshmac");
const blocks = (kind: string): string[] =>
  [...page.matchAll(new RegExp(`^\`\`\`${kind}\\n([\\s\\S]*?)^\`\`\`$`, "gm"))].map(([, body = ""]) => body);

/** What of a status is looked at here. */
interface Status {
  uses: { role: string; count: number }[];
  objections: { id: string }[];
}

/** Each line with the status that the page says it ends with. */
const lines = blocks("sh").flatMap((block) =>
  block
    .split("\n")
    .filter((line) => line !== "")
    .map((text) => ({ text, status: Number(/ # (\d+): /.exec(text)?.[1] ?? 0) })),
);

test("every command of docs/rotation.md does what the page says", async () => {
  using jira = openJira();
  using before = openMattermost();
  using after = openMattermost();
  const config = Bun.YAML.parse(blocks("yaml")[0] ?? "") as { sources: { jira: { comment: JsonObject } } } & JsonObject;
  config.sources.jira.comment = { ...config.sources.jira.comment, site: jira.url, api: "cloud" };
  await using house = new Household({
    mattermost: before.url,
    scripts: { "build-ios": "#!/bin/sh\nexit 1\n" },
    config: { lanes: {}, ...config },
  });
  symlinkSync(binary, join(house.dir, "meshmac"));
  writeFileSync(join(house.dir, "new.token"), `${createToken()}\n`);
  writeFileSync(join(house.dir, "new.url"), `${after.url}\n`);
  const gateway = await house.serve();
  await house.work();

  const happenings: Record<string, () => Promise<unknown>> = {
    "# the tracker sends the new value": async () => {
      const token = readFileSync(join(house.dir, "secrets.d/jira/inbound.token.next"), "utf8").trim();
      await send(jiraBody("MOB-1", { status: "Done" }), token);
      await usesOf("jira/inbound.token", 1);
    },
    "# a build fails and is commented on": async () => {
      // The one comment is written with whatever the gateway has loaded by then.
      await eventually("the new jira/rest.token loaded", async () => {
        const { objections } = await statusOf("jira/rest.token");
        return objections.every(({ id }) => id !== "not-told" && id !== "not-loaded");
      });
      await send(jiraBody("MOB-2"), readFileSync(join(house.dir, "secrets.d/jira/inbound.token"), "utf8").trim());
      await usesOf("jira/rest.token", 1);
    },
  };

  async function send(body: JsonObject, token: string): Promise<void> {
    const { status } = await deliver(gateway.url, "jira", body, { "X-Meshmac-Jira-Token": token });
    expect(status).toBe(200);
  }

  async function sh(line: string): Promise<{ code: number; out: string }> {
    const child = Bun.spawn(["sh", "-c", line], {
      cwd: house.dir,
      env: { PATH: `${house.dir}:${process.env.PATH ?? ""}`, HOME: house.dir, USER: "builder" },
      stdout: "pipe",
      stderr: "pipe",
    });
    const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
    return { code: await child.exited, out: out + err };
  }

  async function statusOf(name: string): Promise<Status> {
    const { out } = await sh(`meshmac rotate status ${name} --json`);
    return (JSON.parse(out) as { secrets: [Status] }).secrets[0];
  }

  async function usesOf(name: string, count: number): Promise<void> {
    await eventually(`a use of the new ${name}`, async () => {
      const { uses } = await statusOf(name);
      return uses.some(({ role, count: found }) => role === "next" && found >= count);
    });
  }

  for (const { text, status } of lines) {
    if (text.startsWith("#")) {
      const happening = happenings[text];
      if (!happening) throw new Error(`nobody knows what ${JSON.stringify(text)} is`);
      await happening();
      continue;
    }
    expect(text).toStartWith("meshmac rotate ");
    const { code, out } = await sh(text);
    expect({ text, code, out }).toEqual({ text, code: status, out });
  }
  expect(after.posts).toHaveLength(1);
  expect(after.faults).toEqual([]);
});

test("the page's configuration is accepted as it stands", () => {
  expect(blocks("yaml")).toHaveLength(1);
  expect(lines.length).toBeGreaterThan(15);
});
