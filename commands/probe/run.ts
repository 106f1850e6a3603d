import { MeshError } from "../../src/core/error.ts";
import { tlsOf, type Way } from "../../src/http.ts";
import { setLogLevel } from "../../src/log.ts";
import type { Case, Result, Send } from "../../src/probe/case.ts";
import { junitOf } from "../../src/probe/junit.ts";
import { runCases } from "../../src/probe/run.ts";
import { openThrowaway, strangerAddress } from "../../src/probe/self.ts";
import { send } from "../../src/probe/send.ts";
import { smokeCases } from "../../src/probe/smoke.ts";
import type { Target } from "../../src/probe/target.ts";
import { print } from "../args.ts";
import { type Asked, checkFlags, exchangesIn, targetsFor, wayOf } from "./asked.ts";
import { describe } from "./text.ts";

/** Does what the flags ask and returns the exit status: 0, or 1 where an answer differs. */
export async function probeFrom(asked: Asked): Promise<number> {
  checkFlags(asked);
  // The answers are the story; what a gateway of our own logs of wrong tokens on purpose is not.
  if (!process.env.MESHMAC_LOG_LEVEL) setLogLevel("error");
  if (asked.outbound) {
    const { probeOutbound } = await import("./outbound.ts");
    return await probeOutbound(asked);
  }
  const results = asked.self ? await ownResults(asked) : await farResults(asked);
  if (asked.junit !== undefined) await writeJunit(asked.junit, results);
  print(asked.json ? JSON.stringify({ ok: results.every(({ ok }) => ok), results }) : describe(results));
  return results.every(({ ok }) => ok) ? 0 : 1;
}

async function ownResults(asked: Asked): Promise<Result[]> {
  await using own = await openThrowaway(asked.source);
  let asks = 0;
  const ask: Send = (knock) => {
    const headers = { ...knock.headers, "X-Forwarded-For": strangerAddress(++asks) };
    return send({ ...knock, headers }, Bun.sleep);
  };
  return await runCases([...(await casesOf(own.targets, asked)), ...own.recorded], ask);
}

async function farResults(asked: Asked): Promise<Result[]> {
  const [targets, way] = [await targetsFor(asked), await wayOf(asked)];
  const cases =
    asked.fixtures === undefined ? await casesOf(targets, asked, way) : await exchangesIn(asked.fixtures, targets);
  return await runCases(cases, (knock) => send(knock, Bun.sleep, way));
}

async function casesOf(targets: readonly Target[], { suite }: Asked, way?: Way): Promise<Case[]> {
  // No issue that a probe asked about within the last minute, whose marks may still stand.
  const number = 100_000 + Math.floor(Math.random() * 900_000);
  const cases = suite === "security" ? [] : targets.flatMap((target) => smokeCases(target, number));
  if (suite === "smoke") return cases;
  const { securityCases, serverCases } = await import("../../src/probe/security.ts");
  const tls = way && (await tlsOf(way));
  return [
    ...cases,
    ...targets.flatMap((target) => securityCases(target, number + 1)),
    // Through a proxy these would ask the proxy.
    ...(way?.proxy === undefined ? targets.slice(0, 1).flatMap((target) => serverCases(target, number + 2, tls)) : []),
  ];
}

async function writeJunit(file: string, results: readonly Result[]): Promise<void> {
  try {
    await Bun.write(file, junitOf(results));
  } catch (cause) {
    throw new MeshError("permission", `cannot write ${JSON.stringify(file)}`, { hint: "see --junit", cause });
  }
}
