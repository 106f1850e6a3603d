import { defineCommand } from "citty";
import { configArgs, jsonArgs, print } from "../args.ts";
import { withStore } from "../runs/open.ts";
import { knownLane, laneArg } from "./known.ts";

export default defineCommand({
  meta: { name: "resume", description: "Let a paused lane go on" },
  args: { lane: laneArg, ...configArgs, ...jsonArgs },
  async run({ args: { lane, config, json } }) {
    await withStore(config, async (store) => {
      await knownLane(store, lane);
      await store.pause(lane, null);
    });
    print(json ? JSON.stringify({ lane, paused: null }) : `${lane} goes on`);
  },
});
