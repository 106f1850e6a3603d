import { createHash, createHmac, timingSafeEqual } from "node:crypto";

// A bucket as S3 keeps one, as far as logs need it; what is not signed as AWS Signature Version 4 says is refused:
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html

export interface BucketOptions {
  bucket?: string;
  region?: string;
  access_key_id?: string;
  secret?: string;
}

export interface FakeBucket extends Disposable {
  readonly url: string;
  /** What was put, by key. */
  readonly objects: Map<string, Uint8Array>;
  /** Method and path of everything that was asked, in order. */
  readonly asked: string[];
  /** What was wrong with a request, in order; a test expects none. */
  readonly faults: string[];
  /** Answers the next `count` requests with this status. */
  fail(count: number, status: number): void;
  /** While true nothing is answered. */
  hang: boolean;
}

/** Opens a bucket on a free port. */
export function openBucket({
  bucket = "acme-logs",
  region = "eu-central-1",
  access_key_id = "AKIAEXAMPLE",
  secret = "fake-secret-access-key-0123456789",
}: BucketOptions = {}): FakeBucket {
  const objects = new Map<string, Uint8Array>();
  const uploads = new Map<string, Uint8Array[]>();
  const asked: string[] = [];
  const faults: string[] = [];
  let failures = { count: 0, status: 500 };
  const held: ((answer: Response) => void)[] = [];

  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const url = new URL(request.url);
      const bytes = await request.bytes();
      asked.push(`${request.method} ${url.pathname}${url.search}`);
      if (fake.hang) return await new Promise<Response>((release) => held.push(release));
      if (failures.count > 0) {
        failures.count--;
        return refusal(failures.status, "SlowDown", `come again ${secret}`);
      }
      const fault = signatureFault(request, url, { region, access_key_id, secret });
      if (fault) {
        faults.push(fault);
        return refusal(403, "SignatureDoesNotMatch", `The request signature ${request.headers.get("authorization")} …`);
      }
      const key = decodeURIComponent(url.pathname).replace(`/${bucket}/`, "");
      if (!url.pathname.startsWith(`/${bucket}/`) || key === "") return refusal(404, "NoSuchBucket", "no such bucket");
      return answer(request, url, key, bytes);
    },
  });

  function answer(request: Request, url: URL, key: string, bytes: Uint8Array): Response {
    const query = url.searchParams;
    const upload = query.get("uploadId") ?? "";
    const parts = uploads.get(upload);
    if (request.method === "POST" && query.has("uploads")) {
      const id = crypto.randomUUID();
      uploads.set(id, []);
      return xml(`<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`);
    }
    if (upload !== "" && !parts) return refusal(404, "NoSuchUpload", "no such upload");
    if (request.method === "PUT" && parts) {
      parts[Number(query.get("partNumber")) - 1] = bytes;
      return new Response(null, { headers: { ETag: etag(bytes) } });
    }
    if (request.method === "POST" && parts) {
      if (parts.slice(0, -1).some((part) => !part || part.length < 5 * 1024 ** 2))
        return refusal(400, "EntityTooSmall", "a part is too small");
      objects.set(key, Buffer.concat(parts));
      uploads.delete(upload);
      return xml(`<CompleteMultipartUploadResult><ETag>${etag(bytes)}</ETag></CompleteMultipartUploadResult>`);
    }
    if (request.method === "DELETE" && upload !== "") {
      uploads.delete(upload);
      return new Response(null, { status: 204 });
    }
    if (request.method === "PUT") {
      objects.set(key, bytes);
      return new Response(null, { headers: { ETag: etag(bytes) } });
    }
    const object = objects.get(key);
    if (!object) return request.method === "HEAD" ? new Response(null, { status: 404 }) : refusal(404, "NoSuchKey", "");
    if (request.method === "HEAD")
      return new Response(null, { headers: { "Content-Length": String(object.length), ETag: etag(object) } });
    if (request.method === "GET") return slice(object, request.headers.get("range"));
    faults.push(`${request.method} is not for this key`);
    return refusal(405, "MethodNotAllowed", "");
  }

  const fake: FakeBucket = {
    url: `http://127.0.0.1:${server.port}`,
    objects,
    asked,
    faults,
    hang: false,
    fail: (count, status) => {
      failures = { count, status };
    },
    [Symbol.dispose]() {
      for (const release of held) release(new Response(null, { status: 500 }));
      void server.stop(true);
    },
  };
  return fake;
}

function slice(object: Uint8Array, range: string | null): Response {
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(range ?? "") ?? [];
  if (from === undefined) return new Response(Buffer.from(object));
  if (Number(from) >= object.length) return refusal(416, "InvalidRange", "");
  const part = object.subarray(Number(from), Number(to) + 1);
  const last = Number(from) + part.length - 1;
  const headers = { "Content-Range": `bytes ${from}-${last}/${object.length}` };
  return new Response(Buffer.from(part), { status: 206, headers });
}

const etag = (bytes: Uint8Array): string => `"${createHash("md5").update(bytes).digest("hex")}"`;
const xml = (body: string): Response => new Response(`<?xml version="1.0"?>${body}`);
const refusal = (status: number, code: string, message: string): Response =>
  new Response(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`, { status });

const encode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);
const hmac = (key: string | Buffer, text: string): Buffer => createHmac("sha256", key).update(text).digest();
const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

const shape =
  /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, ?SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})$/;

/** What is wrong with a request's signature, or null: it is computed anew and compared. */
function signatureFault(
  request: Request,
  url: URL,
  { region, access_key_id, secret }: Required<Omit<BucketOptions, "bucket">>,
): string | null {
  const found = shape.exec(request.headers.get("authorization") ?? "");
  const [, id = "", day = "", where = "", signed = "", signature = ""] = found ?? [];
  if (!found) return "no signature";
  const date = request.headers.get("x-amz-date") ?? "";
  if (id !== access_key_id) return "another key";
  if (where !== region) return `signed for ${where}`;
  if (!/^\d{8}T\d{6}Z$/.test(date) || !date.startsWith(day)) return "signed at no time";
  const names = signed.split(";");
  for (const name of ["host", "x-amz-content-sha256", "x-amz-date"])
    if (!names.includes(name)) return `${name} unsigned`;
  const headers = names.map((name) => `${name}:${(request.headers.get(name) ?? "").trim()}\n`).join("");
  const query = [...url.searchParams]
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .toSorted()
    .join("&");
  const payload = request.headers.get("x-amz-content-sha256") ?? "";
  const canonical = [request.method, url.pathname, query, headers, signed, payload].join("\n");
  const scope = `${day}/${region}/s3/aws4_request`;
  const key = [day, region, "s3", "aws4_request"].reduce<Buffer>(
    (last, part) => hmac(last, part),
    Buffer.from(`AWS4${secret}`),
  );
  const wanted = hmac(key, `AWS4-HMAC-SHA256\n${date}\n${scope}\n${sha256(canonical)}`);
  return timingSafeEqual(wanted, Buffer.from(signature, "hex")) ? null : "wrong signature";
}
