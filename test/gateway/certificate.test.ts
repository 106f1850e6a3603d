import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, copyFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Certified } from "../fakes/authority.ts";
import { shownAt } from "../fakes/shown.ts";
import { anyone, clear, dir, echo, hasOpenssl, openFronted, pairOf, printOf, replace, secured } from "./fronted.ts";
import { eventually } from "./gatehouse.ts";

setDefaultTimeout(60_000);
afterAll(clear);

describe.skipIf(!hasOpenssl)("a certificate that changes", () => {
  test("costs no connection: two thousand new ones while it changes again and again", async () => {
    await using front = openFronted(echo);
    const others = [pairOf(), pairOf()];
    let asked = 0;
    let swaps = 0;
    const failures: string[] = [];
    const knock = async (): Promise<void> => {
      while (asked < 2000) {
        const body = `delivery ${asked++}`;
        // A swap in the midst of everything else, each hundred connections.
        if (asked % 100 === 0) {
          replace(front.files, others[swaps++ % 2] ?? front.files);
          front.certificate.look();
        }
        const answer = await fetch(front.url, { method: "POST", body, keepalive: false, ...anyone }).then(
          async (said) => `${said.status} ${await said.text()}`,
          (fault: Error) => fault.message,
        );
        if (answer !== `200 ${body}`) failures.push(answer);
      }
    };
    await Promise.all(Array.from({ length: 16 }, knock));
    expect(failures).toEqual([]);
    expect(swaps).toBe(20);
  });

  test("is shown to new connections; those that are open keep the one they were made with", async () => {
    const held = Promise.withResolvers<void>();
    await using front = openFronted(async (request) => {
      if (new URL(request.url).pathname === "/slow") await held.promise;
      return new Response("here");
    });
    const kept = await secured(front.port);
    let said = "";
    kept.on("data", (bytes) => (said += bytes.toString()));
    const ask = (path: string) => kept.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    ask("/slow");
    const [before, other] = [printOf(front.files), pairOf()];
    replace(front.files, other);
    await eventually("the new certificate", async () => (await shownAt(front.port)) === printOf(other));
    held.resolve();
    await eventually("the answer under way", () => said.endsWith("here"));
    said = "";
    ask("/again");
    await eventually("the next answer", () => said.endsWith("here"));
    expect(kept.getPeerCertificate().fingerprint256).toBe(before);
    kept.destroy();
  });

  test.each([
    ["whose key is another's", (to: Certified) => copyFileSync(pairOf().key, to.key)],
    [
      "whose key others may read",
      (to: Certified) => {
        replace(to, pairOf());
        chmodSync(to.key, 0o644);
      },
    ],
    ["that ran out", (to: Certified) => replace(to, pairOf(0))],
    ["that is none", (to: Certified) => writeFileSync(to.cert, "no certificate")],
    ["that is gone", (to: Certified) => rmSync(to.cert)],
  ])("stays as it was while there is a pair %s, and is taken once that is mended", async (_, spoil) => {
    await using front = openFronted(echo);
    const before = printOf(front.files);
    spoil(front.files);
    for (let look = 0; look < 3; look++) front.certificate.look();
    expect(await shownAt(front.port)).toBe(before);
    const right = pairOf();
    replace(front.files, right);
    chmodSync(front.files.key, 0o600);
    await eventually("the right certificate", async () => (await shownAt(front.port)) === printOf(right));
  });

  test("changes who may come in, too", async () => {
    const [old, young] = [pairOf(), pairOf()];
    const client_ca = join(dir, "clients.pem");
    copyFileSync(old.ca_file, client_ca);
    await using front = openFronted(echo, { client_ca });
    const comes = ({ cert, key }: Certified) =>
      fetch(front.url, {
        keepalive: false,
        tls: { rejectUnauthorized: false, cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") },
      }).then(
        () => true,
        () => false,
      );
    expect([await comes(old), await comes(young)]).toEqual([true, false]);
    copyFileSync(young.ca_file, client_ca);
    await eventually("the new authority", () => comes(young));
    expect(await comes(old)).toBe(false);
  });
});
