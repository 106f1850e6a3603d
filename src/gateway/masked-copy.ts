import { type FileHandle, open, rm } from "node:fs/promises";
import type { Masks } from "./masked-store.ts";

const pageSize = 1024 ** 2;
const newline = 10;

/**
 * Lends a log without any secret of ours to `use`: the file at `path` itself where there is none in it, else a copy beside
 * it that is removed afterwards.
 */
export async function withMasked<T>(path: string, mask: Masks["bytes"], use: (path: string) => Promise<T>): Promise<T> {
  const file = await open(path, "r");
  const copy = `${path}.masked`;
  try {
    if (await isClean(file, mask)) return await use(path);
    await rm(copy, { force: true });
    const target = await open(copy, "wx", 0o600);
    try {
      for await (const page of pagesOf(file)) await target.writeFile(mask(page));
    } finally {
      await target.close();
    }
    return await use(copy);
  } finally {
    await file.close();
    await rm(copy, { force: true });
  }
}

async function isClean(file: FileHandle, mask: Masks["bytes"]): Promise<boolean> {
  for await (const page of pagesOf(file)) if (Buffer.compare(mask(page), page) !== 0) return false;
  return true;
}

/** Whole lines, as a secret never spans two; a line that fills a page is cut. */
async function* pagesOf(file: FileHandle): AsyncGenerator<Uint8Array, void> {
  const buffer = new Uint8Array(pageSize);
  for (let at = 0; ;) {
    const { bytesRead } = await file.read(buffer, 0, pageSize, at);
    if (bytesRead === 0) return;
    const whole = bytesRead < pageSize ? bytesRead : buffer.lastIndexOf(newline) + 1 || bytesRead;
    yield buffer.subarray(0, whole);
    at += whole;
  }
}
