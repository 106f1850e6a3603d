/** Calls `first` at the first SIGTERM or SIGINT, and `second` at another one, or at a SIGQUIT. */
export function onSignals(first: () => void, second: () => void): void {
  let told = false;
  const gently = () => {
    if (told) return second();
    told = true;
    first();
  };
  process.on("SIGTERM", gently);
  process.on("SIGINT", gently);
  process.on("SIGQUIT", second);
}
