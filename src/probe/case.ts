/** What is sent to a door, described. */
export interface Knock {
  method: string;
  url: string;
  headers: Record<string, string>;
  body: string | null;
}

/** What a door has to answer; an outcome is the answer's `status`, or `refused` beside an error. */
export interface Expected {
  status: readonly number[];
  outcome?: readonly string[];
  /** The answer's `reason` or `error`, letter for letter; any where unsaid. */
  reason?: string | null;
  /** The server below the gateway may answer by itself, or hang up: it is no delivery that comes to a door. */
  early?: true;
}

/** What came back. `ours` says that the answer carries our correlation id, so that it is no edge's. */
export interface Got {
  status: number | null;
  outcome: string | null;
  reason: string | null;
  correlation_id: string | null;
  ours: boolean;
  /** Why no answer came. */
  fault: string | null;
}

/** One question to one door and the answer that it has to give. */
export interface Case {
  suite: "smoke" | "security" | "recorded";
  source: string;
  name: string;
  ask: (send: Send) => Promise<Got>;
  expected: Expected;
}

export type Send = (knock: Knock) => Promise<Got>;

export interface Result {
  suite: Case["suite"];
  source: string;
  name: string;
  ok: boolean;
  expected: Expected;
  got: Got;
  /** What to look at where the answer differs. */
  look: string | null;
  ms: number;
}

export const nothing: Got = {
  status: null,
  outcome: null,
  reason: null,
  correlation_id: null,
  ours: false,
  fault: null,
};

/** The fault of a connection that the other side closed without an answer. */
export const hungUp = "hung up without an answer";
