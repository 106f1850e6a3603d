import { afterAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Check } from "../../src/doctor/check.ts";
import { catalogue, examine } from "../../src/doctor/doctor.ts";
import { mend } from "../../src/doctor/mend.ts";
import { checks } from "../../src/doctor/registry.ts";
import { broken } from "./broken.ts";
import { Ward } from "./ward.ts";

const wards: Ward[] = [];
afterAll(() => Promise.all(wards.map((ward) => ward.close())));

async function admitted(): Promise<Ward> {
  const opened = await Ward.open();
  wards.push(opened);
  return opened;
}

test("finds nothing where nothing is wrong", async () => {
  expect(await (await admitted()).ids()).toEqual([]);
});

describe("breaks one thing and reads exactly that", () => {
  test.each(Object.entries(broken))("%s", async (id, breakIt) => {
    const ill = await admitted();
    await breakIt(ill);
    expect(await ill.ids()).toEqual([id]);
  });
});

test("every finding there is has a test that breaks exactly that thing", () => {
  expect(Object.keys(broken).toSorted()).toEqual(Object.keys(catalogue).toSorted());
});

test("a dead run that somebody has dropped or retried is no finding any more", async () => {
  const ill = await admitted();
  await broken["run-dead"]?.(ill);
  const [dead] = (await ill.store.list({ states: ["dead"], limit: 1 })).runs;
  await ill.store.drop(dead?.run_id ?? "");
  expect(await ill.ids()).toEqual([]);
});

test("no two checks use one id", () => {
  const ids = checks.flatMap(({ faults }) => Object.keys(faults));
  expect(ids).toEqual([...new Set(ids)]);
});

test("a check that fails is told as not checked, and stops no other", async () => {
  const ill = await admitted();
  const failing: Check = {
    name: "weather",
    on: "any",
    faults: { rain: { severity: "warning", breaks: "the picnic" } },
    look: () => Promise.reject(new Error("no window here")),
  };
  const found = await examine(ill.scene(), { from: [failing, { ...failing, on: "node" }, ...checks] });
  expect(found.unchecked).toEqual([{ check: "weather", why: "no window here" }]);
  expect(found.gateways.map(({ gateway }) => gateway)).toEqual(["gate-1/4711"]);
});

test("--only and --skip choose, and what is not wanted is not even looked at", async () => {
  const ill = await admitted();
  await broken["gateway-none-sends"]?.(ill);
  const idsOf = async (selection: Parameters<typeof examine>[1]) =>
    (await examine(ill.scene(), selection)).findings.map(({ id }) => id);
  expect(await idsOf({ only: ["run-dead"] })).toEqual([]);
  expect(await idsOf({ only: ["gateway-none-sends", "run-dead"] })).toEqual(["gateway-none-sends"]);
  expect(await idsOf({ skip: ["gateway-none-sends"] })).toEqual([]);
  let looked = false;
  const nosy: Check = {
    name: "nosy",
    on: "any",
    faults: { a: { severity: "error", breaks: "" } },
    look: async () => ((looked = true), []),
  };
  await examine(ill.scene(), { from: [nosy], skip: ["a"] });
  expect(looked).toBe(false);
});

test("says a thing once, errors before warnings", async () => {
  const ill = await admitted();
  const twice = { id: "leak", about: "pipe", says: "it drips", fix: "tighten it" };
  const check = (name: string, severity: "error" | "warning", id: string): Check => ({
    name,
    on: "any",
    faults: { [id]: { severity, breaks: "the floor" } },
    look: async () => [
      { ...twice, id },
      { ...twice, id },
    ],
  });
  const { findings } = await examine(ill.scene(), {
    from: [check("a", "warning", "drip"), check("b", "error", "leak")],
  });
  expect(findings.map(({ id }) => id)).toEqual(["leak", "drip"]);
});

test("mends what is safe to mend and keeps what was there", async () => {
  const ill = await admitted();
  await broken["secret-unsafe"]?.(ill);
  const file = join(ill.secretsDir, "jira/inbound.token");
  const backup = join(ill.dir, "doctor", "1");
  const { findings } = await examine(ill.scene());
  expect(await mend(findings, backup)).toMatchObject([{ id: "secret-unsafe", done: true }]);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(await ill.ids()).toEqual([]);
  const [copy = "", stood = ""] = readdirSync(backup).toSorted();
  expect(readFileSync(join(backup, copy), "utf8")).toBe(readFileSync(file, "utf8"));
  expect(JSON.parse(readFileSync(join(backup, stood), "utf8"))).toMatchObject({ file, mode: "0644" });
  expect(statSync(join(backup, copy)).mode & 0o777).toBe(0o600);
});
