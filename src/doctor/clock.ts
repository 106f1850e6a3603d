import { humanDuration } from "../core/units.ts";
import { sendPost } from "../http.ts";
import { defineCheck, type Finding, type Scene } from "./check.ts";

const tolerated = 30_000;

/** Compares this machine's clock with that of the store and of who answers at `public_url`. */
export const clock = defineCheck({
  name: "clock",
  on: "gateway",
  faults: {
    "clock-skew": {
      severity: "warning",
      breaks: "signed deliveries look too old, and times in logs and chats do not agree",
    },
  },
  async look(scene) {
    const told = await Promise.all([storeTime(scene), edgeTime(scene)]);
    const wrong = told.filter((one) => one !== null).filter(({ ahead }) => Math.abs(ahead) > tolerated);
    const [first, second] = wrong;
    // Where two that know nothing of each other agree, it is ours that goes wrong.
    if (first && second && Math.abs(first.ahead - second.ahead) <= tolerated)
      return [skew("this machine", -first.ahead, "the store's and the edge's")];
    return wrong.map(({ whose, ahead }) => skew(whose, ahead, "this machine's"));
  },
});

const skew = (whose: string, ahead: number, others: string): Finding<"clock-skew"> => ({
  id: "clock-skew",
  about: whose,
  says: `its clock is ${humanDuration(Math.abs(ahead))} ${ahead > 0 ? "ahead of" : "behind"} ${others}`,
  fix: "set it by NTP (Linux: sudo timedatectl set-ntp true; macOS: sudo sntp -sS time.apple.com)",
});

/** How far another clock is ahead of ours, milliseconds. */
interface Clock {
  whose: string;
  ahead: number;
}

async function storeTime(scene: Scene): Promise<Clock | null> {
  const [row] = await (await scene.store()).gateways();
  return row ? { whose: "store", ahead: row.last_seen + row.silent_ms - scene.now() } : null;
}

async function edgeTime({ config, outbound, now }: Scene): Promise<Clock | null> {
  const { public_url } = config.gateway;
  if (public_url === undefined) return null;
  const sent = await sendPost({ method: "GET", url: `${public_url}/healthz` }, outbound);
  const theirs = "reply" in sent ? Date.parse(sent.reply.headers.get("date") ?? "") : Number.NaN;
  // Where nobody answers, the check of the door says so.
  return Number.isNaN(theirs) ? null : { whose: new URL(public_url).host, ahead: theirs - now() };
}
