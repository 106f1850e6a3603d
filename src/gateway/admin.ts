import type { Config } from "../config.ts";
import { isLoopback } from "../core/units.ts";
import type { Vault } from "../secrets.ts";
import type { Store } from "../stores/store.ts";
import { MeshError } from "../core/error.ts";
import { adminOperator, isOperatorPath } from "./admin-operator.ts";
import { type AdminCall, adminRoutes, type Route } from "./admin-routes.ts";
import { answerError, pathOf } from "./answer.ts";
import { clientOf } from "./client-ip.ts";
import type { FailedTokens } from "./failed-tokens.ts";
import { answerHealth, answerReadiness, healthPaths } from "./health-answers.ts";
import type { Health } from "./health.ts";
import type { SpoolState } from "./intake.ts";
import { type BunServer, listen, type Listener, originOf } from "./listener.ts";
import type { Masks } from "./masked-store.ts";

export interface AdminOptions {
  config: Config;
  vault: Pick<Vault, "accepts">;
  store: Store;
  health: Health;
  failed: FailedTokens;
  masks: Masks;
  /** Hides secrets in what is shown. */
  mask: (text: string) => string;
  /** What people must know although deliveries can be taken. */
  notes: () => string[];
  spool: () => SpoolState;
}

export interface AdminSide {
  server: Listener;
  url: string;
  /** The next request is judged by this configuration's token and address. */
  use(config: Config): void;
}

/** Opens the admin side: run pages, their logs and the API, on a listener of its own, for whoever shows its token or is on this machine. */
export function openAdmin(options: AdminOptions): AdminSide {
  const { store, health, masks, mask, notes, spool } = options;
  let { config } = options;
  const at = config.gateway.admin.listen;
  const routes = adminRoutes({ store, mask, logMasks: masks });
  const operator = adminOperator(store, masks);

  async function answer(request: Request, server: BunServer): Promise<Response> {
    const correlation_id = Bun.randomUUIDv7();
    const path = pathOf(request.url);
    const refusal = refusalOf(request, server, { ...options, config });
    if (healthPaths.includes(path)) {
      if (path === "/readyz" && !refusal) {
        const more = { node: config.node.id, notes: notes(), store, mask, spool: spool() };
        return await answerReadiness(health, more, correlation_id);
      }
      return await answerHealth(path, health, correlation_id);
    }
    if (refusal) {
      const { status, error, hint, headers } = refusal;
      return answerError(status, error, correlation_id, { hint, headers });
    }
    if (isOperatorPath(path)) {
      // Whoever is on this machine may look, cancel and retry without a token, and no more.
      if (!config.gateway.admin.token) {
        const hint = "set gateway.admin.token to let operators ask from other machines";
        return answerError(403, "only with a token", correlation_id, { hint });
      }
      return await changed(request, config.gateway.admin.url, correlation_id, () => operator(path, request));
    }
    const call: AdminCall = { request, correlation_id, stay: () => server.timeout(request, 0) };
    try {
      return await routed(path, routes, call, config.gateway.admin.url);
    } catch (error) {
      if (!(error instanceof MeshError) || error.kind === "bug") throw error;
      const status = error.kind === "data" || error.kind === "usage" ? 400 : 503;
      return answerError(status, error.message, correlation_id, { hint: error.hint });
    }
  }

  const server = listen({ name: "gateway.admin.listen", at, largestBody: 1024 * 1024, answer });
  return { server, url: originOf(server, at, false), use: (next) => void (config = next) };
}

async function routed(path: string, routes: Route[], call: AdminCall, url: string | undefined): Promise<Response> {
  const { request, correlation_id } = call;
  const allowed: string[] = [];
  for (const { method, path: pattern, act } of routes) {
    const found = pattern.exec(path);
    if (!found) continue;
    if (method !== request.method && !(method === "GET" && request.method === "HEAD")) {
      allowed.push(method);
      continue;
    }
    const asked = () => act(call, found[1] ?? "");
    return method === "POST" ? await changed(request, url, correlation_id, asked) : await asked();
  }
  if (allowed.length === 0) return answerError(404, "no such page", correlation_id);
  const headers = { Allow: allowed.join(", ") };
  return answerError(405, `expected ${allowed.join(" or ")}`, correlation_id, { headers });
}

/** Answers a POST that is JSON and that no page of another origin has sent. */
async function changed(
  request: Request,
  url: string | undefined,
  correlation_id: string,
  act: () => Promise<Response>,
): Promise<Response> {
  if (request.method !== "POST")
    return answerError(405, "expected POST", correlation_id, { headers: { Allow: "POST" } });
  const foreign = foreignChange(request, url);
  return foreign ? answerError(foreign.status, foreign.error, correlation_id, foreign) : await act();
}

interface AdminRefusal {
  status: number;
  error: string;
  hint?: string;
  headers?: Record<string, string>;
}

/** Who may ask: whoever shows the token; without one, only who calls us by a name of this machine (another name may be a web page's doing). */
function refusalOf(request: Request, server: BunServer, { config, vault, failed }: AdminOptions): AdminRefusal | null {
  const { token } = config.gateway.admin;
  if (!token) {
    if (isLoopback(hostOf(request.headers.get("host")))) return null;
    return { status: 403, error: "only for this machine", hint: "set gateway.admin.token to open it to others" };
  }
  const [scheme = "", presented = "", ...rest] = (request.headers.get("authorization") ?? "").split(" ");
  const fits = /^bearer$/i.test(scheme) && rest.length === 0 && presented.length <= 512;
  if (vault.accepts(token.name, fits ? presented : null) !== null) return null;
  // A first look without a token is no guess.
  if (presented !== "" && !failed.take(clientOf(server.requestIP(request)?.address ?? ""))) {
    return { status: 429, error: "too many wrong tokens from this address", headers: { "Retry-After": "1" } };
  }
  return { status: 401, error: "unauthorized", headers: { "WWW-Authenticate": 'Bearer realm="meshmac"' } };
}

/** The host name in a Host header, without its port; "" where it is no plain one. */
const hostOf = (header: string | null): string =>
  /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(?::\d{1,5})?$/.exec(header ?? "")?.[1]?.toLowerCase() ?? "";

/** Refuses a change that a web page of another origin could have sent. */
function foreignChange(request: Request, url: string | undefined): AdminRefusal | null {
  const origin = request.headers.get("origin");
  const host = request.headers.get("host");
  const ours = origin === null || origin === `http://${host}` || origin === `https://${host}` || origin === url;
  if (!ours) return { status: 403, error: "not from here", hint: "changes are taken from the admin side's own origin" };
  if (/^application\/json\s*(;|$)/i.test(request.headers.get("content-type") ?? "")) return null;
  return { status: 415, error: "expected JSON", hint: "send Content-Type: application/json" };
}
