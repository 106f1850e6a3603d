import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import helloScript from "../../fixtures/hello.sh" with { type: "text" };
import { configFrom, type Loaded } from "../../src/config.ts";
import { createToken, writeSecret } from "../../src/secrets.ts";

const firstPort = 8787;

/** Makes a whole configuration of nothing: generated tokens, a demonstration script and the store under `dir`, the next free ports. */
export function configOfNothing(dir: string): Loaded {
  for (const folder of ["", "scripts", "work"]) mkdirSync(join(dir, folder), { recursive: true, mode: 0o700 });
  for (const name of ["jira/inbound.token", "youtrack/inbound.token"]) {
    if (!existsSync(join(dir, "secrets.d", name))) writeSecret(join(dir, "secrets.d"), name, createToken());
  }
  const script = join(dir, "scripts", "hello.sh");
  if (!existsSync(script)) writeFileSync(script, helloScript, { mode: 0o700 });
  const listen = freePort(firstPort);
  const admin = freePort(listen + 1);
  const task = { script: "hello", ref: "main" };
  return configFrom(
    {
      pool: "demo",
      store: "sqlite:./meshmac.db",
      state_dir: ".",
      gateway: {
        listen: `127.0.0.1:${listen}`,
        admin: { listen: `127.0.0.1:${admin}`, url: `http://127.0.0.1:${admin}` },
        drain_delay: "0s",
      },
      sources: {
        jira: {
          kind: "jira",
          path: "/jira/openclaw",
          token: "jira/inbound.token",
          build_when: [{ status: ["Building", "Ready for build"] }],
          task,
        },
        youtrack: {
          kind: "youtrack",
          path: "/youtrack/webhook",
          token: "youtrack/inbound.token",
          build_when: [{ event: ["issueUpdated"], changed: { Stage: ["Building"], State: ["Building"] } }],
          task,
        },
      },
      chats: {
        terminal: { kind: "console", states: ["queued", "running", "succeeded", "failed", "cancelled", "dead"] },
      },
    },
    { base: dir },
  );
}

/** The first port from `from` on that nobody on this machine listens on. */
function freePort(from: number): number {
  for (let port = from; port < from + 200; port++) {
    try {
      Bun.listen({ hostname: "127.0.0.1", port, socket: { data() {} } }).stop(true);
      return port;
    } catch {
      // taken; the next one
    }
  }
  return 0;
}
