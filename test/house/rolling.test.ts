import { expect, test } from "bun:test";
import { startRedis } from "../fakes/redis-server.ts";
import { eventually, Household, jiraBody, tokens } from "./household.ts";

/** A proxy that sends each request to a gateway whose `/readyz` said 200 the last time it asked, as any load balancer does. */
function proxy(gateways: { url: string }[]) {
  const ready = new Map<string, boolean>();
  let turn = 0;
  let over = false;
  const look = async () => {
    while (!over) {
      for (const { url } of gateways.slice()) {
        ready.set(
          url,
          await fetch(`${url}/readyz`).then(
            ({ status }) => status === 200,
            () => false,
          ),
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  void look();
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const body = await request.text();
      const open = gateways.filter(({ url }) => ready.get(url));
      const to = open[turn++ % Math.max(1, open.length)];
      if (!to) return new Response("no gateway is ready", { status: 502 });
      const { pathname } = new URL(request.url);
      return await fetch(to.url + pathname, { method: "POST", headers: request.headers, body }).catch(
        () => new Response("the gateway broke the connection", { status: 502 }),
      );
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    ready: (url: string) => ready.get(url) === true,
    async stop() {
      over = true;
      await server.stop(true);
    },
  };
}

test("a rolling restart of two gateways behind a proxy that follows /readyz refuses nothing", async () => {
  const redis = await startRedis({ appendonly: "yes" });
  await using _ = { [Symbol.asyncDispose]: () => redis.stop() };
  await using house = new Household({
    store: `redis://127.0.0.1:${redis.port}/0`,
    config: { gateway: { listen: "127.0.0.1:0", admin: { listen: "127.0.0.1:0" }, drain_delay: "500ms" } },
  });
  const gateways = [await house.serve(), await house.serve()];
  const front = proxy(gateways);
  await eventually("both gateways in rotation", () => gateways.every(({ url }) => front.ready(url)));
  const refused: number[] = [];
  let sent = 0;
  let go = true;
  const load = Array.from({ length: 4 }, async () => {
    while (go) {
      const answer = await fetch(`${front.url}/jira/openclaw`, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-Meshmac-Jira-Token": tokens.jira },
        body: JSON.stringify(jiraBody(`MOB-${sent++}`)),
      });
      if (answer.status !== 200) refused.push(answer.status);
      await answer.text();
    }
  });
  await eventually("traffic", () => sent > 50);
  for (const old of gateways.slice()) {
    expect(await old.stop()).toBe(0);
    gateways.splice(gateways.indexOf(old), 1);
    const fresh = await house.serve();
    gateways.push(fresh);
    await eventually("the fresh gateway in rotation", () => front.ready(fresh.url));
    const before = sent;
    await eventually("more traffic", () => sent > before + 50);
  }
  go = false;
  await Promise.all(load);
  await front.stop();
  expect(refused).toEqual([]);
}, 60_000);
