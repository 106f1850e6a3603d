import { type FileHandle, open, rm } from "node:fs/promises";
import type { Masks } from "./masked-store.ts";

export type LogMasks = Pick<Masks, "bytes" | "reach">;

const pageSize = 1024 ** 2;

/**
 * Lends a log without any secret of ours to `use`: the file at `path` itself where there is none in it, else a copy beside
 * it that is removed afterwards.
 */
export async function withMasked<T>(path: string, masks: LogMasks, use: (path: string) => Promise<T>): Promise<T> {
  const file = await open(path, "r");
  const copy = `${path}.masked`;
  try {
    if (await isClean(file, masks)) return await use(path);
    await rm(copy, { force: true });
    const target = await open(copy, "wx", 0o600);
    try {
      for await (const { masked } of pagesOf(file, masks)) await target.writeFile(masked);
    } finally {
      await target.close();
    }
    return await use(copy);
  } finally {
    await file.close();
    await rm(copy, { force: true });
  }
}

async function isClean(file: FileHandle, masks: LogMasks): Promise<boolean> {
  for await (const { plain, masked } of pagesOf(file, masks)) if (Buffer.compare(masked, plain) !== 0) return false;
  return true;
}

/** Each page as it is and masked: read with what stands around it, as a secret may lie across its ends. */
async function* pagesOf(
  file: FileHandle,
  masks: LogMasks,
): AsyncGenerator<{ plain: Uint8Array; masked: Uint8Array }, void> {
  for (let at = 0; ;) {
    const reach = masks.reach();
    const before = Math.min(at, reach);
    const buffer = new Uint8Array(before + pageSize + reach);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, at - before);
    const end = Math.min(before + pageSize, bytesRead);
    if (end <= before) return;
    const around = buffer.subarray(0, bytesRead);
    yield { plain: around.subarray(before, end), masked: masks.bytes(around).subarray(before, end) };
    at += end - before;
  }
}
