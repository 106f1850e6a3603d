import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import helloScript from "../../fixtures/hello.sh" with { type: "text" };
import { configFrom, type Loaded } from "../../src/config.ts";
import { systemFault } from "../../src/core/system-fault.ts";
import { createToken, writeSecret } from "../../src/secrets.ts";

/** Where `up` keeps its state unless told otherwise; `runs` looks there when nothing else is configured. */
export const usualStateDir = "./.meshmac";

const place = { pool: "demo", store: "sqlite:./meshmac.db", state_dir: "." };
const firstPort = 8787;

/** Makes a whole configuration of nothing: generated tokens, a demonstration script and the store under `dir`, the next free ports. Throws where `dir` cannot be written. */
export function configOfNothing(dir: string): Loaded {
  furnish(dir);
  const listen = freePort(firstPort);
  const admin = freePort(listen + 1);
  const task = { script: "hello", ref: "main" };
  return configFrom(
    {
      ...place,
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

/** Where the store is that an `up` in this folder left or still holds; null where there was none. */
export function configOfUp(dir: string): Loaded | null {
  return existsSync(join(dir, "meshmac.db")) ? configFrom(place, { base: dir }) : null;
}

function furnish(dir: string): void {
  try {
    for (const folder of ["", "scripts", "work"]) mkdirSync(join(dir, folder), { recursive: true, mode: 0o700 });
    for (const name of ["jira/inbound.token", "youtrack/inbound.token"]) {
      if (!existsSync(join(dir, "secrets.d", name))) writeSecret(join(dir, "secrets.d"), name, createToken());
    }
    const script = join(dir, "scripts", "hello.sh");
    if (!existsSync(script)) writeFileSync(script, helloScript, { mode: 0o700 });
  } catch (fault) {
    throw systemFault(fault, "--state-dir") ?? fault;
  }
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
