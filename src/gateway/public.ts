import type { Config } from "../config.ts";
import { shortLine } from "../core/words.ts";
import { log } from "../log.ts";
import { answerError, pathOf } from "./answer.ts";
import { isCanary } from "./canary.ts";
import type { Certificate } from "./certificate.ts";
import { type ClientIp, clientIpBehind, clientOf, type InTheClear, inTheClearBehind } from "./client-ip.ts";
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

/** What the configuration says of the public side. */
interface Hall {
  byPath: Map<string, Door>;
  clientIp: ClientIp;
  cameInTheClear: InTheClear;
}

/** Hangs doors as a configuration says; throws where its `trusted_proxies` cannot be read. */
export const hallOf = ({ gateway: { trusted_proxies } }: Config, doors: Door[]): Hall => ({
  byPath: new Map(doors.map((door) => [door.path, door])),
  clientIp: clientIpBehind(trusted_proxies),
  cameInTheClear: inTheClearBehind(trusted_proxies),
});

export interface PublicListener {
  server: Listener;
  /** The next request finds these doors. */
  use(hall: Hall): void;
}

/** Bytes at which the listener itself cuts a body off: larger than what we refuse ourselves with a body, for its own 413 has none. */
export const cutOffAt = (max_body: number): number => Math.max(4 * max_body, 16 * 1024 * 1024);

/** Opens the public side: the doors and bare health, nothing else. */
export function listenPublic(config: Config, doors: Door[], side: PublicSide): PublicListener {
  const { certificate, reception, ledger, health } = side;
  const { listen: at, max_body } = config.gateway;
  let hall = hallOf(config, doors);

  async function knock(door: Door, request: Request, server: BunServer): Promise<Response> {
    const { clientIp, cameInTheClear } = hall;
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
    const ip = hall.clientIp(server.requestIP(request)?.address ?? "", request.headers.get("x-forwarded-for"));
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

  const listener = listen({
    name: "gateway.listen",
    at,
    largestBody: cutOffAt(max_body),
    certificate,
    answer(request, server) {
      const path = pathOf(request.url);
      const door = hall.byPath.get(path);
      if (door) return knock(door, request, server);
      if (!healthPaths.includes(path)) return noSuchDoor(path, request, server);
      const correlation_id = Bun.randomUUIDv7();
      if (request.method === "GET" || request.method === "HEAD") return answerHealth(path, health, correlation_id);
      return answerError(405, "expected GET", correlation_id, { headers: { Allow: "GET, HEAD" } });
    },
  });
  return { server: listener, use: (next) => void (hall = next) };
}
