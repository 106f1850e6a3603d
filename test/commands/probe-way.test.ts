import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tlsOf } from "../../src/http.ts";
import { differs } from "../../src/probe/advice.ts";
import { serverCases } from "../../src/probe/security.ts";
import { targetOfKind } from "../../src/probe/target.ts";
import { type Certified, certify } from "../fakes/authority.ts";
import { type Gatehouse, openGatehouse, tokens } from "../gateway/gatehouse.ts";

setDefaultTimeout(60_000);

const main = join(import.meta.dir, "../../commands/main.ts");

/** A proxy that opens tunnels and remembers where to. */
async function openProxy() {
  const tunnels: string[] = [];
  const server = createServer().on("connect", ({ url = "" }, near) => {
    tunnels.push(url);
    const [host = "", port] = url.split(":");
    const far = connect(Number(port), host, () => {
      near.write("HTTP/1.1 200 Connection Established\r\n\r\n");
      far.pipe(near).pipe(far);
    });
    near.on("error", () => far.destroy()).on("close", () => far.destroy());
    far.on("error", () => near.destroy()).on("close", () => near.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (!address || typeof address === "string") throw new Error("the proxy has no port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    tunnels,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => void server.close(resolve));
    },
  };
}

describe.skipIf(Bun.which("openssl") === null)("probe from a bastion, of a gateway that asks for a certificate", () => {
  const dir = mkdtempSync(join(tmpdir(), "meshmac-bastion-"));
  let house: Gatehouse;
  let server: Certified;
  let client: Certified;

  beforeAll(async () => {
    for (const name of ["server", "client"]) mkdirSync(join(dir, name), { mode: 0o700 });
    [server, client] = [certify(join(dir, "server")), certify(join(dir, "client"))];
    house = await openGatehouse({
      gateway: { tls: { cert: server.cert, key: server.key, client_ca: client.ca_file } },
    });
    writeFileSync(join(dir, "token"), `${tokens.jira}\n`, { mode: 0o600 });
  });
  afterAll(async () => {
    await house.close();
    rmSync(dir, { recursive: true, force: true });
  });

  /** Runs the command without a configuration, in a process of its own. */
  async function probe(...args: string[]) {
    const child = Bun.spawn([process.execPath, main, "probe", ...args], {
      cwd: dir,
      env: { PATH: process.env.PATH ?? "", HOME: dir },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const [code, stdout, stderr] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()]);
    return { code, stdout, stderr };
  }
  const door = () => ["--url", house.door, "--token-file", "token"];
  const authority = () => ["--ca-file", server.ca_file];
  const own = () => ["--client-cert", client.cert, "--client-key", client.key];

  test("asks everything with our certificate and its authority; the path says what kind of door it is", async () => {
    const { code, stdout } = await probe(...door(), ...authority(), ...own());
    expect(stdout).toContain("9 as expected, 0 not");
    expect(code).toBe(0);
  });

  test("goes through a proxy, and only through it", async () => {
    await using proxy = await openProxy();
    const { code } = await probe(...door(), ...authority(), ...own(), "--proxy", proxy.url);
    expect(code).toBe(0);
    expect(new Set(proxy.tunnels)).toEqual(new Set([new URL(house.door).host]));
    const nowhere = await probe(...door(), ...authority(), ...own(), "--proxy", "http://127.0.0.1:1");
    expect(nowhere.code).toBe(1);
    expect(nowhere.stdout).toContain("nothing answered");
  });

  test("says what to look at without the authority, and without our certificate", async () => {
    const stranger = await probe(...door(), ...own());
    expect([stranger.code, stranger.stdout]).toEqual([1, expect.stringContaining("--ca-file names the authority")]);
    const nobody = await probe(...door(), ...authority());
    expect([nobody.code, nobody.stdout]).toEqual([1, expect.stringContaining("--client-cert and --client-key")]);
    expect(nobody.stdout).toContain("0 as expected, 9 not");
  });

  test("writes oversized headers over the same TLS", async () => {
    const [target] = targetOfKind("jira", { url: house.door, secret: tokens.jira });
    if (!target) throw new Error("no target");
    const ask = async (tls: Awaited<ReturnType<typeof tlsOf>>) => {
      const [oversized] = serverCases(target, 1, tls);
      if (!oversized) throw new Error("no case");
      const got = await oversized.ask(() => Promise.reject(new Error("not asked")));
      return { got, wrong: differs(oversized.expected, got) };
    };
    const way = { ca_file: server.ca_file, client_cert: client.cert, client_key: client.key, allow_http: false };
    const { got, wrong } = await ask(await tlsOf(way));
    expect(wrong).toBe(false);
    expect([400, 413, 431]).toContain(got.status ?? 0);
    expect((await ask({})).got.status).toBeNull();
  });

  test("asks nothing where a file cannot be used", async () => {
    const loose = join(dir, "loose.pem");
    writeFileSync(loose, "key");
    chmodSync(loose, 0o644);
    const faults: [string[], number, string][] = [
      [["--ca-file", "none.pem"], 65, 'cannot read "none.pem"'],
      [["--client-cert", client.cert], 64, "--client-cert goes with --client-key"],
      [["--client-cert", client.cert, "--client-key", loose], 77, "loose.pem"],
      [["--proxy", "proxy.example"], 64, "--proxy expects the URL of a proxy"],
      [["--header", "X-Token: abc"], 64, "the name of a header alone"],
    ];
    for (const [args, status, why] of faults) {
      const { code, stdout, stderr } = await probe(...door(), ...args);
      expect([code, stdout, stderr]).toEqual([status, "", expect.stringContaining(why)]);
    }
    writeFileSync(join(dir, "empty"), "\n");
    const empty = await probe("--url", house.door, "--token-file", "empty");
    expect([empty.code, empty.stderr]).toEqual([65, expect.stringContaining('"empty" is empty')]);
    const bare = await probe("--url", new URL(house.door).host, "--token-file", "token");
    expect([bare.code, bare.stderr]).toEqual([64, expect.stringContaining("begins with https://")]);
    const unknown = await probe("--url", `${house.server.publicUrl}/hooks/x`, "--token-file", "token");
    expect([unknown.code, unknown.stderr]).toEqual([64, expect.stringContaining("add --source: jira, youtrack")]);
  });
});
