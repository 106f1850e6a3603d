import type { Config } from "../config.ts";
import { type JsonObject, objectIn } from "../core/json.ts";
import { shortLine } from "../core/words.ts";
import { log } from "../log.ts";
import type { Vault } from "../secrets.ts";
import type { Store } from "../stores/store.ts";
import { answerError, answerJson, correlationHeader, pathOf } from "./answer.ts";
import { announcesMoreThan, readBody } from "./body.ts";
import { clientIpBehind, clientOf, inTheClearBehind } from "./client-ip.ts";
import type { Certificate } from "./certificate.ts";
import type { FailedTokens } from "./failed-tokens.ts";
import { type BunServer, listen, originOf } from "./listener.ts";
import { type Masks, maskedStore } from "./masked-store.ts";
import { ownStore } from "./nodes-own.ts";
import { NodeTokens } from "./nodes-tokens.ts";
import { plainHttp } from "./plain-http.ts";
import type { Quiet } from "./quiet.ts";
import { nodeVerbs, refusedVerb } from "./verbs.ts";

export interface NodesOptions {
  config: Config;
  /** What the listener shows; null where it is a plain one. */
  certificate: Certificate | null;
  vault: Pick<Vault, "accepts" | "tokens">;
  store: Store;
  failed: FailedTokens;
  masks: Masks;
  quiet: Quiet;
}

/** The listener that nodes reach the store through. */
export interface NodeSide {
  url: string;
  /** The next call is judged by the proxies that this configuration trusts. */
  use(config: Config): void;
  stop(): Promise<void>;
}

// A result holds 20 lines of log, a report less; what a node says of itself grows with its scripts.
const largestAsk = 256 * 1024;
// A worker ships its log in chunks of 64 KiB.
const largestChunk = 1024 * 1024;
// A worker runs up to 64 scripts, each with a waiting call and a log.
const mostAtOnce = 200;
const lookEvery = 1000;

const verbPath = /^\/api\/v1\/node\/(lease|renew|log|finish|report)$/;
// Verbs that a node's token does not open; everything else is not here at all.
const otherVerb = /^\/api\/v1\/(node|operator)\//;

/** Opens the node side, each of its verbs for the node whose token a request shows; null where none is configured. */
export function openNodes({ config, certificate, vault, store, failed, masks, quiet }: NodesOptions): NodeSide | null {
  const { nodes, trusted_proxies } = config.gateway;
  if (!nodes) return null;
  const closing = new AbortController();
  const tokens = new NodeTokens(vault);
  let clientIp = clientIpBehind(trusted_proxies);
  let cameInTheClear = inTheClearBehind(trusted_proxies);
  const masked = maskedStore(store, masks);
  const busy = new Map<string, number>();
  const waiting = new Map<AbortController, string>();

  async function answer(request: Request, server: BunServer): Promise<Response> {
    const correlation_id = Bun.randomUUIDv7();
    const path = pathOf(request.url);
    const [, verb] = verbPath.exec(path) ?? [];
    if (verb === undefined && !otherVerb.test(path)) return answerError(404, "nothing here", correlation_id);
    if (request.method !== "POST") {
      return answerError(405, "expected POST", correlation_id, { headers: { Allow: "POST" } });
    }
    const node = tokens.whose(request.headers);
    if (cameInTheClear(server.requestIP(request)?.address ?? "", request.headers)) {
      if (node !== null) log.error("token crossed the network in the clear", { mesh_node_id: node, correlation_id });
      return answerError(403, plainHttp.error, correlation_id, { hint: plainHttp.hint });
    }
    if (node === null) return refuseToken(request, server, path, correlation_id);
    if (verb === undefined) return answerError(403, "not a verb of a node", correlation_id);
    const at_once = busy.get(node) ?? 0;
    if (at_once >= mostAtOnce) return answerError(429, "too many calls of this node at once", correlation_id, soon);
    busy.set(node, at_once + 1);
    try {
      return await ask(verb, node, request, server, correlation_id);
    } finally {
      const left = (busy.get(node) ?? 1) - 1;
      if (left > 0) busy.set(node, left);
      else busy.delete(node);
    }
  }

  async function ask(
    verb: string,
    node: string,
    request: Request,
    server: BunServer,
    correlation_id: string,
  ): Promise<Response> {
    const limit = verb === "log" ? largestChunk : largestAsk;
    const body = announcesMoreThan(limit, request.headers)
      ? { fault: "too large" as const }
      : await readBody(request, limit);
    if ("fault" in body) {
      const status = body.fault === "too large" ? 413 : 400;
      return answerJson(status, { error: `body ${body.fault}`, kind: "data", correlation_id }, correlation_id);
    }
    // From here on it may wait; who drips its body was cut off before.
    server.timeout(request, 0);
    const gone = new AbortController();
    waiting.set(gone, node);
    let isForeign = false;
    const own = ownStore(masked, store, node, () => (isForeign = true));
    try {
      const signal = AbortSignal.any([request.signal, gone.signal]);
      const call = { url: request.url, bytes: body.bytes, signal };
      const said = await nodeVerbs(own)[verb]?.(call, closing.signal);
      if (!said) return answerError(404, "nothing here", correlation_id);
      if (isForeign) return foreignRun(objectIn(await said.text()), node, correlation_id);
      said.headers.set(correlationHeader, correlation_id);
      return said;
    } catch (error) {
      return refusedVerb(error, `node/${verb}`);
    } finally {
      waiting.delete(gone);
    }
  }

  function refuseToken(request: Request, server: BunServer, path: string, correlation_id: string): Response {
    const ip = clientIp(server.requestIP(request)?.address ?? "", request.headers.get("x-forwarded-for"));
    const status = failed.take(clientOf(ip)) ? 401 : 429;
    const held_back = quiet.ask(clientOf(ip));
    if (held_back !== null) {
      const fields = {
        route: shortLine(path, 200),
        status,
        remote_ip: ip,
        correlation_id,
        held_back: held_back || undefined,
      };
      log.warn("node refused", fields);
    }
    if (status === 429) return answerError(429, "too many wrong tokens from this address", correlation_id, soon);
    const headers = { "WWW-Authenticate": 'Bearer realm="meshmac"' };
    return answerError(401, "unauthorized", correlation_id, { headers });
  }

  const server = listen({
    name: "gateway.nodes.listen",
    at: nodes.listen,
    // Larger than what we refuse ourselves with a body; Bun's own 413 has none.
    largestBody: 16 * largestChunk,
    certificate,
    answer,
  });
  // Whoever waits was let in by a token that may be gone by now: such a call ends, and what it was leased goes back.
  const look = setInterval(() => {
    for (const [gone, node] of waiting) if (!tokens.has(node)) gone.abort();
  }, lookEvery);
  look.unref();
  return {
    url: originOf(server, nodes.listen, certificate !== null),
    use({ gateway }) {
      clientIp = clientIpBehind(gateway.trusted_proxies);
      cameInTheClear = inTheClearBehind(gateway.trusted_proxies);
    },
    async stop() {
      clearInterval(look);
      closing.abort();
      await Promise.race([server.stop(), Bun.sleep(1000)]);
      await server.stop(true);
    },
  };
}

const soon = { headers: { "Retry-After": "1" } };

/** What the store said stands beside the refusal: whoever asked is to take it as that. */
function foreignRun(said: JsonObject, node: string, correlation_id: string): Response {
  log.warn("node spoke of another's run", { mesh_node_id: node, correlation_id });
  const why = { error: "the run is another node's", kind: "permission", correlation_id };
  return answerJson(403, { ...said, ...why }, correlation_id);
}
