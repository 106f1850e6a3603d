/** What one line of a segment holds: a record's text, the line (queue) it stands in, and when it was first seen (epoch ms). */
export interface Kept {
  line: string;
  at: number;
  text: string;
}

/** A record that was found whole, and where: `offset` and `length` are of its bytes in the segment, without the line's end. */
export interface Found extends Omit<Kept, "text"> {
  offset: number;
  length: number;
}

const newline = 10;
const hex = (number: number): string => number.toString(16).padStart(8, "0");

/** Writes a record as a line of its own: length and CRC-32 of what follows them, in hexadecimal, then time, line and text. The text holds no newline. */
export function frame({ line, at, text }: Kept): Buffer {
  const payload = Buffer.from(`${at} ${line} ${text}`);
  return Buffer.concat([Buffer.from(`${hex(payload.length)} ${hex(Bun.hash.crc32(payload))} `), payload, lineEnd]);
}

const lineEnd = Buffer.from("\n");
const headLength = 18;

/** Reads one line back, given without its end; null where it is not whole, or not what was written. */
export function unframe(bytes: Buffer): Kept | null {
  const payload = bytes.subarray(headLength);
  const head = `${hex(payload.length)} ${hex(Bun.hash.crc32(payload))} `;
  if (payload.length === 0 || bytes.toString("latin1", 0, headLength) !== head) return null;
  const [, at, line, text] = /^(\d+) (\S+) (.*)$/s.exec(payload.toString()) ?? [];
  return at === undefined || line === undefined || text === undefined ? null : { at: Number(at), line, text };
}

/**
 * Finds every whole record of a segment. A crash leaves a torn last line, a bad disk a bad one in between: neither costs more
 * than itself. `damaged` counts bytes that are no whole record.
 */
export function scan(bytes: Buffer): { found: Found[]; damaged: number } {
  const found: Found[] = [];
  let damaged = 0;
  for (let offset = 0; offset < bytes.length;) {
    const end = bytes.indexOf(newline, offset);
    const kept = end === -1 ? null : unframe(bytes.subarray(offset, end));
    const next = end === -1 ? bytes.length : end + 1;
    if (kept) found.push({ line: kept.line, at: kept.at, offset, length: end - offset });
    else damaged += next - offset;
    offset = next;
  }
  return { found, damaged };
}
