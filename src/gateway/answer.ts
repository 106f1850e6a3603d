import type { Json } from "../core/json.ts";

/** The header by which an answer of ours can be told from one that an edge or a proxy made up. */
export const correlationHeader = "X-Meshmac-Correlation-Id";

/** Answers JSON; every answer of the house carries its correlation id. */
export function answerJson(
  status: number,
  body: Json,
  correlation_id: string,
  more?: Record<string, string>,
): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: {
      "Content-Type": "application/json",
      "X-Content-Type-Options": "nosniff",
      "Cache-Control": "no-store",
      [correlationHeader]: correlation_id,
      ...more,
    },
  });
}

/** Answers a delivery that was understood, with no header beyond what a program needs: every delivery pays for each. */
export function answerSender(body: Json, correlation_id: string): Response {
  return new Response(JSON.stringify(body), {
    headers: { "Content-Type": "application/json", [correlationHeader]: correlation_id },
  });
}

/** Answers that something is wrong, what to do, and by which id to find it in the log. */
export function answerError(
  status: number,
  error: string,
  correlation_id: string,
  { hint, headers }: { hint?: string | undefined; headers?: Record<string, string> | undefined } = {},
): Response {
  return answerJson(status, { error, ...(hint !== undefined && { hint }), correlation_id }, correlation_id, headers);
}

/** Answers plain text that a browser shows and never runs. */
export function answerText(status: number, text: string | ReadableStream, correlation_id: string): Response {
  return new Response(text, {
    status,
    headers: {
      "Content-Type": "text/plain; charset=utf-8",
      "X-Content-Type-Options": "nosniff",
      "Cache-Control": "no-store",
      "Content-Security-Policy": "default-src 'none'; sandbox",
      "Referrer-Policy": "no-referrer",
      [correlationHeader]: correlation_id,
    },
  });
}

/** The path of a request's URL, undecoded and without its query. */
export function pathOf(url: string): string {
  const from = url.indexOf("/", 8);
  const query = url.indexOf("?", from);
  return query === -1 ? url.slice(from) : url.slice(from, query);
}
