import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { startRedis } from "../fakes/redis-server.ts";
import { openBucket } from "../fakes/s3.ts";
import { deliver, eventually, Household, jiraBody } from "./household.ts";

setDefaultTimeout(60_000);

const lines = 1_200_000;
const all = `${Array.from({ length: lines }, (_, i) => i + 1).join("\n")}\nover\n`;

const isOver = async (house: Household, run_id: string) =>
  /"state":"succeeded"/.test((await house.run("runs", "show", run_id, "--json")).stdout);

test("over Redis a long log is whole though its gateway is killed meanwhile, and stays so when only the archive has it", async () => {
  const redis = await startRedis();
  await using _ = { [Symbol.asyncDispose]: () => redis.stop() };
  using bucket = openBucket({ secret: "fake-secret-access-key-0123456789" });
  const s3 = {
    endpoint: bucket.url,
    bucket: "acme-logs",
    region: "eu-central-1",
    access_key_id: "AKIAEXAMPLE",
    secret_access_key: "s3/logs.key",
  };
  await using house = new Household({
    store: `redis://127.0.0.1:${redis.port}/0`,
    scripts: { "build-ios": `#!/bin/sh\nfor i in 1 2 3; do :; done\nseq 1 ${lines}\necho over\n` },
    config: { logs: { archive: { s3 } } },
  });
  house.secret("s3/logs.key", "fake-secret-access-key-0123456789");
  let gateway = await house.serve();
  await house.work();
  const { body } = await deliver(gateway.url, "jira", jiraBody("MOB-12"));
  const run_id = body.run_id ?? "";
  const logs = join(house.dir, "state", "logs");
  await eventually("the first piece in a file", () => readdirSync(logs).includes(run_id));
  await gateway.kill9();
  gateway = await house.serve();
  await eventually("the run is over", () => isOver(house, run_id));
  expect((await house.run("runs", "logs", run_id)).stdout === all).toBe(true);
  await eventually("it is archived", () => bucket.objects.has(`${run_id}/1.log`));
  expect(new TextDecoder().decode(bucket.objects.get(`${run_id}/1.log`)) === all).toBe(true);
  expect(bucket.faults).toEqual([]);

  rmSync(join(logs, run_id), { recursive: true });
  expect((await house.run("runs", "logs", run_id)).stdout === all).toBe(true);
  const served = await fetch(`${gateway.admin}/api/v1/runs/${run_id}/log?from=${all.length - 5}`);
  expect([served.status, await served.text()]).toEqual([200, "over\n"]);
});

test("a log over its limit says what it left out, wherever it is read", async () => {
  await using house = new Household({
    scripts: { "build-ios": `#!/bin/sh\nseq 1 ${lines}\necho over\n` },
    config: { logs: { limit: "128KiB", archive: { dir: "./archive" } } },
  });
  const gateway = await house.serve();
  await house.work();
  const { body } = await deliver(gateway.url, "jira", jiraBody("MOB-13"));
  const run_id = body.run_id ?? "";
  await eventually("the run is over", () => isOver(house, run_id));
  const { stdout } = await house.run("runs", "logs", run_id);
  const [head = "", left, tail = ""] = stdout.split(/\n\[(\d+) bytes left out here: a log is cut at 131072 bytes\]\n/);
  expect(stdout.length).toBeLessThanOrEqual(128 * 1024);
  expect([all.startsWith(head), all.endsWith(tail)]).toEqual([true, true]);
  expect(head.length + Number(left) + tail.length).toBe(all.length);
  const archived = join(house.dir, "archive", run_id, "1.log");
  await eventually("it is archived", () => existsSync(archived));
  expect(readFileSync(archived, "utf8") === stdout).toBe(true);
});
