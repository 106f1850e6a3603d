/** Bytes that are kept of one attempt's log where nobody said otherwise. */
export const usualLogLimit = 64 * 1024 * 1024;

/** The shortest limit: below it the line that tells of a cut would be most of what is left. */
export const shortestLogLimit = 64 * 1024;
export const longestLogLimit = 4 * 1024 ** 3;

const longestTail = 8 * 1024 * 1024;
const cutLine = 200;

/** Divides a limit: what is kept of the beginning, of the end, and the room for the line between them. */
export function logBounds(limit: number): { head: number; tail: number; line: number } {
  const tail = Math.min(Math.floor(limit / 4), longestTail);
  return { head: limit - tail - cutLine, tail, line: cutLine };
}

/** Says in one line that `bytes` bytes are missing here, and why. */
export const logCutLine = (bytes: number, why: string): string => `\n[${bytes} bytes left out here: ${why}]\n`;

/** How long after an attempt is over its node may still hand in the rest of its log. */
export const lateLogs_ms = 86_400_000;
