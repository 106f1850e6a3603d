import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { jiraIssue, openJiraSearch } from "../fakes/search.ts";
import { eventually, Household, tokens } from "./household.ts";

const query = 'project = MOB AND status = "Building"';

/** A house whose jira is searched every second. */
function searchingHouse(site: string): Household {
  const house = new Household({ jira: site });
  const config = JSON.parse(readFileSync(house.config, "utf8"));
  config.sources.jira.reconcile = { every: "1s", query };
  house.write("meshmac.config.json", JSON.stringify(config), 0o600);
  return house;
}

const queued = async (house: Household): Promise<string[]> => {
  const { stdout } = await house.run("runs", "list", "--limit", "100", "--json");
  return JSON.parse(stdout).runs.map(({ issue_key }: { issue_key: string }) => issue_key);
};

test("what moved while every gateway was dead is queued once, by command or by the next gateway, and not again by late webhooks", async () => {
  using tracker = openJiraSearch(query);
  const house = searchingHouse(tracker.url);
  try {
    const first = await house.serve();
    await first.kill9();
    const at = Date.now() - 1000;
    for (let i = 0; i < 20; i++)
      tracker.standing.push({ key: `MOB-${100 + i}`, at: at + i, change: String(20_000 + i) });

    const dry = await house.run("reconcile", "--dry-run", "--json");
    expect(dry.code).toBe(0);
    const { issues } = JSON.parse(dry.stdout);
    expect(new Set(issues.map(({ outcome }: { outcome: string }) => outcome))).toEqual(new Set(["missed"]));
    expect(issues).toHaveLength(20);
    expect(await queued(house)).toEqual([]);

    const second = await house.serve();
    await eventually("20 runs", async () => (await queued(house)).length === 20);
    for (const standing of tracker.standing) {
      const { id, key, fields } = jiraIssue(standing, false);
      const answer = await fetch(`${second.url}/jira/openclaw`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-meshmac-jira-token": tokens.jira },
        body: JSON.stringify({ id, key, fields }),
      });
      expect(await answer.json()).toHaveProperty("status", "duplicate");
    }
    const again = await house.run("reconcile", "--source", "jira");
    expect(again.code).toBe(0);
    expect(again.stdout).toContain("has run");
    expect(new Set(await queued(house)).size).toBe(20);
    expect(await queued(house)).toHaveLength(20);
    expect(second.lines.filter(({ msg }) => msg === "missed move queued")).toHaveLength(20);
    expect(second.stderr).not.toContain(tokens.jiraRest);
    expect(tracker.faults).toEqual([]);

    const unknown = await house.run("reconcile", "--source", "jria");
    expect([unknown.code, unknown.stderr]).toEqual([64, expect.stringContaining("there is jira")]);
  } finally {
    await house.close();
  }
});
