import { humanDuration } from "../core/units.ts";
import type { DestinationRow } from "../stores/store.ts";
import { defineCheck, type Finding } from "./check.ts";

type Id =
  "chat-hook-dead" | "tracker-comment-forbidden" | "destination-failing" | "destination-paused" | "outbox-stuck";

const longPause = 10 * 60_000;

/** Looks at the destinations that are closed off, paused, or have posts waiting that nobody sends. */
export const destinations = defineCheck<Id>({
  name: "destinations",
  on: "gateway",
  faults: {
    "chat-hook-dead": { severity: "error", breaks: "this chat hears of no build until it is repaired" },
    "tracker-comment-forbidden": { severity: "error", breaks: "failures do not come back to the issue" },
    "destination-failing": { severity: "error", breaks: "what is to be said there waits, and is late" },
    "destination-paused": { severity: "warning", breaks: "what is to be said there waits, and is late" },
    "outbox-stuck": { severity: "error", breaks: "posts wait for a destination that no configuration names any more" },
  },
  async look(scene) {
    const rows = await (await scene.store()).destinations();
    const known = new Set([
      ...Object.keys(scene.config.chats).flatMap((name) => [`chat:${name}`, `chat:${name}/reply`]),
      ...Object.keys(scene.config.sources).map((name) => `comment:${name}`),
    ]);
    return rows.flatMap((row) => findingOf(row, known, scene.now()));
  },
});

function findingOf(row: DestinationRow, known: Set<string>, now: number): Finding<Id>[] {
  const { name, circuit, cause, why, waiting, paused_until } = row;
  const waits = waiting === 0 ? "" : `; ${waiting} waiting`;
  if (!known.has(name)) {
    const fix = "name it again under `chats` or `sources`, or let them expire with keep.runs";
    return waiting === 0 ? [] : [{ id: "outbox-stuck", about: name, says: `${waiting} posts wait for it`, fix }];
  }
  if (circuit !== "closed" && cause === "config") {
    const isComment = name.startsWith("comment:");
    return [
      {
        id: isComment ? "tracker-comment-forbidden" : "chat-hook-dead",
        about: name,
        says: `it refuses what it is sent: ${why ?? "for a reason of its configuration"}${waits}`,
        fix: isComment
          ? "give the token's account the right to comment there, or write a new one into the file that the entry names"
          : `write the new hook or token into its file, then: meshmac notify --test ${name.slice("chat:".length)}`,
      },
    ];
  }
  if (circuit !== "closed") {
    const says = `its tries failed: ${why ?? "the reason was not kept"}${waits}`;
    return [
      { id: "destination-failing", about: name, says, fix: "look whether the service is reachable from the gateway" },
    ];
  }
  if (paused_until !== null && paused_until - now > longPause) {
    const says = `it asked to be left alone for ${humanDuration(paused_until - now)} more${waits}`;
    return [
      {
        id: "destination-paused",
        about: name,
        says,
        fix: "say less there: set `states`, `lanes` or `rate` of the entry",
      },
    ];
  }
  return [];
}
