import { MeshError } from "../core/error.ts";

/** Whether the store could be asked and does not want this record, now or ever; anything else says that the store is away. */
export const isRefusal = (error: unknown): boolean =>
  error instanceof MeshError && (error.kind === "data" || error.kind === "usage" || error.kind === "bug");

/** Says that a call took longer than the store has. */
export const tooLate = (): Error => new MeshError("unavailable", "the store did not answer in time");
