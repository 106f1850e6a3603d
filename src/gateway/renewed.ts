export interface Renewed<Given> {
  /** Goes on with this: started anew where what it is made of has changed, else left alone. */
  use(given: Given): void;
  /** Resolves when it, and what it was before, has come to its end. */
  stop(): Promise<void>;
}

/** Starts something that lasts, and again whenever the part of what it is given that `made` names has changed. */
export function renewed<Given>(
  first: Given,
  made: (given: Given) => unknown,
  start: (given: Given) => { stop(): Promise<void> },
): Renewed<Given> {
  let gist = JSON.stringify(made(first));
  let running = start(first);
  let before: Promise<unknown> = Promise.resolve();
  return {
    use(given) {
      const next = JSON.stringify(made(given));
      if (next === gist) return;
      gist = next;
      before = Promise.all([before, running.stop()]);
      running = start(given);
    },
    stop: async () => void (await Promise.all([before, running.stop()])),
  };
}
