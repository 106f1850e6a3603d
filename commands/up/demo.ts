import type { Loaded } from "../../src/config.ts";
import { MeshError } from "../../src/core/error.ts";
import { isOver } from "../../src/core/records.ts";
import { humanDuration } from "../../src/core/units.ts";
import type { Gateway } from "../../src/gateway/gateway.ts";
import { call } from "../../src/http.ts";
import type { Shown, Store } from "../../src/stores/store.ts";
import { knocksFor } from "./doors.ts";

const patience = 60_000;

interface Demo {
  loaded: Loaded;
  gateway: Gateway;
  store: Store;
  print: (line: string) => void;
}

/** Delivers a sample through the first door, shows each step, and throws unless its run succeeded and was announced. */
export async function runDemo({ loaded: { config, vault }, gateway, store, print }: Demo): Promise<void> {
  const [knock] = knocksFor(config, vault, gateway);
  if (!knock) throw new MeshError("config", "no source is configured", { hint: "add one under sources" });
  print(`1  gateway, worker and store are up in one process (state in ${config.state_dir})`);
  const { status, bytes } = await call({
    method: "POST",
    url: knock.url,
    headers: knock.headers,
    body: knock.body,
    timeout_ms: 10_000,
  });
  const answer = JSON.parse(new TextDecoder().decode(bytes)) as {
    status?: string;
    run_id?: string;
    reason?: string;
    error?: string;
  };
  if (status !== 200 || !answer.run_id) {
    throw new MeshError(
      "bug",
      `the door answered ${status} ${answer.error ?? answer.reason ?? answer.status ?? ""}`.trim(),
    );
  }
  print(`2  posted a ${knock.source} delivery to ${knock.url}`);
  print(`3  the token was verified, the task is on disk, answered ${status} ${answer.status} ${answer.run_id}`);
  if (answer.status === "duplicate") {
    print("   the same delivery was seen within its window before, so no second run was made: building that one again");
  }
  const run_id = answer.status === "duplicate" ? await again(store, answer.run_id) : answer.run_id;
  const { run, posts } = await settled(store, run_id);
  print(`4  ${run.node ?? "no node"} leased it and ran ${run.script}.sh; its log:`);
  const { bytes: log } = await store.readLog(run_id, run.attempt, 0, 16_384);
  for (const line of new TextDecoder().decode(log).trimEnd().split("\n")) print(`      ${line}`);
  const took = run.started_at && run.ended_at ? ` in ${humanDuration(run.ended_at - run.started_at)}` : "";
  print(`5  ${run.state}${took}, exit ${run.exit_code ?? "none"}`);
  print(
    `6  told ${[...new Set(posts.map(({ destination }) => destination))].join(", ")}: ${posts.map(({ state }) => state).join(", ")}`,
  );
  if (run.state !== "succeeded")
    throw new MeshError("differs", `the run ${run.state}`, { hint: `meshmac runs show ${run_id}` });
  print("\nNext: meshmac up, to try your own delivery; then docs/getting-started.md");
}

async function again(store: Store, id: string): Promise<string> {
  const shown = await store.show(id);
  if (!shown) throw new MeshError("bug", `the store does not know run ${id}`);
  const { retried } = await import("../../src/core/retried.ts");
  const entry = retried(shown.task, Bun.randomUUIDv7(), Date.now());
  await store.accept(entry);
  return entry.task.run_id;
}

/** Waits until a run is over and everything it had to say was sent. */
async function settled(store: Store, run_id: string): Promise<Shown> {
  const end = Date.now() + patience;
  for (;;) {
    const shown = await store.show(run_id);
    if (shown && isOver(shown.run.state) && shown.posts.some(({ state }) => state === shown.run.state)) {
      if (shown.posts.every(({ status }) => status !== "waiting" && status !== "sending")) return shown;
    }
    if (Date.now() > end)
      throw new MeshError("unavailable", `run ${run_id} was not over and announced within a minute`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
