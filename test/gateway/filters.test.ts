import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { MeshError } from "../../src/core/error.ts";
import type { Store } from "../../src/stores/store.ts";
import { butFor, eventually, openGatehouse, tokens, wanted } from "./gatehouse.ts";

setDefaultTimeout(60_000); // a spooled delivery waits for the disk

const draggedOut = (key = "MOB-12") => wanted(key, { status: { name: "To Do" } });
const gone = () => Promise.reject(new MeshError("unavailable", "redis at redis.example did not answer"));
const cancelling = { cancel_when: [{ status: "To Do" }] };

describe("a source with dry_run", () => {
  test("says what it would build, keeps that, and queues nothing", async () => {
    await using house = await openGatehouse({ jira: { dry_run: true } });
    const { status, body } = await house.deliver();
    expect([status, body.status, body.reason]).toEqual([
      200,
      "ignored",
      "dry run: would build build-ios of main on lane ios",
    ]);
    const [note] = await eventually("the note", async () => {
      const notes = await house.store.deliveries(5, "ignored");
      return notes.length > 0 && notes;
    });
    expect(note).toMatchObject({ source: "jira", issue_key: "MOB-12", reason: body.reason });
    expect((await house.store.list({ limit: 5 })).runs).toEqual([]);
  });
});

describe("an issue that is dragged back out", () => {
  test("takes its queued run with it, and gets a new one when it comes in again", async () => {
    await using house = await openGatehouse({ jira: cancelling });
    const first = await house.deliver();
    const other = await house.deliver(wanted("MOB-13"));
    const { status, body } = await house.deliver(draggedOut());
    expect([status, body.status, body.reason]).toEqual([200, "ignored", `cancelled run ${first.body.run_id}`]);
    const shown = await house.store.show(String(first.body.run_id));
    expect(shown?.run).toMatchObject({ state: "cancelled", reason: "issue withdrawn: To Do" });
    expect((await house.store.show(String(other.body.run_id)))?.run.state).toBe("queued");
    expect((await house.deliver(draggedOut())).body.reason).toBe("cancel_when matched, and no run was queued");
    expect((await house.deliver()).body.status).toBe("queued");
  });

  test("leaves no secret of ours in the reason, whoever called a status so", async () => {
    await using house = await openGatehouse({ jira: { cancel_when: [{ status: tokens.jira }] } });
    const { body } = await house.deliver();
    await house.deliver(wanted("MOB-12", { status: { name: tokens.jira } }));
    const { run } = (await house.store.show(String(body.run_id))) ?? {};
    expect(run?.state).toBe("cancelled");
    expect(run?.reason).toStartWith("issue withdrawn: ");
    expect(run?.reason).not.toContain(tokens.jira);
  });

  test("leaves a run alone that a node has", async () => {
    await using house = await openGatehouse({ jira: cancelling });
    const { body } = await house.deliver();
    const facts = { version: "0", os: "macos", labels: [], scripts: ["build-ios"], concurrency: 1 };
    const lease = await house.store.lease({ node: "mac-07", facts, token: "a.1", holding: [] });
    expect(lease?.task.run_id).toBe(String(body.run_id));
    expect((await house.deliver(draggedOut())).body.reason).toBe("cancel_when matched, and no run was queued");
    expect((await house.store.show(String(body.run_id)))?.run.state).toBe("running");
  });

  test("is heard although the store is away, behind the move that it takes back", async () => {
    let away = true;
    const wrap = (store: Store): Store =>
      butFor(store, {
        check: () => (away ? gone() : store.check()),
        accept: (entry) => (away ? gone() : store.accept(entry)),
        list: (filter) => (away ? gone() : store.list(filter)),
      });
    await using house = await openGatehouse({ jira: cancelling, wrap });
    expect((await house.deliver()).body.status).toBe("stored");
    expect((await house.deliver(draggedOut())).body.status).toBe("stored");
    away = false;
    const [run] = await eventually("the run to be cancelled", async () => {
      const { runs } = await house.store.list({ states: ["cancelled"], limit: 5 });
      return runs.length > 0 && runs;
    });
    expect(run).toMatchObject({ issue_key: "MOB-12", reason: "issue withdrawn: To Do" });
    expect((await house.store.list({ limit: 5 })).runs).toHaveLength(1);
  });
});
