import fc from "fast-check";
import { type Announcement, runStates } from "../../src/core/records.ts";

const spells = [
  "<!channel> <!here> <@U123> @channel @all @here @everyone @rene <a|b> | < >".split(" "),
  "[x](javascript:alert(1)) https://evil.example www.evil.example ` ``` ** _ \\ é 𝒳 &lt;".split(" "),
  ["\n", "\u202E", "\u0000", "\uD83D", "@\u200B", "\r\n# h", "| a |", " "],
].flat();

const hostile = fc.oneof(
  fc.string({ unit: "binary", maxLength: 400 }),
  fc.array(fc.constantFrom(...spells), { maxLength: 30 }).map((parts) => parts.join("")),
  fc.string({ maxLength: 8 }).map((text) => `@all <!here> ${text}`.repeat(1200)),
);

/** What an announcement of strangers' texts may hold at worst, before any of our own cleaning. */
export const announcements: fc.Arbitrary<Announcement> = fc
  .record({
    state: fc.constantFrom(...runStates),
    workflow: hostile,
    branch: hostile,
    commit: fc.option(hostile),
    run_url: fc.option(hostile),
    issue_url: fc.option(hostile),
    mesh_node_id: fc.option(hostile),
    issue_key: fc.option(hostile),
    summary: fc.option(hostile),
    failing_target: fc.option(hostile),
    reason: fc.option(hostile),
    attempt: fc.option(fc.nat(9)),
    log_tail: fc.array(hostile, { maxLength: 3 }),
  })
  .map((strange) => ({
    ...strange,
    source: "jira",
    issue_id: null,
    requested_by: null,
    lane: null,
    provider_run_id: "0193f0a2-7c11-7abc-8def-1234567890ab",
    idempotency_key: null,
    duration_ms: null,
    at: 0,
  }));
