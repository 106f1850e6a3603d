/** Exit status per kind of failure (sysexits); 70 is our bug. */
export const exitStatus = {
  differs: 1,
  usage: 64,
  data: 65,
  unavailable: 69,
  bug: 70,
  later: 75,
  permission: 77,
  config: 78,
} as const;

export type ErrorKind = keyof typeof exitStatus;

/** The one error of the house: what happened and where, then what to do next. Never holds a secret or a whole URL. */
export class MeshError extends Error {
  readonly kind: ErrorKind;
  readonly hint: string | undefined;

  constructor(kind: ErrorKind, message: string, { hint, cause }: { hint?: string; cause?: unknown } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "MeshError";
    this.kind = kind;
    this.hint = hint;
  }

  get status(): number {
    return exitStatus[this.kind];
  }
}
