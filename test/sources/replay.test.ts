import { describe, expect, test } from "bun:test";
import { requestOf, usualDoor } from "../../fixtures/recorded.ts";
import { configFrom } from "../../src/config.ts";
import type { JsonObject } from "../../src/core/json.ts";
import { openServer } from "../../src/gateway/server.ts";
import { sources } from "../../src/sources/registry.ts";
import { openSqlite } from "../../src/stores/sqlite.ts";
import { Folder } from "../config/folder.ts";
import { told } from "../gateway/gatehouse.ts";
import { recorded } from "./fixtures.ts";

const secret = `whsec_${Buffer.from("a key of forty bytes, for the tests only").toString("base64")}`;

/** A gateway with a door for every recorded exchange of one kind. */
async function open(kind: string) {
  const folder = new Folder();
  const exchanges = await recorded(kind);
  folder.write("secrets.d/inbound/door.token", secret);
  folder.write("secrets.d/inbound/rest.token", secret);
  const doors = exchanges.map(({ name, options }) => {
    const { comment, ...own }: JsonObject = { ...usualDoor, ...options };
    return [
      name.replaceAll(".", "-"),
      { kind, path: `/${name}`, token: "inbound/door.token", ...own, ...withToken(comment) },
    ];
  });
  const { config, vault } = configFrom(
    { gateway: { listen: "127.0.0.1:0", admin: { listen: "127.0.0.1:0" } }, sources: Object.fromEntries(doors) },
    { base: folder.path, env: {} },
  );
  const store = await openSqlite({ path: `${folder.path}/meshmac.db`, state_dir: folder.path, role: "owner" });
  const server = await openServer({ config, vault, store });
  const deliver = async (name: string) => {
    const exchange = exchanges.find((one) => one.name === name);
    const entry = config.sources[name.replaceAll(".", "-")];
    const source = sources.find((one) => one.kind === kind);
    if (!exchange || !entry || !source) throw new Error(`no exchange ${name}`);
    const how = { verify: source.verify(entry), secret, id: `msg_${name}`, now: Date.now() };
    return await told(fetch(`${server.publicUrl}/${name}`, { method: "POST", ...requestOf(exchange, how) }));
  };
  const close = async () => {
    await server.stop();
    await store.close();
    folder[Symbol.dispose]();
  };
  return { exchanges, deliver, store, [Symbol.asyncDispose]: close };
}

const withToken = (comment: unknown) =>
  typeof comment === "object" ? { comment: { token: "inbound/rest.token", ...comment } } : {};

describe.each(sources.map(({ kind }) => kind))("a gateway takes what %s sends", (kind) => {
  test("as it was recorded, and every repeat as one", async () => {
    await using house = await open(kind);
    for (const { name, answer } of house.exchanges) {
      const { status, body } = await house.deliver(name);
      const { status: outcome = "refused", reason = body.error ?? null } = body;
      expect({ name, status, outcome, reason }).toEqual({ name, ...answer });
      if (answer.outcome !== "queued" && answer.outcome !== "stored") continue;
      expect({ name, again: (await house.deliver(name)).body.status }).toEqual({ name, again: "duplicate" });
    }
  });
});

test("sixty exchanges and more are recorded, of every kind", async () => {
  const all = await Promise.all(sources.map(({ kind }) => recorded(kind)));
  expect(all.flat().length).toBeGreaterThanOrEqual(60);
  expect(Math.min(...all.map((some) => some.length))).toBeGreaterThan(10);
});
