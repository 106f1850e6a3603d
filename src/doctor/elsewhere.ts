import { findSocket } from "../stores/remote/place.ts";
import { openRemote } from "../stores/remote.ts";
import { socketOf } from "../stores/open.ts";
import type { GatewayRow } from "../stores/store.ts";
import type { Scene } from "./check.ts";
import { live, textFact } from "./silence.ts";

/** A gateway that sends and does not share our store, and what it was seen by. */
export interface Stranger {
  gateway: string;
  pool: string;
  seen: string;
  /** Where its chats post to, by `placeOf`. */
  places: string[];
}

const patience = 2000;

/** Lists the gateways with another store that can be seen from here: those of other pools in our Redis, and those of this machine and user whose store is a file. */
export async function strangers(scene: Scene): Promise<Stranger[]> {
  const { config } = scene;
  const survey = await scene.survey().catch(() => null);
  const inRedis = (survey?.neighbours ?? []).map((row) => ({ row, pool: row.pool, seen: "the same Redis" }));
  const ours = await ownGateways(scene);
  const own = findSocket(socketOf(config));
  const paths = (await scene.machine.sockets().catch(() => [])).filter((path) => path !== own);
  const onMachine = await Promise.all(
    paths.map(async (path) =>
      (await gatewaysAt(path)).map((row) => ({ row, pool: textFact(row, "pool"), seen: path })),
    ),
  );
  return [...inRedis, ...onMachine.flat()].flatMap(({ row, pool, seen }) => {
    const [alive] = live([row]);
    if (!alive || ours.has(row.gateway) || row.facts.sends === false || pool === null) return [];
    const places = Object.values(objectFact(row)).filter((place) => typeof place === "string");
    return [{ gateway: row.gateway, pool, seen, places }];
  });
}

/** None where our store cannot be asked: then nobody of ours is behind another socket either. */
async function ownGateways(scene: Scene): Promise<Set<string>> {
  try {
    return new Set((await (await scene.store()).gateways()).map(({ gateway }) => gateway));
  } catch {
    return new Set();
  }
}

const objectFact = ({ facts: { posts_to } }: GatewayRow): object =>
  typeof posts_to === "object" && posts_to !== null ? posts_to : {};

/** What is frozen, another user's, or of an older meshmac answers nothing. */
async function gatewaysAt(path: string): Promise<GatewayRow[]> {
  const asked = openRemote({ socket: path }).then((store) => store.gateways());
  return await Promise.race([asked.catch(() => []), Bun.sleep(patience).then(() => [])]);
}
