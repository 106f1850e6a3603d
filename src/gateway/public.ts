import type { Config } from "../config.ts";
import { shortLine } from "../core/words.ts";
import { log } from "../log.ts";
import { answerError, pathOf } from "./answer.ts";
import { isCanary } from "./canary.ts";
import type { Certificate } from "./certificate.ts";
import { clientIpBehind, clientOf, inTheClearBehind } from "./client-ip.ts";
import type { Door } from "./door.ts";
import { answerHealth, healthPaths } from "./health-answers.ts";
import type { Health } from "./health.ts";
import { type BunServer, listen, type Listener } from "./listener.ts";
import { type Ledger, tell } from "./outcome.ts";
import { refusePlainHttp } from "./plain-http.ts";
import { type Reception, receive } from "./receive.ts";

export interface PublicSide {
  certificate: Certificate | null;
  reception: Reception;
  ledger: Ledger;
  health: Health;
}

/** Opens the public side: the doors and bare health, nothing else. */
export function listenPublic(config: Config, doors: Door[], side: PublicSide): Listener {
  const { certificate, reception, ledger, health } = side;
  const { listen: at, max_body, trusted_proxies } = config.gateway;
  const byPath = new Map(doors.map((door) => [door.path, door]));
  const clientIp = clientIpBehind(trusted_proxies);
  const cameInTheClear = inTheClearBehind(trusted_proxies);

  async function knock(door: Door, request: Request, server: BunServer): Promise<Response> {
    const peer = server.requestIP(request)?.address ?? "";
    const ip = clientIp(peer, request.headers.get("x-forwarded-for"));
    const correlation_id = Bun.randomUUIDv7();
    const canary = isCanary(request.headers);
    const delivery = { door, request, ip, correlation_id, seen_at: reception.now(), canary };
    const outcome = cameInTheClear(peer, request.headers)
      ? refusePlainHttp(delivery, reception.locks)
      : await receive(delivery, reception);
    const answer = tell(delivery, outcome, ledger);
    // Whoever keeps connections open learns to take another one before this one is closed.
    if (health.last === "draining") answer.headers.set("Connection", "close");
    return answer;
  }

  function noSuchDoor(path: string, request: Request, server: BunServer): Response {
    const correlation_id = Bun.randomUUIDv7();
    const ip = clientIp(server.requestIP(request)?.address ?? "", request.headers.get("x-forwarded-for"));
    const held_back = ledger.quiet.ask(clientOf(ip));
    if (held_back !== null) {
      log.info("request refused", {
        route: shortLine(path, 200),
        status: 404,
        cause: "no such door",
        remote_ip: ip,
        correlation_id,
        held_back: held_back || undefined,
      });
    }
    return answerError(404, "no such door", correlation_id);
  }

  return listen({
    name: "gateway.listen",
    at,
    // Larger than what we refuse ourselves with a body; Bun's own 413 has none.
    largestBody: Math.max(4 * max_body, 16 * 1024 * 1024),
    certificate,
    answer(request, server) {
      const path = pathOf(request.url);
      const door = byPath.get(path);
      if (door) return knock(door, request, server);
      if (!healthPaths.includes(path)) return noSuchDoor(path, request, server);
      const correlation_id = Bun.randomUUIDv7();
      if (request.method === "GET" || request.method === "HEAD") return answerHealth(path, health, correlation_id);
      return answerError(405, "expected GET", correlation_id, { headers: { Allow: "GET, HEAD" } });
    },
  });
}
