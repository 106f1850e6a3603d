import { createHash } from "node:crypto";
import accept from "./accept.lua" with { type: "text" };
import alert from "./alert.lua" with { type: "text" };
import alerts from "./alerts.lua" with { type: "text" };
import beat from "./beat.lua" with { type: "text" };
import callOff from "./call-off.lua" with { type: "text" };
import cancel from "./cancel.lua" with { type: "text" };
import check from "./check.lua" with { type: "text" };
import claim from "./claim.lua" with { type: "text" };
import common from "./common.lua" with { type: "text" };
import cut from "./cut.lua" with { type: "text" };
import destinations from "./destinations.lua" with { type: "text" };
import drain from "./drain.lua" with { type: "text" };
import drop from "./drop.lua" with { type: "text" };
import events from "./events.lua" with { type: "text" };
import expand from "./expand.lua" with { type: "text" };
import finish from "./finish.lua" with { type: "text" };
import forget from "./forget.lua" with { type: "text" };
import gateways from "./gateways.lua" with { type: "text" };
import hold from "./hold.lua" with { type: "text" };
import lanes from "./lanes.lua" with { type: "text" };
import lease from "./lease.lua" with { type: "text" };
import list from "./list.lua" with { type: "text" };
import append from "./log.lua" with { type: "text" };
import mode from "./mode.lua" with { type: "text" };
import nodes from "./nodes.lua" with { type: "text" };
import note from "./note.lua" with { type: "text" };
import pause from "./pause.lua" with { type: "text" };
import posts from "./posts.lua" with { type: "text" };
import publish from "./publish.lua" with { type: "text" };
import reap from "./reap.lua" with { type: "text" };
import reconsider from "./reconsider.lua" with { type: "text" };
import renew from "./renew.lua" with { type: "text" };
import report from "./report.lua" with { type: "text" };
import sending from "./sending.lua" with { type: "text" };
import settle from "./settle.lua" with { type: "text" };
import show from "./show.lua" with { type: "text" };
import slice from "./slice.lua" with { type: "text" };
import state from "./state.lua" with { type: "text" };
import sweep from "./sweep.lua" with { type: "text" };
import tally from "./tally.lua" with { type: "text" };
import trim from "./trim.lua" with { type: "text" };
import turn from "./turn.lua" with { type: "text" };
import unheard from "./unheard.lua" with { type: "text" };
import unhold from "./unhold.lua" with { type: "text" };
import uses from "./uses.lua" with { type: "text" };

export interface Script {
  lua: string;
  sha: string;
}

// A script with a shebang is refused as a whole when Redis is out of memory or cannot write its append-only file, and may
// not leave its slot: https://redis.io/docs/latest/develop/programmability/eval-intro/#eval-flags
const writes = (body: string): Script => script(`#!lua\n${common}${body}`);
const reads = (body: string): Script => script(`#!lua flags=no-writes\n${common}${body}`);

function script(lua: string): Script {
  return { lua, sha: createHash("sha1").update(lua).digest("hex") };
}

/** One script per verb: each is one atomic step, and a repeat with the same ask changes nothing. */
export const scripts = {
  accept: writes(accept),
  turn: writes(lease + renew + finish + turn),
  log: writes(append),
  drain: writes(drain),
  trim: writes(trim),
  cut: writes(cut),
  slice: reads(slice),
  state: reads(state),
  report: writes(report),
  expand: writes(sending + expand),
  claim: writes(sending + claim),
  settle: writes(sending + settle),
  reconsider: writes(sending + reconsider),
  reap: writes(reap),
  cancel: writes(cancel),
  callOff: writes(callOff),
  drop: writes(drop),
  hold: writes(hold),
  unhold: writes(unhold),
  publish: writes(publish),
  pause: writes(pause),
  mode: writes(mode),
  forget: writes(forget),
  beat: writes(beat),
  tally: writes(tally),
  note: writes(note),
  alert: writes(alert),
  unheard: writes(unheard),
  sweep: writes(sweep),
  check: writes(check),
  alerts: reads(alerts),
  events: writes(events),
  destinations: reads(destinations),
  list: reads(list),
  show: reads(show),
  lanes: reads(lanes),
  nodes: reads(nodes),
  gateways: reads(gateways),
  posts: reads(posts),
  uses: reads(uses),
};

export type Verb = keyof typeof scripts;
