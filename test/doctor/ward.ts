import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { configFrom } from "../../src/config.ts";
import { outboundOptions } from "../../src/core/outbound.ts";
import { isObject, type Json, type JsonObject } from "../../src/core/json.ts";
import type { Role, Scene } from "../../src/doctor/check.ts";
import { examine } from "../../src/doctor/doctor.ts";
import { createToken, openVault, writeSecret } from "../../src/secrets.ts";
import { openSqlite } from "../../src/stores/sqlite.ts";
import type { Store } from "../../src/stores/store.ts";
import { openJira, type Tracker } from "../fakes/tracker.ts";
import { wellMachine } from "./machine.ts";
import { rulesOf } from "../stores/conformance/given.ts";

/** A configuration of which nothing is wrong, with its secrets, its store and one gateway that lives. A test breaks one thing of it. */
export class Ward {
  readonly dir = mkdtempSync(join(tmpdir(), "meshmac-doctor-"));
  readonly secretsDir = join(this.dir, "secrets.d");
  /** What the file says; change it before the first look. */
  raw: JsonObject = structuredClone(healthy);
  role: Role = { gateway: true, node: false };
  /** Added to the clock of the checks and of the store, milliseconds. */
  ahead = 0;
  over: Partial<Scene> = {};
  store!: Store;
  readonly jira: Tracker = openJira();
  /** What a test opened beside it; closed with it, the last one first. */
  readonly closing: (() => void | Promise<void>)[] = [() => this.jira.close()];

  static async open(): Promise<Ward> {
    const ward = new Ward();
    ward.change("sources.jira.comment", { site: ward.jira.url });
    for (const name of ["jira/inbound.token", "jira/rest.token", "admin/api.token"])
      writeSecret(ward.secretsDir, name, createToken());
    writeSecret(ward.secretsDir, "mattermost/builds.url", "https://chat.acme.example/hooks/abcdefghijklmnopqrstuvwxyz");
    const now = () => Date.now() + ward.ahead;
    ward.store = await openSqlite({ path: join(ward.dir, "meshmac.db"), state_dir: ward.dir, now });
    await ward.store.publish(rulesOf());
    await ward.beat();
    await ward.proves("mattermost/builds.url");
    return ward;
  }

  /** Shows a gateway alive, with these facts beside the usual ones. */
  beat(facts: Record<string, Json> = {}, gateway = "gate-1/4711"): Promise<void> {
    const usual = { version: "0.1.0", sends: true, sending: 0, durability: this.store.about.durability, notes: [] };
    return this.store.beat(gateway, { ...usual, ...facts });
  }

  /** Shows that a post was taken with the value that this secret has now. */
  async proves(secret: string, gateway = "gate-1/4711"): Promise<void> {
    const key_id = openVault(this.secretsDir).keyId(secret);
    const use = { secret, key_id, role: "current" as const, loaded_ms: 0, count: 1, refused: 0, idle_ms: 0, taken: 1 };
    await this.store.tally(gateway, [use]);
  }

  /** Changes keys of one section of the file, as `sources.jira`. */
  change(section: string, keys: JsonObject): void {
    let here = this.raw;
    for (const name of section.split(".")) {
      const inner = here[name];
      here = isObject(inner) ? inner : (here[name] = {});
    }
    Object.assign(here, keys);
  }

  scene(): Scene {
    const { config, vault } = configFrom(this.raw, { base: this.dir, env: {} });
    return {
      config,
      vault,
      problems: [],
      file: "meshmac.config.yaml",
      role: this.role,
      store: () => Promise.resolve(this.store),
      survey: () => Promise.resolve(null),
      env: {},
      platform: "linux",
      machine: wellMachine(this.dir),
      now: () => Date.now() + this.ahead,
      outbound: outboundOptions.parse({ timeout: "5s" }),
      lookup: () => Promise.resolve(["203.0.113.7"]),
      space: () => Promise.resolve({ free: 50 * gib, total: 100 * gib }),
      etc: this.dir,
      ...this.over,
    };
  }

  /** What the doctor finds, as ids in order. */
  async ids(): Promise<string[]> {
    const { findings, unchecked } = await examine(this.scene());
    return [...findings.map(({ id }) => id), ...unchecked.map(({ check, why }) => `not checked ${check}: ${why}`)];
  }

  async close(): Promise<void> {
    for (const close of this.closing.toReversed()) await close();
    await this.store.close();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

const gib = 1024 ** 3;

const healthy: JsonObject = {
  pool: "acme-ios",
  store: "sqlite:./meshmac.db",
  secrets_dir: "./secrets.d",
  state_dir: ".",
  gateway: { admin: { token: "admin/api.token" } },
  sources: {
    jira: {
      kind: "jira",
      path: "/jira/openclaw",
      token: "jira/inbound.token",
      build_when: [{ status: ["Building"] }],
      task: { script: "build-ios" },
      comment: { site: "", api: "cloud", email: "bot@acme.example", token: "jira/rest.token" },
    },
  },
  chats: { builds: { kind: "mattermost", url: "mattermost/builds.url" } },
};
