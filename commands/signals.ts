/** Calls `first` at the first SIGTERM, SIGINT or SIGHUP (its terminal went away), and `second` at another one, or at a SIGQUIT. */
export function onSignals(first: () => void, second: () => void): void {
  let told = false;
  const gently = () => {
    if (told) return second();
    told = true;
    first();
  };
  process.on("SIGTERM", gently);
  process.on("SIGINT", gently);
  process.on("SIGHUP", gently);
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
