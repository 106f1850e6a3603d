import { expect } from "bun:test";
import type { JsonObject } from "../../src/core/json.ts";
import { redactLog } from "../../src/log.ts";
import { remote } from "../fakes/remote.ts";
import type { Stage } from "../gateway/stage.ts";
import { askOf, heldOf, leased, queue, resultOf, until } from "../stores/conformance/given.ts";
import type { Abilities } from "../../src/chats/chat.ts";
import type { Column, Far } from "./columns.ts";
import { crowdAt } from "./crowd.ts";
import { canary } from "./sending.ts";
import { handingOn, movedTo, originOf, selfSigned, sendTo, standing } from "./stands.ts";
import { issue } from "./timeline.ts";

// What a chat's timeline has to survive, each scenario at one kind of chat through its strict server.

export interface Scenario {
  about: string;
  at(column: Column, can: Abilities): Promise<void>;
}

const hour = 3_600_000;
const minute = 60_000;

/** Opens the other side on a stage, with a gateway that sends to it, for the length of `act`. */
async function scene(
  column: Column,
  script: Parameters<Column["open"]>[0],
  act: (far: Far, stage: Stage) => Promise<void>,
  more: JsonObject = {},
): Promise<void> {
  using far = column.open(script);
  await using stage = await standing(far, more);
  sendTo(stage, far);
  await act(far, stage);
  expect(far.faults).toEqual([]);
}

const states = (far: Far): (string | undefined)[] =>
  far.shown().map(({ text }) => /\b(queued|running|succeeded|failed)\b/.exec(text)?.[0]);

const verdicts = (stage: Stage): string[] => stage.settlements.map(({ verdict }) => verdict);

/** Takes a run to its end, each state told before the next begins. */
async function whole(stage: Stage): Promise<string> {
  const { run_id } = await queue(stage.store, { source: "jira" });
  await stage.settled(1);
  const lease = await leased(stage.store, askOf());
  await stage.settled(2);
  await stage.store.finish(resultOf(heldOf(lease)));
  await stage.settled(3);
  return run_id;
}

/** What one run, told whole by default, leaves to be seen. */
function expectTimeline(far: Far, can: Abilities): void {
  if (can.edit) expect(far.shown()).toMatchObject([{ edits: 2 }]);
  else if (can.thread) expect([states(far), far.threads()]).toEqual([["queued", "running", "succeeded"], 1]);
  else expect(states(far)).toEqual(["succeeded"]);
  expect(states(far).at(-1)).toBe("succeeded");
}

const told = (can: Abilities): number => (can.edit || can.thread ? 3 : 1);

