export type Body = { bytes: Uint8Array } | { fault: "too large" | "cut off" };

/** Says whether a request announces a body over `limit` bytes. */
export function announcesMoreThan(limit: number, headers: Headers): boolean {
  const length = headers.get("content-length");
  return length !== null && Number(length) > limit;
}

/** Reads a body of at most `limit` bytes and stops at the first byte over it, whatever the sender announced. */
export async function readBody(request: Request, limit: number): Promise<Body> {
  try {
    // The server hands over no more than was announced, and that was checked; a chunked body must be counted as it comes.
    if (request.headers.get("content-length") !== null) return { bytes: await request.bytes() };
    return await countedBody(request.body, limit);
  } catch {
    return { fault: "cut off" };
  }
}

async function countedBody(stream: ReadableStream<Uint8Array> | null, limit: number): Promise<Body> {
  if (!stream) return { bytes: new Uint8Array() };
  const chunks: Uint8Array[] = [];
  let length = 0;
  // Leaving the loop cancels the stream.
  for await (const chunk of stream) {
    length += chunk.length;
    if (length > limit) return { fault: "too large" };
    chunks.push(chunk);
  }
  return { bytes: Buffer.concat(chunks) };
}
