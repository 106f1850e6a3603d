import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

setDefaultTimeout(60_000);

test.each([
  ["public", "gateway.listen"],
  ["admin", "gateway.admin.listen"],
  ["nodes", "gateway.nodes.listen"],
])("a gateway whose %s side cannot listen leaves nothing running", async (side, name) => {
  const dir = mkdtempSync(join(tmpdir(), "meshmac-failing-"));
  try {
    await using child = Bun.spawn([process.execPath, join(import.meta.dir, "failing-start.ts"), dir, side], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "inherit",
      timeout: 30_000,
      killSignal: "SIGKILL",
    });
    expect(await child.stdout.text()).toMatch(new RegExp(`^cannot listen on .* for ${name} \\(EADDRINUSE\\)\n$`));
    expect([await child.exited, child.signalCode]).toEqual([0, null]);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