export const scenarios: Scenario[] = [
  {
    about: "1 queued, running, succeeded",
    async at(column, can) {
      using far = column.open();
      await using stage = await standing(far, {}, {});
      sendTo(stage, far);
      if (can.edit || can.thread) await whole(stage);
      else await stage.run("succeeded").then(() => stage.settled(1));
      await stage.quiet();
      expectTimeline(far, can);
      expect(far.faults).toEqual([]);
    },
  },
  {
    about: "2 the same events five times over, and from three gateways",
    async at(column, can) {
      using far = column.open();
      await using stage = await standing(far, {}, {});
      for (let n = 0; n < 3; n++) sendTo(stage, far);
      const { run_id } = await queue(stage.store, { source: "jira" });
      if (told(can) > 1) await stage.settled(1);
      const lease = await leased(stage.store, askOf());
      if (told(can) > 1) await stage.settled(2);
      for (let n = 0; n < 5; n++) expect(await stage.store.finish(resultOf(heldOf(lease)))).toBe("ok");
      await stage.settled(told(can));
      await stage.later(hour);
      expectTimeline(far, can);
      expect(await stage.posts(run_id)).toHaveLength(told(can));
    },
  },
  {
    about: "3 a 429 with every form of Retry-After",
    async at(column) {
      const date = new Date(Date.now() + 120_000).toUTCString();
      const forms: [string | undefined, number][] = [
        ["2", 2000],
        ["2.5", 2500],
        [date, 115_000],
        ["999999", 24 * hour],
        ["0", 0],
        ["-1", 0],
        ["abc", 0],
        [undefined, 0],
      ];
      for (const [said, asked] of forms) {
        const headers = said === undefined ? {} : { "Retry-After": said };
        await scene(column, [{ status: 429, headers }], async (far, stage) => {
          await stage.report("1");
          expect(await stage.settled(1)).toMatchObject([{ verdict: "later" }]);
          if (asked > 0) {
            await stage.later(asked - 1000);
            expect([said, far.requests.length]).toEqual([said, 1]);
            stage.skip(10_000);
          }
          expect([said, (await stage.settled(2)).at(-1)?.verdict]).toEqual([said, "sent"]);
          expect([far.shown().length, far.requests.length]).toEqual([1, 2]);
        });
      }
    },
  },
  {
    about: "4 three times 503, a 502, no HTTP at all, then well",
    at: (column) =>
      scene(column, [503, 503, 503, 502, "garbage"], async (far, stage) => {
        await stage.report("1");
        await stage.settled(6);
        expect(verdicts(stage)).toEqual([...Array<string>(5).fill("later"), "sent"]);
        expect(far.shown()).toHaveLength(1);
      }),
  },
  {
    about: "5 taken, and the answer never comes",
    at: (column, can) =>
      scene(column, ["accept-then-reset"], async (far, stage) => {
        const subject = await stage.report("1");
        expect((await stage.settled(2))[0]).toMatchObject({ verdict: "later", unsure: true });
        expect(far.shown()).toHaveLength(column.afterSilence);
        if (can.idempotent) expect(column.afterSilence).toBe(1);
        expect(await stage.store.posts(subject)).toMatchObject([{ status: "sent", unsure: true }]);
      }),
  },
  {
    about: "6 a gateway that dies between sending and writing it down",
    async at(column, can) {
      using far = column.open();
      await using stage = await standing(far);
      const store = { ...stage.store, settle: () => new Promise<never>(() => {}) };
      sendTo(stage, far, { store });
      const subject = await stage.report("1");
      await until(async () => far.shown().length === 1);
      stage.skip(minute);
      stage.sending({ print: (line) => void far.printed.push(line) });
      await stage.settled(1);
      expect(far.shown()).toHaveLength(column.afterSilence);
      if (can.idempotent) expect(column.afterSilence).toBe(1);
      expect(await stage.store.posts(subject)).toMatchObject([{ status: "sent", unsure: true, tries: 2 }]);
      expect(far.faults).toEqual([]);
    },
  },
  {
    about: "7 the message to change is gone: a new one, changed from then on",
    at: (column) =>
      scene(column, [], async (far, stage) => {
        await queue(stage.store, { source: "jira" });
        await stage.settled(1);
        far.forget?.();
        const lease = await leased(stage.store, askOf());
        await stage.settled(2);
        expect([states(far), far.shown()[0]?.edits]).toEqual([["running"], 0]);
        await stage.store.finish(resultOf(heldOf(lease)));
        await stage.settled(3);
        expect([states(far), far.shown()[0]?.edits]).toEqual([["succeeded"], 1]);
        expect(verdicts(stage)).toEqual(["sent", "sent", "sent"]);
      }),
  },
  {
    about: "8 the hook was taken back: one request, a circuit that says why",
    at: (column) =>
      scene(column, [403, 403, 403], async (far, stage) => {
        await stage.report("1");
        expect(await stage.settled(1)).toMatchObject([{ verdict: "dead" }]);
        const [row] = await stage.store.destinations();
        expect(row).toMatchObject({ name: "chat:builds", circuit: "open", cause: "config" });
        expect(row?.why).toContain("403");
        await stage.later(12 * hour);
        expect(far.requests).toHaveLength(1);
      }),
  },
  {
    about: "9 a redirect to a login page: refused, and never followed",
    async at(column) {
      using login = remote({ status: 200, headers: { "Content-Type": "text/html" }, body: "<!doctype html>Sign in" });
      await scene(column, [{ redirect: `${login.url}/login` }], async (far, stage) => {
        await stage.report("1");
        expect(await stage.settled(1)).toMatchObject([{ verdict: "dead" }]);
        expect([login.requests, far.requests.length]).toEqual([[], 1]);
        expect(await stage.store.destinations()).toMatchObject([{ circuit: "open", cause: "config" }]);
      });
    },
  },
  {
    about: "10 a log tail beyond every limit",
    at: (column) =>
      scene(column, [], async (far, stage) => {
        await queue(stage.store, { source: "jira", issue_url: issue });
        const lease = await leased(stage.store, askOf());
        const line = `\`\`\`<b>é\u{1F600}</b> ${"…é\u{1F600}".repeat(7000)}`;
        const log_tail = Array.from({ length: 20 }, () => line);
        const over = {
          log_tail,
          failing_target: line,
          summary: line,
          run_url: `https://ci.example/${"x".repeat(1900)}`,
        };
        await stage.store.finish(resultOf(heldOf(lease), "failed", over));
        await stage.settled(3);
        expect(verdicts(stage)).toEqual(["sent", "sent", "sent"]);
        for (const { text } of far.shown())
          expect([text.isWellFormed(), text.includes("\uFFFD")]).toEqual([true, false]);
      }),
  },
  {
    about: "11 a stranger who writes what chats obey",
    at: (column) =>
      scene(column, [], async (far, stage) => {
        const text = `${canary} ${canary} ${"x".repeat(20_000)}`;
        await queue(stage.store, { source: "jira", summary: text, ref: text, issue_key: text, issue_url: issue });
        const lease = await leased(stage.store, askOf());
        const more = { failing_target: text, log_tail: [text], commit: text, reason: text };
        await stage.store.finish(resultOf(heldOf(lease), "failed", more));
        const build = { workflow: text, branch: text, commit: text, mesh_node_id: text, failing_target: text };
        await stage.report("1", { ...build, state: "failed", run_url: `https://ci.example/${canary}` });
        await stage.report("2", { ...build, state: "failed", run_url: "javascript:alert(1)" });
        await stage.settled(5);
        expect(verdicts(stage)).toEqual(Array<string>(5).fill("sent"));
        expect(far.active()).toEqual([]);
      }),
  },
  {
    about: "12 a secret that changes while a post waits",
    async at(column) {
      const lines: string[] = [];
      redactLog((line) => {
        lines.push(line);
        return line;
      });
      using far = column.open([503]);
      const right = { ...far.texts };
      const texts = Object.fromEntries(Object.entries(right).map(([name, text]) => [name, turned(text)]));
      await using stage = await standing({ entry: far.entry, texts });
      sendTo(stage, far, { mask: (text) => text });
      const subject = await stage.report("1");
      await stage.settled(1);
      Object.assign(texts, right);
      await stage.settled(2);
      redactLog((line) => line);
      expect([verdicts(stage), far.shown().length]).toEqual([["later", "sent"], 1]);
      const [first, second] = far.requests.map(({ target, headers }) => `${target} ${headers.get("authorization")}`);
      const [secret = ""] = Object.values(right);
      expect(first).toContain(carried(turned(secret)));
      expect(second).toContain(carried(secret));
      const kept = JSON.stringify([lines, stage.settlements, await stage.store.posts(subject)]);
      for (const value of Object.values(right)
        .flatMap((text) => [text, turned(text)])
        .map(carried))
        expect(kept).not.toContain(value.slice(-12));
      expect(far.faults).toEqual([]);
    },
  },
  {
    about: "13 the end overtakes *running*, which waits to be tried again",
    at: (column) =>
      scene(
        column,
        ["normal", 503, "normal"],
        async (far, stage) => {
          const { run_id } = await queue(stage.store, { source: "jira" });
          await stage.settled(1);
          const lease = await leased(stage.store, askOf());
          await stage.settled(2);
          await stage.store.finish(resultOf(heldOf(lease)));
          await until(async () => states(far).at(-1) === "succeeded");
          await stage.later(hour);
          expect(states(far)).not.toContain("running");
          expect((await stage.posts(run_id)).map(({ status }) => status)).toEqual(["sent", "replaced", "sent"]);
        },
        { retry: { base_delay_ms: hour, max_delay_ms: hour, jitter_ratio: 0 } },
      ),
  },
  {
    about: "14 a clock that jumps back by an hour",
    at: (column, can) =>
      scene(column, [], async (far, stage) => {
        await queue(stage.store, { source: "jira" });
        await stage.settled(1);
        stage.skip(-hour);
        const lease = await leased(stage.store, askOf());
        await stage.settled(2);
        await stage.store.finish(resultOf(heldOf(lease)));
        await stage.settled(3);
        await stage.later(2 * hour);
        expect(verdicts(stage)).toEqual(["sent", "sent", "sent"]);
        expect(states(far)).toEqual(can.edit ? ["succeeded"] : ["queued", "running", "succeeded"]);
      }),
  },
  {
    about: "15 a proxy between",
    async at(column) {
      using far = column.open();
      using proxy = handingOn(originOf(far));
      await using stage = await standing(far, { proxy: proxy.url });
      sendTo(stage, far);
      await stage.report("1");
      expect(await stage.settled(1)).toMatchObject([{ verdict: "sent" }]);
      expect(proxy.requests.map(({ target }) => target.startsWith(`${originOf(far)}/`))).toEqual([true]);
      expect([far.shown().length, far.faults]).toEqual([1, []]);
    },
  },
  {
    about: "16 a certificate that nobody vouches for, unless its `ca_file` is given",
    async at(column) {
      using far = column.open();
      using own = selfSigned();
      using front = handingOn(originOf(far), own.tls);
      const moved = movedTo(far, front.url);
      for (const ca_file of [undefined, own.ca_file]) {
        await using stage = await standing(moved, ca_file === undefined ? {} : { ca_file });
        sendTo(stage, far);
        await stage.report("1");
        const [settled] = await stage.settled(1);
        expect(settled?.verdict).toBe(ca_file === undefined ? "later" : "sent");
        if (ca_file === undefined)
          expect([settled?.why, far.requests]).toEqual([expect.stringMatching(/SELF_SIGNED/), []]);
      }
      expect([far.shown().length, far.faults]).toEqual([1, []]);
    },
  },
  {
    about: "17 one of 500 destinations: at its own rate, and not held up by one that is stuck",
    async at(column) {
      const { stuck, limited, others } = (await crowdAt()).of(column.name);
      if (stuck) expect(stuck.shown()).toEqual([]);
      expect(limited.shown()).toHaveLength(1);
      expect(others.map((far) => far.shown().length)).toEqual(others.map(() => 2));
      expect([...others, limited].flatMap(({ faults }) => faults)).toEqual([]);
    },
  },
];

/** The secret as its owner would have had it before: as long, of the same signs, another. */
const turned = (text: string): string => {
  const at = text.length - 14;
  const part = text.slice(at, at + 10);
  return `${text.slice(0, at)}${[...part].map((sign) => (/[a-y0-8]/i.test(sign) ? next(sign) : sign)).join("")}${text.slice(at + 10)}`;
};
const next = (sign: string): string => String.fromCharCode(sign.charCodeAt(0) + 1);

/** The part of a secret that travels: an address without its origin. */
const carried = (text: string): string => text.replace(/^https?:\/\/[^/]+/, "");
