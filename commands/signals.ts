import { isatty } from "node:tty";

/**
 * Calls `first` at the first SIGTERM, SIGINT or SIGHUP, and `second` at another one, or at a SIGQUIT. Where `again` is
 * given and no terminal is there that could have gone away, a SIGHUP calls that instead.
 */
export function onSignals(first: () => void, second: () => void, again?: () => void): void {
  let told = false;
  const gently = () => {
    if (told) return second();
    told = true;
    first();
  };
  process.on("SIGTERM", gently);
  process.on("SIGINT", gently);
  process.on("SIGHUP", again && !hasTerminal() ? again : gently);
  process.on("SIGQUIT", second);
}

const hasTerminal = (): boolean => isatty(0) || isatty(2);

/** Lets no SIGHUP end us while we start: whoever reloads a service right after its start gets what the start has read. */
export function outliveHangUp(): void {
  if (!hasTerminal()) process.on("SIGHUP", () => {});
}

const passedOn = ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const;

/** Tells `hear` of every signal that asks for something, until the function it answers is called; none of them ends us then. */
export function hearSignals(hear: (name: NodeJS.Signals) => void): () => void {
  for (const name of passedOn) process.on(name, hear);
  return () => {
    for (const name of passedOn) process.off(name, hear);
  };
}
