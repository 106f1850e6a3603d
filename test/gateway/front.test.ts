import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { connect as connectPlain } from "node:net";
import { connect, type TLSSocket } from "node:tls";
import { openCertificate } from "../../src/gateway/certificate.ts";
import { listen } from "../../src/gateway/listener.ts";
import { type Certified } from "../fakes/authority.ts";
import { anyone, clear, echo, hasOpenssl, mebi, openFronted, pairOf, replace, secured } from "./fronted.ts";
import { eventually, openGatehouse } from "./gatehouse.ts";

setDefaultTimeout(60_000);
afterAll(clear);

describe.skipIf(!hasOpenssl)("behind the front", () => {
  test("a request comes from where its connection comes from", async () => {
    await using front = openFronted((request, server) => Response.json(server.requestIP(request)));
    for (const localAddress of process.platform === "linux" ? ["127.0.0.1", "127.0.0.2"] : ["127.0.0.1"]) {
      const from = { host: "127.0.0.1", port: front.port, localAddress, rejectUnauthorized: false };
      const socket = connect(from);
      let said = "";
      socket.on("data", (bytes) => (said += bytes.toString()));
      socket.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
      await eventually("an answer", () => said.includes("}"));
      const { localPort: port } = socket;
      expect(JSON.parse(said.slice(said.indexOf("{")))).toEqual({ address: localAddress, port, family: "IPv4" });
      socket.destroy();
    }
  });

  test.skipIf(process.platform !== "linux")("allow_ips goes by it", async () => {
    await using house = await openGatehouse({
      gateway: { tls: pathsOf(pairOf()) },
      jira: { allow_ips: ["127.0.0.2"] },
    });
    const statusFrom = async (localAddress: string): Promise<number> => {
      const port = Number(new URL(house.door).port);
      const from = { host: "127.0.0.1", port, localAddress, rejectUnauthorized: false };
      const socket = connect(from);
      let said = "";
      socket.on("data", (bytes) => (said += bytes.toString()));
      socket.write("POST /jira/openclaw HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
      await eventually("an answer", () => said.includes("\r\n\r\n"));
      socket.destroy();
      return Number(said.split(" ")[1]);
    };
    expect([await statusFrom("127.0.0.1"), await statusFrom("127.0.0.2")]).toEqual([403, 401]);
  });

  test.skipIf(process.platform !== "linux")("the listener inside answers nobody who finds it", async () => {
    const before = listening();
    let asked = 0;
    await using front = openFronted(() => new Response(String(++asked)));
    const found = listening().filter((port) => !before.includes(port) && port !== front.port);
    expect(found).toHaveLength(1);
    const answer = await fetch(`https://127.0.0.1:${found[0]}/`, { method: "POST", body: "x", ...anyone });
    expect([answer.status, await answer.text(), asked]).toEqual([403, "", 0]);
  });

  test("an address that is taken is told, whoever has it", async () => {
    await using front = openFronted(echo);
    const at = { host: "127.0.0.1", port: front.port };
    const again = () =>
      listen({ name: "gateway.listen", at, certificate: front.certificate, largestBody: mebi, answer: echo });
    const message = `cannot listen on 127.0.0.1:${front.port} for gateway.listen (EADDRINUSE)`;
    expect(again).toThrow(expect.objectContaining({ kind: "unavailable", message }));
  });

  test("bytes pass both ways at the pace of the slower one", async () => {
    await using front = openFronted(echo);
    const sent = crypto.getRandomValues(new Uint8Array(65_536));
    const body = Buffer.concat(Array.from({ length: 512 }, () => sent));
    const answers = await Promise.all(
      Array.from({ length: 4 }, async () => {
        const answer = await fetch(front.url, { method: "POST", body, ...anyone });
        return Bun.hash(await answer.arrayBuffer());
      }),
    );
    expect(answers).toEqual(answers.map(() => Bun.hash(body)));
  });

  test("a reader that stops reading holds up whoever writes to it, and ends it by hanging up", async () => {
    let written = 0;
    const ended = Promise.withResolvers<void>();
    await using front = openFronted(
      () =>
        new Response(
          new ReadableStream({
            pull(stream) {
              written++;
              stream.enqueue(new Uint8Array(mebi));
            },
            cancel: () => ended.resolve(),
          }),
        ),
    );
    const socket = await secured(front.port);
    socket.pause();
    socket.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await eventually("it to have begun", () => written > 0);
    let before = -1;
    await eventually("it to stand still", async () => {
      const stands = written === before;
      before = written;
      await new Promise((next) => setTimeout(next, 200));
      return stands;
    });
    // What the kernel takes for three sockets that nobody empties.
    expect(written).toBeLessThan(64);
    socket.destroy();
    await ended.promise;
  });

  test.each([
    ["hangs up", (socket: TLSSocket) => void socket.destroy()],
    ["says that nothing more comes", (socket: TLSSocket) => void socket.end()],
  ])("a client that %s while it waits is seen to be gone", async (_, leave) => {
    const began = Promise.withResolvers<void>();
    const gone = Promise.withResolvers<void>();
    await using front = openFronted(async (request, server) => {
      server.timeout(request, 0);
      request.signal.addEventListener("abort", () => gone.resolve());
      began.resolve();
      await gone.promise;
      return new Response();
    });
    const socket = await secured(front.port);
    socket.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await began.promise;
    leave(socket);
    await gone.promise;
  });

  test("a delivery counts although its sender hangs up at once", async () => {
    const bodies: string[] = [];
    await using front = openFronted(async (request) => {
      bodies.push(await request.text());
      return new Response();
    });
    const socket = await secured(front.port);
    socket.end("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello");
    await eventually("the delivery", () => bodies.length === 1);
    expect(bodies).toEqual(["hello"]);
  });

  test("a body that comes in drips is taken whole", async () => {
    await using front = openFronted(echo);
    const socket = await secured(front.port);
    let said = "";
    socket.on("data", (bytes) => (said += bytes.toString()));
    socket.write("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\n");
    for (const letter of "abcdefghijklmnopqrst") await new Promise<void>((sent) => socket.write(letter, () => sent()));
    await eventually("its echo", () => said.endsWith("abcdefghijklmnopqrst"));
    socket.destroy();
  });

  test("nothing is left of connections that came, said anything, and went", async () => {
    await using front = openFronted(echo);
    await fetch(front.url, { keepalive: false, ...anyone });
    const before = openFiles();
    const plain = Array.from({ length: 20 }, () => {
      const socket = connectPlain(front.port, "127.0.0.1", () => socket.write("no hand shake"));
      socket.on("error", () => {});
      return socket;
    });
    const secure = await Promise.all(Array.from({ length: 20 }, () => secured(front.port)));
    replace(front.files, pairOf());
    front.certificate.look();
    for (const socket of [...plain, ...secure]) socket.destroy();
    if (process.platform === "linux") await eventually("all to be closed", () => openFiles() <= before + 2);
    expect((await fetch(front.url, { method: "POST", body: "still here", keepalive: false, ...anyone })).status).toBe(
      200,
    );
  });

  test("stops when what is under way is answered, and takes nothing more", async () => {
    const held = Promise.withResolvers<void>();
    const began = Promise.withResolvers<void>();
    const certificate = openCertificate(pairOf());
    const at = { host: "127.0.0.1", port: 0 };
    const answer = async () => {
      began.resolve();
      await held.promise;
      return new Response("done");
    };
    const listener = listen({ name: "the front", at, certificate, largestBody: mebi, answer });
    const url = `https://127.0.0.1:${listener.port}/`;
    const underWay = fetch(url, { keepalive: false, ...anyone });
    await began.promise;
    const stopped = listener.stop();
    await expect(fetch(url, { keepalive: false, ...anyone })).rejects.toThrow();
    held.resolve();
    expect(await (await underWay).text()).toBe("done");
    await stopped;
    await listener.stop(true);
    certificate.stop();
  });
});

const pathsOf = ({ cert, key }: Certified) => ({ cert, key });
const openFiles = (): number => readdirSync("/proc/self/fd").length;

/** The ports of loopback that this process listens on. */
function listening(): number[] {
  const ours = readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      return [/^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1] ?? ""];
    } catch {
      return [];
    }
  });
  return readFileSync("/proc/self/net/tcp", "utf8")
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , , state, , , , , , inode]) => state === "0A" && ours.includes(inode ?? "-"))
    .map(([, local = ""]) => Number.parseInt(local.split(":")[1] ?? "", 16));
}
