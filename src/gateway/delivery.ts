import type { Door } from "./door.ts";

/** One request at a door, with what the gateway adds to it. */
export interface Delivery {
  door: Door;
  request: Request;
  ip: string;
  correlation_id: string;
  seen_at: number;
  /** Verified, read, decided and answered like any other, and kept nowhere. */
  canary: boolean;
}
