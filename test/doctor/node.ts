import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { JsonObject } from "../../src/core/json.ts";
import type { Machine } from "../../src/doctor/machine.ts";
import { type Answers, wellMachine } from "./machine.ts";
import type { Ward } from "./ward.ts";

/** Makes the ward a node of which nothing is wrong: one script, a configuration without doors and chats. */
export function onNode(ward: Ward, node: JsonObject = {}): void {
  ward.role = { gateway: false, node: true };
  ward.raw = { pool: "acme-ios", store: "sqlite:./meshmac.db", secrets_dir: "./node.d", state_dir: ".", node };
  script(ward, "build-ios.sh");
}

/** The same on a Mac whose programs answer as they do on a good one, or as said here. */
export function onMac(ward: Ward, answers: Answers = {}, over: Partial<Machine> = {}): void {
  if (ward.role.gateway) onNode(ward);
  ward.over = { ...ward.over, platform: "darwin", machine: wellMachine(ward.dir, answers, over) };
}

/** Writes a script beside the others; answers its path. */
export function script(ward: Ward, name: string, text = "xcodebuild build\n", mode = 0o755): string {
  const dir = join(ward.dir, "scripts");
  mkdirSync(dir, { recursive: true });
  chmodSync(dir, 0o755);
  const path = join(dir, name);
  writeFileSync(path, `#!/bin/bash\n${text}`);
  chmodSync(path, mode);
  return path;
}

/** Shows a worker alive. */
export async function asks(ward: Ward, node: string, facts: JsonObject = {}): Promise<void> {
  const usual = { version: "0.1.0", os: "darwin 25.1.0", labels: [], scripts: ["build-ios"], concurrency: 1 };
  await ward.store.lease({ node, facts: { ...usual, ...facts }, token: `here.${node}`, holding: [] });
}
