import { lookup } from "node:dns/promises";
import { existsSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { configFrom, configName, examineConfig } from "../config.ts";
import { MeshError } from "../core/error.ts";
import { outboundOptions } from "../core/outbound.ts";
import { openSurvey, openToLook } from "../stores/open.ts";
import type { Role, Scene } from "./check.ts";
import { thisMachine } from "./machine.ts";
import { whyOf } from "./why.ts";

export interface OpenScene {
  scene: Scene;
  /** The configuration could not be read at all: nothing but that can be said. */
  blind: boolean;
  close(): Promise<void>;
}

/** Reads the named or the found configuration, however broken, and lends the store that it names. Never throws. */
export async function openScene(file?: string): Promise<OpenScene> {
  const here = {
    env: process.env,
    platform: process.platform,
    now: () => Date.now(),
    ...outward,
    machine: thisMachine(),
  };
  try {
    const { name, problems, parts } = await examineConfig({ file });
    const { config, vault, said } = parts;
    const opened: ReturnType<typeof openToLook>[] = [];
    const looked: ReturnType<typeof openSurvey>[] = [];
    const survey = () => (looked[0] ??= openSurvey(config));
    const store = () => (opened[0] ??= openToLook(config));
    return {
      scene: { ...here, config, vault, problems, file: name, role: roleOf(said), store, survey },
      blind: false,
      close: async () => void (await opened[0]?.then((one) => one.close()).catch(() => undefined)),
    };
  } catch (fault) {
    // Without one, or with one that does not parse, there is nothing else to look at.
    const { config, vault } = configFrom({}, { base: "/", env: {} });
    const problems = [{ path: "", says: whyOf(fault) }];
    const name = file === undefined ? configName() : existsSync(file) ? file : null;
    const scene = {
      ...here,
      config,
      vault,
      problems,
      file: name,
      role: { gateway: false, node: false },
      store: noStore,
      survey: async () => null,
    };
    return { scene, blind: true, close: async () => {} };
  }
}

const outward: Pick<Scene, "outbound" | "lookup" | "space" | "etc"> = {
  outbound: outboundOptions.parse({ timeout: "5s" }),
  lookup: async (host) => (await lookup(host, { all: true })).map(({ address }) => address),
  async space(folder) {
    // What is not there yet will be made on the disk of what is.
    let here = folder;
    while (!existsSync(here) && here !== dirname(here)) here = dirname(here);
    const { bavail, blocks, bsize } = await statfs(here);
    return { free: bavail * bsize, total: blocks * bsize };
  },
  etc: "/etc",
};

const noStore = () => Promise.reject(new MeshError("config", "there is no configuration"));

/** What a file says of the machine it lies on. One with `node` and without doors is a node's; chats in it are a finding. */
export function roleOf(said: Readonly<Record<string, unknown>>): Role {
  const posts = "chats" in said || "pagers" in said;
  const gateway = "gateway" in said || "sources" in said || (posts && !("node" in said));
  return { gateway, node: "node" in said || !gateway };
}
