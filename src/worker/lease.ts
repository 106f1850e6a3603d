import { log } from "../log.ts";
import type { Lease, Renewal } from "../stores/store.ts";
import { Backoff } from "./clock.ts";
import type { House } from "./house.ts";

/** Why a script must end: a person asked, the run is another's by now, or this node could not renew for too long. */
export type Summons = "cancel" | "stale" | "fence";

// Wall and monotonic time apart by more than this: the machine slept, or its time was set.
const sleptLongerThan = 5000;
// Beyond the asked wait, how long an answer may take before the store counts as not reached.
const patience = 5000;

/**
 * Keeps one lease. The safe end of a lease is counted from when the last answered renewal was *sent*. An outage
 * begins when a renewal fails or is overdue; after `fence_ms` of it the script must end, and in any case while half of
 * the time between `fence_ms` and `ttl_ms` is left. Renewals come so close that a cut shorter than the fence loses nothing.
 */
export class Heartbeat {
  readonly #house: House;
  readonly #lease: Lease;
  readonly #rhythm: number;
  #lastOk: number;
  #outageSince: number | undefined;
  #reachedSince: number;
  #hurry = new AbortController();

  /** `sent` is the monotonic time at which the answered lease call was sent. */
  constructor(house: House, lease: Lease, sent: number) {
    this.#house = house;
    this.#lease = lease;
    this.#lastOk = sent;
    this.#reachedSince = sent;
    this.#rhythm = Math.max(20, Math.min(lease.heartbeat_ms, (lease.ttl_ms - lease.fence_ms) / 4));
  }

  /** Monotonic time until which nobody else can hold this lease. */
  get leaseEnds(): number {
    return this.#lastOk + this.#lease.ttl_ms;
  }

  /** Milliseconds of the lease that are left. */
  get left(): number {
    return Math.max(0, this.leaseEnds - this.#house.clock.monotonic());
  }

  /** Milliseconds that the store has answered for, without an outage between; 0 in one. */
  get reachedFor(): number {
    return this.#outageSince === undefined ? this.#house.clock.monotonic() - this.#reachedSince : 0;
  }

  /** Renews once, before the script starts; answers when the store did. */
  async first(over: AbortSignal): Promise<"ok" | Summons> {
    return (await this.#renewUntilAnswered(0, over)) ?? "ok";
  }

  /** Renews until something calls the script back, or null when the signal fires. */
  async watch(over: AbortSignal): Promise<Summons | null> {
    void this.#watchForSleep(over);
    while (!over.aborted) {
      const asked = this.#house.clock.monotonic();
      const hurry = this.#hurry.signal;
      const said = await this.#renewUntilAnswered(this.#rhythm, over);
      if (over.aborted) return null;
      if (said !== "ok") return said;
      // A store that answers without waiting is asked again no sooner.
      const early = this.#rhythm - (this.#house.clock.monotonic() - asked);
      if (early > 10) await this.#house.clock.sleep(early, AbortSignal.any([over, hurry]));
    }
    return null;
  }

  async #renewUntilAnswered(wait: number, over: AbortSignal): Promise<"ok" | Summons | null> {
    const { clock, chance } = this.#house;
    const backoff = new Backoff(2000);
    for (let ms = wait; !over.aborted; ms = 0) {
      const word = await this.#ask(ms, over);
      if (over.aborted) return null;
      if (word !== null) {
        this.#reached();
        return word;
      }
      this.#outageSince ??= clock.monotonic();
      const left = this.#fenceAt(this.#outageSince) - clock.monotonic();
      if (left <= 0) return "fence";
      await clock.sleep(Math.min(left, backoff.next(chance())), over);
    }
    return null;
  }

  /** One renewal; null when it failed or is overdue. An answer that comes late still counts as proof. */
  async #ask(wait: number, over: AbortSignal): Promise<"ok" | "cancel" | "stale" | null> {
    const { store, node, clock } = this.#house;
    const sent = clock.monotonic();
    const held = { run_id: this.#lease.task.run_id, attempt: this.#lease.attempt };
    const signal = AbortSignal.any([over, this.#hurry.signal]);
    const answer = call(() => store.renew(node.id, [held], { ms: wait, signal })).then(
      ({ words: [word] }) => {
        if (word === "ok" || word === "cancel") this.#lastOk = Math.max(this.#lastOk, sent);
        return word ?? null;
      },
      (cause: unknown) => {
        if (!over.aborted) this.#unreached(cause);
        return null;
      },
    );
    const answered = new AbortController();
    const limit = Math.min(patience, this.#lease.fence_ms / 4);
    const overdue = clock.sleep(wait + limit, AbortSignal.any([over, answered.signal])).then(() => null);
    const word = await Promise.race([answer, overdue]);
    answered.abort();
    return word;
  }

  #fenceAt(outageSince: number): number {
    const { ttl_ms, fence_ms } = this.#lease;
    return Math.min(outageSince + fence_ms, this.#lastOk + (ttl_ms + fence_ms) / 2);
  }

  #unreached(cause: unknown): void {
    if (this.#outageSince === undefined)
      log.warn("lease not renewed", { run_id: this.#lease.task.run_id, attempt: this.#lease.attempt, cause });
  }

  #reached(): void {
    if (this.#outageSince === undefined) return;
    log.info("lease renewed again", { run_id: this.#lease.task.run_id, attempt: this.#lease.attempt });
    this.#outageSince = undefined;
    this.#reachedSince = this.#house.clock.monotonic();
  }

  /** After a sleep the lease may be gone: the store is asked at once. */
  async #watchForSleep(over: AbortSignal): Promise<void> {
    const { clock } = this.#house;
    const apart = () => clock.now() - clock.monotonic();
    let last = apart();
    while (!over.aborted) {
      await clock.sleep(1000, over);
      const now = apart();
      if (Math.abs(now - last) > sleptLongerThan) {
        log.warn("clock jumped", { ms: Math.round(now - last), run_id: this.#lease.task.run_id });
        this.#hurry.abort();
        this.#hurry = new AbortController();
      }
      last = now;
    }
  }
}

/** A store that throws before its first await is a store that was not reached, too. */
async function call(renew: () => Promise<Renewal>): Promise<Renewal> {
  return renew();
}
