import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { embedded } from "../../fixtures/embedded.ts";
import { readRecorded, usualDoor } from "../../fixtures/recorded.ts";
import { type Config, configFrom } from "../config.ts";
import { MeshError } from "../core/error.ts";
import { isObject, type Json, type JsonObject } from "../core/json.ts";
import { openServer } from "../gateway/server.ts";
import { writeSecret } from "../secrets.ts";
import { sources } from "../sources/registry.ts";
import { openSqlite } from "../stores/sqlite.ts";
import type { Case } from "./case.ts";
import { recordedCases, type Replay } from "./recorded.ts";
import { type Target, targetsOf } from "./target.ts";

/** A gateway of this process that lives as long as a probe: generated tokens, an embedded store in a folder that goes with it. */
export interface Throwaway {
  /** One door per kind. */
  targets: Target[];
  /** Every embedded exchange at the door that it was recorded at. */
  recorded: Case[];
  [Symbol.asyncDispose](): Promise<void>;
}

const doorsByKind: Record<string, JsonObject> = {
  youtrack: { build_when: [{ changed: { Stage: "Building" } }] },
  github: { build_when: [{ event: "issues", labels: "ci-build" }] },
  gitlab: { build_when: [] },
};

/** Opens a throw-away gateway on a free port. `only` names one kind. */
export async function openThrowaway(only?: string): Promise<Throwaway> {
  const kinds = sources.map(({ kind }) => kind).filter((kind) => only === undefined || kind === only);
  if (kinds.length === 0)
    throw new MeshError("usage", `unknown kind of source ${JSON.stringify(only)}`, {
      hint: `with --self --source is a kind: ${sources.map(({ kind }) => kind).join(", ")}`,
    });
  const exchanges = exchangesOf(kinds);
  const dir = mkdtempSync(join(tmpdir(), "meshmac-probe-"));
  const remove = () => rmSync(dir, { recursive: true, force: true });
  try {
    const secret = `whsec_${Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("base64")}`;
    const { config, vault } = configFrom(throwawayConfig(kinds, exchanges), { base: dir, env: {} });
    writeSecret(config.secrets_dir, "probe/door.token", secret);
    const store = await openSqlite({ path: join(dir, "meshmac.db"), state_dir: dir, role: "owner" });
    const server = await openServer({ config, vault, store }).catch(async (error: unknown) => {
      await store.close();
      throw error;
    });
    const close = async () => {
      await server.stop();
      await store.close();
      remove();
    };
    const doors = targetsOf(config, vault, server.publicUrl);
    return {
      targets: doors.filter(({ name }) => kinds.includes(name)),
      recorded: doors.flatMap((door) => replaysAt(door, exchanges)),
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    remove();
    throw error;
  }
}

/** Who these addresses belong to is nobody: https://www.rfc-editor.org/rfc/rfc2544 */
export const strangerAddress = (index: number): string => `198.18.${(index >> 8) & 255}.${index & 255}`;

interface Exchange extends Replay {
  kind: string;
}

function exchangesOf(kinds: readonly string[]): Exchange[] {
  return Object.entries(embedded).flatMap(([path, value]) => {
    const [kind = "", name = ""] = path.split("/");
    if (!kinds.includes(kind)) return [];
    const exchange = readRecorded(value);
    if ("wrong" in exchange) throw new MeshError("bug", `fixture ${path} is wrong: ${exchange.wrong}`);
    return [{ ...exchange, kind, name }];
  });
}

const doorName = ({ kind, name }: Exchange): string => `${kind}-${name.replaceAll(".", "-")}`;

const replaysAt = (door: Target, exchanges: readonly Exchange[]): Case[] =>
  recordedCases(
    door,
    exchanges.filter((exchange) => doorName(exchange) === door.name),
    "deliveries",
  ).map((one) => ({ ...one, source: door.source.kind }));

function throwawayConfig(kinds: readonly string[], exchanges: readonly Exchange[]): unknown {
  const at = (kind: string, path: string, { comment, ...options }: JsonObject) => ({
    kind,
    path,
    ...usualDoor,
    ...options,
    token: "probe/door.token",
    ...withToken(comment),
  });
  return {
    gateway: {
      listen: "127.0.0.1:0",
      // So that every question comes from an address of its own, and wrong tokens on purpose throttle nobody.
      trusted_proxies: ["127.0.0.1/32"],
      admin: { listen: "127.0.0.1:0" },
    } satisfies { [Key in keyof Config["gateway"]]?: unknown },
    sources: Object.fromEntries([
      ...kinds.map((kind) => [kind, at(kind, `/${kind}`, doorsByKind[kind] ?? {})] as const),
      ...exchanges.map(
        (one) => [doorName(one), at(one.kind, `/recorded/${one.kind}/${one.name}`, one.options ?? {})] as const,
      ),
    ]),
  };
}

const withToken = (comment: Json | undefined): JsonObject =>
  isObject(comment) ? { comment: { token: "probe/rest.token", ...comment } } : {};
