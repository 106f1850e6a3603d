import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSqlite } from "../../src/stores/sqlite.ts";
import { conformance } from "./conformance.ts";

conformance("sqlite", async () => {
  const folder = mkdtempSync(join(tmpdir(), "meshmac-sqlite-"));
  const store = await openSqlite({ path: join(folder, "state", "meshmac.db"), state_dir: join(folder, "state") });
  return {
    store,
    async close() {
      await store.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
});
