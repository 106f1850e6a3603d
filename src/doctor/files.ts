import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

const longestFile = 2 ** 20;
const mostFiles = 2000;

/** Reads a file; null for what is no text, too large to be a script, or not ours to read. */
export function textOf(path: string): string | null {
  try {
    if (statSync(path).size > longestFile) return null;
    const text = readFileSync(path, "utf8");
    return text.includes("\0") ? null : text;
  } catch {
    return null;
  }
}

/** Lists the files of a folder and of those in it, but for hidden ones and packages that were fetched. */
export function filesUnder(dir: string): string[] {
  const files: string[] = [];
  const folders = [dir];
  for (let folder = folders.pop(); folder !== undefined && files.length < mostFiles; folder = folders.pop())
    for (const entry of entriesOf(folder)) {
      if (entry.name.startsWith(".") || entry.name === "node_modules") continue;
      const path = join(folder, entry.name);
      if (entry.isDirectory()) folders.push(path);
      else if (!entry.isFIFO() && !entry.isSocket()) files.push(path);
    }
  return files;
}

function entriesOf(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}
