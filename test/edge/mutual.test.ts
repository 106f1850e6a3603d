import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { certify } from "../fakes/authority.ts";
import { type Gatehouse, openGatehouse, tokens, wanted } from "../gateway/gatehouse.ts";

const page = readFileSync(join(import.meta.dir, "../../docs/edge.md"), "utf8");

describe.skipIf(Bun.which("openssl") === null)("mutual TLS, by the recipe of docs/edge.md", () => {
  const dir = mkdtempSync(join(tmpdir(), "meshmac-mutual-"));
  const read = (name: string) => readFileSync(join(dir, name), "utf8");
  let house: Gatehouse;
  let ca: string;

  beforeAll(async () => {
    const [, recipe = ""] = /```sh\n([\s\S]*?client-ca[\s\S]*?)```/.exec(page) ?? [];
    const { exitCode, stderr } = Bun.spawnSync(["sh", "-euc", recipe], { cwd: dir, stderr: "pipe" });
    if (exitCode !== 0) throw new Error(stderr.toString());
    const { cert, key, ca_file } = certify(dir);
    ca = readFileSync(ca_file, "utf8");
    house = await openGatehouse({ gateway: { tls: { cert, key, client_ca: join(dir, "client-ca.pem") } } });
  });
  afterAll(async () => {
    await house.close();
    rmSync(dir, { recursive: true, force: true });
  });

  const deliver = (shown: { cert?: string; key?: string }, token = tokens.jira) =>
    fetch(house.door, {
      method: "POST",
      headers: { "content-type": "application/json", "x-meshmac-jira-token": token },
      body: JSON.stringify(wanted()),
      tls: { ca, ...shown },
      keepalive: false,
    });

  test("takes a delivery of a client that the authority has signed", async () => {
    expect((await deliver({ cert: read("relay.pem"), key: read("relay.key") })).status).toBe(200);
  });

  test("asks that client for the token all the same", async () => {
    expect((await deliver({ cert: read("relay.pem"), key: read("relay.key") }, "wrong")).status).toBe(401);
  });

  test("refuses the connection of a client without one, and of one that another authority has signed", async () => {
    const before = house.steps.length;
    await expect(deliver({})).rejects.toThrow();
    const other = join(dir, "other");
    mkdirSync(other);
    const stranger = certify(other);
    const shown = { cert: readFileSync(stranger.cert, "utf8"), key: readFileSync(stranger.key, "utf8") };
    await expect(deliver(shown)).rejects.toThrow();
    expect(house.steps).toHaveLength(before);
  });
});
