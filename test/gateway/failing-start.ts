import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { configFrom } from "../../src/config.ts";
import type { Archive } from "../../src/core/archive.ts";
import { MeshError } from "../../src/core/error.ts";
import { openGateway } from "../../src/gateway/gateway.ts";
import { openSqlite } from "../../src/stores/sqlite.ts";

// Opens a gateway in the folder that is given, whose `taken` side finds its port taken, and says why it failed. Then there is
// nothing more to do here: the process ends by itself, unless something was left running.

const [dir = "", taken = ""] = process.argv.slice(2);
const other = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
const at = (side: string) => ({ listen: `127.0.0.1:${side === taken ? other.port : 0}` });
mkdirSync(join(dir, "secrets.d"), { mode: 0o700 });
const gateway = { ...at("public"), admin: at("admin"), nodes: { ...at("nodes"), url: "https://mesh.acme.internal" } };
const { config, vault } = configFrom({ gateway, node: { id: "mac-07" } }, { base: dir, env: {} });
const store = await openSqlite({ path: join(dir, "state", "meshmac.db"), state_dir: join(dir, "state") });
const archive: Archive = { put: async () => {}, read: async () => null };
const why = await openGateway({ config, vault, store, archive, print: () => {} }).then(
  () => "it opened",
  (fault: unknown) => (fault instanceof MeshError ? fault.message : String(fault)),
);
process.stdout.write(`${why}\n`);
await other.stop(true);
await store.close();
