import { createInterface } from "node:readline/promises";

/** Asks one question after the other on the terminal; an empty answer takes what stands in brackets. */
export interface Questions {
  ask(question: string, usual: string, fault?: (answer: string) => string | null): Promise<string>;
  close(): void;
}

/** Opens the terminal for questions; they go to stderr, so that stdout holds answers alone. */
export function openQuestions(): Questions {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  return {
    async ask(question, usual, fault = () => null) {
      for (;;) {
        const answer = (await lines.question(`${question} [${usual}]: `)).trim() || usual;
        const why = fault(answer);
        if (why === null) return answer;
        process.stderr.write(`  ${why}\n`);
      }
    },
    close: () => lines.close(),
  };
}
