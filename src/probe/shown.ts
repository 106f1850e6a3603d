import type { Expected, Got } from "./case.ts";

/** Says in a few words what had to be answered. */
export function shownExpected({ status, outcome, reason }: Expected): string {
  const words = [status.join(" or "), ...(outcome ? [outcome.join(" or ")] : [])].join(" ");
  return reason == null ? words : `${words}: ${reason}`;
}

/** Says in a few words what was answered. */
export function shownGot({ status, outcome, reason, fault }: Got): string {
  if (status === null) return fault ?? "no answer";
  return `${[status, outcome].filter((word) => word !== null).join(" ")}${reason === null ? "" : `: ${reason}`}`;
}
