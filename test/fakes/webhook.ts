import type { JsonObject } from "../../src/core/json.ts";
import { type Answered, type Injection, openRemote, type Received, type Remote } from "./remote.ts";
import { carelessness, json, strictObject } from "./strict.ts";

export interface Webhook extends Disposable {
  /** The address that we were given, which may be a secret. */
  url: string;
  /** The signing key as its owner shows it. */
  key: string;
  /** The bodies taken, each id once, oldest first. */
  posts: JsonObject[];
  /** How often an id came again. */
  repeats: number;
  requests: Received[];
  /** What a strict receiver held against us; a good client leaves it empty. */
  faults: string[];
  arrived: Remote["arrived"];
  close(): void;
}

export interface WebhookOptions {
  /** What happens to the first requests, one each; then the receiver is itself. */
  script?: Injection[];
  /** Takes what is not signed. */
  open?: boolean;
  /** What its owner set since. */
  key?: string;
  /** Takes no `log_tail`: it says 413. */
  small?: boolean;
}

const tolerance = 5 * 60;

/** A receiver that verifies Standard Webhooks over the raw bytes, and counts each id once. */
export function openWebhook(options: WebhookOptions = {}): Webhook {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  const key = options.key ?? `whsec_${Buffer.from(bytes).toString("base64")}`;
  const path = `/incoming/${Buffer.from(bytes.subarray(0, 12)).toString("hex")}`;
  const seen = new Set<string>();
  const posts: JsonObject[] = [];
  const faults: string[] = [];
  let repeats = 0;

  const service = async (request: Received): Promise<Answered> => {
    if (request.method !== "POST" || request.path !== path) return json(404, { error: "no such hook" });
    const careless = carelessness(request, "chat") ?? unsigned(request) ?? (await forged(request));
    if (careless) {
      faults.push(careless);
      return json(careless.startsWith("signature") ? 401 : 400, { error: careless });
    }
    let body: JsonObject;
    try {
      body = strictObject(request.text);
      refuseNulls(body);
    } catch (error) {
      faults.push(error instanceof Error ? error.message : "bad body");
      return json(400, { error: faults.at(-1) ?? "" });
    }
    if (options.small && "log_tail" in body) return json(413, { error: "too large" });
    const id = request.headers.get("webhook-id") ?? "";
    if (seen.has(id)) repeats++;
    else posts.push(body);
    seen.add(id);
    return { status: 200 };
  };

  const unsigned = ({ headers }: Received): string | null => {
    if (!/^[^\s.]{1,256}$/.test(headers.get("webhook-id") ?? "")) return "webhook-id";
    if (options.open) return headers.has("webhook-signature") ? "signed without a key" : null;
    const age = Math.abs(Date.now() / 1000 - Number(headers.get("webhook-timestamp") ?? Number.NaN));
    return age <= tolerance ? null : "webhook-timestamp";
  };

  /** Verified by other means than those it was signed with. */
  const forged = async ({ headers, bytes: body }: Received): Promise<string | null> => {
    if (options.open) return null;
    const imported = await crypto.subtle.importKey(
      "raw",
      Buffer.from(key.replace("whsec_", ""), "base64"),
      { name: "HMAC", hash: "SHA-256" },
      false,
      ["verify"],
    );
    const signed = Buffer.concat([
      Buffer.from(`${headers.get("webhook-id")}.${headers.get("webhook-timestamp")}.`),
      body,
    ]);
    const [scheme, signature = ""] = (headers.get("webhook-signature") ?? "").split(",");
    if (scheme !== "v1") return "signature scheme";
    const valid = await crypto.subtle.verify("HMAC", imported, Buffer.from(signature, "base64"), signed);
    return valid ? null : "signature";
  };

  const { url, requests, arrived, close } = openRemote({ service, script: options.script ?? [] });
  return {
    url: `${url}${path}`,
    key,
    posts,
    get repeats() {
      return repeats;
    },
    requests,
    faults,
    arrived,
    close,
    [Symbol.dispose]: close,
  };
}

function refuseNulls(body: JsonObject): void {
  const none = Object.keys(body).find((name) => body[name] === null);
  if (none) throw new Error(`${none} is null`);
}
