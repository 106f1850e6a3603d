import { stripVTControlCharacters } from "node:util";

const unprintable = /[\u0000-\u001F\u007F-\u009F\u202A-\u202E\u2066-\u2069]/g;

/** Makes untrusted text safe for a terminal: one line, nothing that moves the cursor or reorders text. */
export const plain = (text: string): string => stripVTControlCharacters(text).replace(unprintable, " ");

/** Lays rows out in columns; cells are made safe for the terminal and, but for those of the last column, cut at 60 characters. */
export function table(head: string[], rows: string[][]): string {
  const cells = [head, ...rows].map((row) =>
    row.map((cell, i) => (i < head.length - 1 ? cut(plain(cell)) : plain(cell))),
  );
  const widths = head.map((_, i) => Math.max(...cells.map((row) => Bun.stringWidth(row[i] ?? ""))));
  return cells
    .map((row) =>
      row
        .map((cell, i) => cell + " ".repeat((widths[i] ?? 0) - Bun.stringWidth(cell)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

const cut = (text: string): string => (text.length > 60 ? `${[...text].slice(0, 59).join("")}…` : text);

/** A moment as `2026-11-20 14:03:07`, in the machine's own time zone. */
export function when(at: number): string {
  const d = new Date(at);
  const day = `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`;
  return `${day} ${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

const two = (n: number): string => String(n).padStart(2, "0");
