import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { openPagerduty } from "../fakes/pagerduty.ts";
import { deliver, eventually, Household, jiraBody, type Process } from "./household.ts";

// A script that kills its worker, and a supervisor that starts the worker again, as launchd and systemd do.

const poison = [
  "#!/bin/sh",
  'case "$MESHMAC_ISSUE_KEY" in',
  "  MOB-66)",
  // Out of the group, the session and the family: what a worker that starts again has to find.
  `    (setsid sh -c 'trap "" TERM HUP; echo $$ >>"$LEDGER"; while [ -e "$LEDGER" ]; do sleep 0.1; done' >/dev/null 2>&1 &)`,
  '    until [ "$(wc -l <"$LEDGER")" -ge "$MESHMAC_ATTEMPT" ]; do sleep 0.02; done',
  "    kill -9 $PPID",
  "    sleep 600 ;;",
  "esac",
  "",
].join("\n");

interface Listed {
  runs: { state: string; issue_key: string; attempt: number; lost: number }[];
}

const alive = (pid: string): boolean => {
  const stat = existsSync(`/proc/${pid}/stat`) ? readFileSync(`/proc/${pid}/stat`, "utf8") : "";
  return stat !== "" && !/\) Z /.test(stat);
};

test.skipIf(Bun.which("setsid") === null)(
  "a script that kills its worker is dead after max_lost and paged once; others are unharmed, and nothing is left of it",
  async () => {
    using pagerduty = openPagerduty();
    await using house = new Household({
      scripts: { "build-ios": poison },
      config: {
        lease: { ttl: "3s", heartbeat: "500ms", fence: "2s" },
        lanes: { ios: { max_lost: 3 } },
        pagers: { oncall: { kind: "pagerduty", key: "pagerduty/routing.key", base_url: pagerduty.base_url } },
        node: { id: "mac-07", pass_env: ["LEDGER"] },
      },
    });
    house.secret("pagerduty/routing.key", "0123456789abcdef0123456789abcdef");
    house.write("ledger", "", 0o600);
    const LEDGER = join(house.dir, "ledger");
    const gateway = await house.serve();
    for (const key of ["MOB-66", "MOB-67", "MOB-68"]) await deliver(gateway.url, "jira", jiraBody(key));

    let worker: Process = await house.work({ LEDGER });
    let starts = 1;
    const runs = await eventually("every run over", async () => {
      if (worker.child.exitCode !== null || worker.child.signalCode !== null) {
        worker = await house.work({ LEDGER });
        starts++;
      }
      const { stdout } = await house.run("runs", "list", "--json");
      const listed = stdout === "" ? [] : (JSON.parse(stdout) as Listed).runs;
      const over = listed.filter(({ state }) => state !== "queued" && state !== "running");
      return over.length === 3 ? listed : null;
    });
    expect(runs.find(({ issue_key }) => issue_key === "MOB-66")).toMatchObject({ state: "dead", attempt: 3, lost: 3 });
    for (const key of ["MOB-67", "MOB-68"])
      expect(runs.find(({ issue_key }) => issue_key === key)).toMatchObject({ state: "succeeded", lost: 0 });
    expect(starts).toBe(4);

    const left = readFileSync(LEDGER, "utf8").trim().split("\n");
    expect(left).toHaveLength(3);
    await eventually("nothing left running", () => left.every((pid) => !alive(pid)));
    const ended = await worker.stop();
    expect(ended).toBe(0);

    await eventually("a page", () => pagerduty.incidents.length > 0);
    await gateway.stop();
    expect(pagerduty.incidents).toHaveLength(1);
    expect(pagerduty.incidents[0]).toMatchObject({ triggers: 1 });
    expect(JSON.stringify(pagerduty.incidents[0]?.payload)).toContain("MOB-66");
    expect(pagerduty.faults).toEqual([]);
  },
  60_000,
);
