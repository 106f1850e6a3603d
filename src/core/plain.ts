// Escape sequences of terminals: CSI, OSC (ended by BEL or ST), and the short ones.
const escapes =
  /\u001B(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001B]*(?:\u0007|\u001B\\)?|[ -/]*[0-~])|\u009B[0-?]*[ -/]*[@-~]/g;
// C0, C1, line and paragraph separators, bidirectional overrides and isolates.
const controls = /[\u0000-\u001F\u007F-\u009F\u2028\u2029\u202A-\u202E\u2066-\u2069]+/g;

/** Returns a line without escape sequences, its control characters as one blank each run, and at most `limit` code points long. */
export function plainLine(line: string, limit: number): string {
  const plain = line.replace(escapes, "").replace(controls, " ").trimEnd().toWellFormed();
  if (plain.length <= limit) return plain;
  return Array.from(plain.slice(0, limit * 2))
    .slice(0, limit)
    .join("");
}
