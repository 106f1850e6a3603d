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
