import { expect, test } from "bun:test";
import { join } from "node:path";
import { openMattermost } from "../fakes/mattermost.ts";
import { eventually, Household, Process } from "./household.ts";

// What workers say of themselves, read back by a doctor elsewhere in the pool.

test("two versions of one script are found on either node and on the gateway, until they are one again", async () => {
  await using house = new Household();
  const macs = [mac(house, "mac-07", 0), mac(house, "mac-08", 1)];
  await house.serve();
  let workers = macs.map((dir) => new Process(["work"], dir));
  try {
    const asked = ["doctor", "--json", "--only", "node-script-differs,node-no-scripts"];
    const doctors = [() => house.run(...asked), ...macs.map((dir) => () => ended(new Process(asked, dir)))];
    for (const doctor of doctors) {
      const { stdout } = await eventually("the difference found", async () => {
        const answer = await doctor();
        return answer.code === 1 ? answer : null;
      });
      expect(stdout).toMatch(/"about":"build-ios","says":"it is [0-9a-f]{8} on mac-0[78]; [0-9a-f]{8} on mac-0[78]"/);
    }
    await Promise.all(workers.map((worker) => worker.stop()));
    for (const id of ["mac-07", "mac-08"]) script(house, id, 2);
    workers = macs.map((dir) => new Process(["work"], dir));
    await eventually("no difference found", async () => (await house.run(...asked)).code === 0);
  } finally {
    await Promise.all(workers.map((worker) => worker.kill9()));
  }
});

test("a chat is unproven until a test post was taken with the value that it has, and again with another one", async () => {
  using chat = openMattermost();
  using other = openMattermost();
  await using house = new Household({ mattermost: chat.url });
  const unproven = async () => (await house.run("doctor", "--only", "chat-hook-unproven")).code;
  const serve = await house.serve();
  expect(await unproven()).toBe(1);
  expect((await house.run("notify", "--test", "builds")).code).toBe(0);
  expect(await unproven()).toBe(0);
  await serve.kill9();
  expect(await unproven()).toBe(0);
  house.secret("mattermost/builds.url", other.url);
  expect(await unproven()).toBe(1);
  // What a gateway posts proves as much.
  await house.serve();
  expect((await house.run("notify", "--workflow", "nightly", "--state", "succeeded")).code).toBe(0);
  await eventually("the gateway's own post counted", async () => (await unproven()) === 0);
});

test("a gateway with a store of its own that posts to the same hook is found by either", async () => {
  using chat = openMattermost();
  await using house = new Household({ mattermost: chat.url });
  await using copy = new Household({ mattermost: chat.url });
  await Promise.all([house.serve(), copy.serve()]);
  const asked = ["doctor", "--json", "--only", "duplicate-sender,hook-shared"];
  for (const [here, there] of [
    [house, copy],
    [copy, house],
  ] as const) {
    const { stdout } = await eventually("the other gateway found", async () => {
      const answer = await here.run(...asked);
      return answer.code === 1 ? answer : null;
    });
    const found = JSON.parse(stdout).findings;
    expect(found).toMatchObject([{ id: "duplicate-sender", about: "chats.builds" }]);
    expect(found[0].says).toContain(there.dir);
    expect(stdout).not.toContain(chat.url);
  }
});

function mac(house: Household, id: string, code: number): string {
  const store = `sqlite:${join(house.dir, "state/meshmac.db")}`;
  const config = { pool: "acme-ios", store, state_dir: join(house.dir, "state"), node: { id } };
  house.write(`${id}/meshmac.config.json`, JSON.stringify(config), 0o600);
  script(house, id, code);
  return join(house.dir, id);
}

const script = (house: Household, id: string, code: number): void =>
  house.write(`${id}/scripts/build-ios.sh`, `#!/bin/sh\nexit ${code}\n`, 0o755);

async function ended(command: Process): Promise<{ code: number; stdout: string }> {
  const code = await command.child.exited;
  await eventually("the end of the output", () => command.stdout.endsWith("\n"));
  return { code, stdout: command.stdout };
}
