import { file, S3Client } from "bun";
import type { Archive } from "../core/archive.ts";
import { MeshError } from "../core/error.ts";
import type { Secret } from "../core/secret.ts";

export interface BucketOptions {
  endpoint: string;
  bucket: string;
  prefix?: string | undefined;
  region: string;
  access_key_id: string;
  secret_access_key: Secret;
}

// Up to 5 GiB in one request, which makes it whole or nothing, but a link that breaks begins anew: so in parts, of which S3
// wants at least 5 MiB: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
const partSize = 8 * 1024 * 1024;
const longestPut = 600_000;
const longestRead = 15_000;

/** Keeps logs in a bucket of S3 or of what speaks like it; of an error only its code leaves, for its text may quote the request. */
export function openBucket({ secret_access_key, ...options }: BucketOptions): Archive {
  const { endpoint, bucket, region, prefix, access_key_id } = options;
  // Made anew for each call, for the secret may have been rotated.
  const object = (name: string) =>
    new S3Client({
      endpoint,
      bucket,
      region,
      accessKeyId: access_key_id,
      secretAccessKey: secret_access_key.reveal().trim(),
    }).file(prefix === undefined ? name : `${prefix}/${name}`, { partSize, queueSize: 2, retry: 3 });

  return {
    async put(name, path) {
      const log = file(path);
      try {
        await within(longestPut, object(name).write(log, { type: "text/plain; charset=utf-8" }));
      } catch (cause) {
        throw failed("written", cause);
      }
    },

    async read(name, from, limit) {
      try {
        const { size } = await within(longestRead, object(name).stat());
        const to = Math.min(size, from + limit);
        if (from >= to) return { bytes: new Uint8Array(), size };
        return { bytes: await within(longestRead, object(name).slice(from, to).bytes()), size };
      } catch (cause) {
        if (/^(NoSuchKey|NotFound|UnknownError404)$/.test(codeOf(cause))) return null;
        throw failed("read", cause);
      }
    },
  };

  function failed(what: string, cause: unknown): MeshError {
    const code = codeOf(cause);
    const refused = /Denied|Forbidden|Signature|InvalidAccessKey|Credential|Token/i.test(code);
    const place = `bucket ${JSON.stringify(bucket)} at ${new URL(endpoint).host}`;
    return new MeshError(refused ? "permission" : "unavailable", `${place} could not be ${what} (${code})`, {
      hint: refused
        ? "look at logs.archive.s3: the key, its secret and what its policy allows"
        : "look at logs.archive.s3: endpoint, bucket and region; it is tried again",
    });
  }
}

// Bun's client waits for ever, and cannot be called back.
async function within<T>(ms: number, answer: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(Object.assign(new Error("no answer in time"), { code: "timeout" })), ms);
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

const codeOf = (cause: unknown): string => {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown";
  return /^\w{1,60}$/.test(code) ? code : "unknown";
};
