import { type Config, secretsOf } from "../config.ts";
import { MeshError } from "../core/error.ts";
import type { Reply, Verdict } from "../core/post.ts";
import { sendPost } from "../http.ts";
import type { Subject } from "../rotation/subjects.ts";
import type { Vault } from "../secrets.ts";
import { tryPager } from "./notify-page.ts";
import { tryChat } from "./notify-trial.ts";

export interface SecretTrial {
  config: Config;
  vault: Vault;
  subject: Pick<Subject, "name" | "places">;
  /** Where a `console` chat prints. */
  print: (line: string) => void;
}

/** What one place said to a message that was sent with the staged value alone. */
export interface Proof {
  place: string;
  taken: boolean;
  why: string | null;
}

/** Sends one message that says it is a test to every place that uses this secret, with the staged value alone. From then on this process knows the secret by that value. */
export async function trySecret(trial: SecretTrial): Promise<Proof[]> {
  const { config, vault, subject } = trial;
  for (const { secret } of secretsOf(config))
    if (secret.name === subject.name) secret.bind(() => [vault.staged(subject.name)]);
  const proofs: Proof[] = [];
  for (const place of subject.places) proofs.push(await tryPlace(place, trial));
  return proofs;
}

async function tryPlace(place: string, { config, vault, print }: SecretTrial): Promise<Proof> {
  const [room, name = ""] = place.split(".");
  if (room === "chats") {
    const { sent, why } = await tryChat({ config, vault, chat: name, plain: false, print });
    return { place, taken: sent, why };
  }
  if (room === "pagers") {
    const { sent, why, resolved } = await tryPager({ config, vault, pager: name, plain: false, print });
    return { place, taken: sent && resolved !== false, why };
  }
  if (room === "heartbeat" && config.heartbeat) {
    const { url, every: _every, ...outbound } = config.heartbeat;
    return said(place, await sendPost({ method: "GET", url }, outbound), ({ status }) =>
      status >= 200 && status < 300 ? { verdict: "sent" } : { verdict: "dead", why: `status ${status}` },
    );
  }
  throw new MeshError("bug", `nothing can be sent to ${place}`);
}

function said(place: string, answer: Awaited<ReturnType<typeof sendPost>>, judge: (reply: Reply) => Verdict): Proof {
  if ("failure" in answer) return { place, taken: false, why: answer.failure.why };
  const verdict = judge(answer.reply);
  return verdict.verdict === "sent" ? { place, taken: true, why: null } : { place, taken: false, why: verdict.why };
}
