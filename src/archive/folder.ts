import { mkdir, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Archive } from "../core/archive.ts";
import { MeshError } from "../core/error.ts";

/** Keeps logs under `dir`, which may be shared by several gateways; each appears whole. */
export function openFolder(dir: string): Archive {
  return {
    async put(name, path) {
      const to = join(dir, name);
      const made = `${to}.${crypto.randomUUID()}.new`;
      try {
        await mkdir(dirname(to), { recursive: true, mode: 0o700 });
        await copy(path, made);
        await rename(made, to);
      } catch (cause) {
        await rm(made, { force: true }).catch(() => undefined);
        throw failed("written", cause);
      }
    },

    async read(name, from, limit) {
      try {
        const file = await open(join(dir, name), "r");
        try {
          const { size } = await file.stat();
          const bytes = new Uint8Array(Math.max(0, Math.min(limit, size - from)));
          const { bytesRead } = await file.read(bytes, 0, bytes.length, from);
          return { bytes: bytes.subarray(0, bytesRead), size };
        } finally {
          await file.close();
        }
      } catch (cause) {
        if (codeOf(cause) === "ENOENT") return null;
        throw failed("read", cause);
      }
    },
  };
}

async function copy(from: string, to: string): Promise<void> {
  const source = await open(from, "r");
  try {
    const target = await open(to, "wx", 0o600);
    try {
      const buffer = new Uint8Array(1024 ** 2);
      for (let at = 0; ;) {
        const { bytesRead } = await source.read(buffer, 0, buffer.length, at);
        if (bytesRead === 0) break;
        for (let done = 0; done < bytesRead;)
          done += (await target.write(buffer, done, bytesRead - done, at + done)).bytesWritten;
        at += bytesRead;
      }
      await target.sync();
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

const failed = (what: string, cause: unknown): MeshError =>
  new MeshError("unavailable", `the archive of logs could not be ${what} (${codeOf(cause)})`, {
    hint: "look at the folder logs.archive.dir: is it mounted, has it room, is it ours",
  });

const codeOf = (cause: unknown): string => (cause instanceof Error && "code" in cause ? String(cause.code) : "unknown");
