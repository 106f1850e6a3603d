import type { BucketOptions } from "./archive/s3.ts";
import type { Archive } from "./core/archive.ts";

/** Where the archive is: a folder, or a bucket. */
export interface ArchiveOptions {
  dir?: string | undefined;
  s3?: BucketOptions | undefined;
}

/** Opens the archive that is configured, if one is; reaches for it only when it is used. */
export async function openArchive({ dir, s3 }: ArchiveOptions = {}): Promise<Archive | undefined> {
  if (s3) return (await import("./archive/s3.ts")).openBucket(s3);
  if (dir !== undefined) return (await import("./archive/folder.ts")).openFolder(dir);
  return undefined;
}
