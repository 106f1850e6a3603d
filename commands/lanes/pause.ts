import { defineCommand } from "citty";
import { MeshError } from "../../src/core/error.ts";
import { configArgs, jsonArgs, print } from "../args.ts";
import { withStore } from "../runs/open.ts";
import { knownLane, laneArg } from "./known.ts";

const longestWhy = 1000;

export default defineCommand({
  meta: { name: "pause", description: "Start nothing more from a lane; what it has running goes on" },
  args: {
    lane: laneArg,
    why: { type: "string", description: "shown to whoever wonders", valueHint: "text", required: true },
    ...configArgs,
    ...jsonArgs,
  },
  async run({ args: { lane, why, config, json } }) {
    if (why.trim() === "" || why.length > longestWhy) {
      throw new MeshError("usage", `--why expects a reason of at most ${longestWhy} characters`);
    }
    await withStore(config, async (store) => {
      await knownLane(store, lane);
      await store.pause(lane, why);
    });
    print(json ? JSON.stringify({ lane, paused: why }) : `paused ${lane}`);
  },
});
