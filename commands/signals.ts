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
  process.on("SIGHUP", again && !isatty(0) && !isatty(2) ? again : gently);
  process.on("SIGQUIT", second);
}

const passedOn = ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const;

/** Tells `hear` of every signal that asks for something, until the function it answers is called; none of them ends us then. */
export function hearSignals(hear: (name: NodeJS.Signals) => void): () => void {
  for (const name of passedOn) process.on(name, hear);
  return () => {
    for (const name of passedOn) process.off(name, hear);
  };
}
