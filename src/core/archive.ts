/** Where logs go to stay: a folder or a bucket. A name is `<run>/<file>`; what is put there again replaces what was. */
export interface Archive {
  /** Copies the file at `path`, whole or not at all. Throws MeshError `unavailable`, or `permission`; the message holds no secret. */
  put(name: string, path: string): Promise<void>;
  /** Reads at most `limit` bytes from byte `from`, and says the whole size; null where there is no such name. */
  read(name: string, from: number, limit: number): Promise<{ bytes: Uint8Array; size: number } | null>;
}
