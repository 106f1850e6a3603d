import { z } from "zod";

const perUnit = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const bytesPer = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;

/** Milliseconds beyond which a timer of JavaScript fires at once: 24.8 days. Who may have to wait longer waits so long, and looks again. */
export const longestTimer = 2 ** 31 - 1;

/** Parses `500ms 90s 5m 2h 30d` to milliseconds. */
export const duration = z
  .string({ error: "expected a duration like 500ms, 90s, 5m, 2h or 30d" })
  .regex(/^\d{1,9}(ms|s|m|h|d)$/, { error: "expected a duration like 500ms, 90s, 5m, 2h or 30d" })
  .transform((text) => {
    const unit = text.replace(/^\d+/, "") as keyof typeof perUnit;
    return Number.parseInt(text, 10) * perUnit[unit];
  });

/** Parses a duration that has to last: a limit of nothing would end everything as it begins. */
export const limit = duration.refine((ms) => ms > 0, { error: "expected more than nothing" });

/** Parses `256KiB` to bytes. */
export const size = z
  .string({ error: "expected a size like 256KiB or 64MiB" })
  .regex(/^\d{1,9}(B|KiB|MiB|GiB)$/, { error: "expected a size like 256KiB or 64MiB" })
  .transform((text) => {
    const unit = text.replace(/^\d+/, "") as keyof typeof bytesPer;
    return Number.parseInt(text, 10) * bytesPer[unit];
  });

/** A rate as the configuration writes it: `5/s`, `60/m`. */
export const rate = z.string().regex(/^\d{1,5}\/(s|m)$/, { error: "expected a rate like 5/s or 60/m" });

export interface Address {
  host: string;
  port: number;
}

/** Parses `host:port` (`[::1]:8787` for IPv6); port 0 takes a free one. */
export const address = z.string({ error: "expected host:port" }).transform((text, context): Address => {
  const found = /^(?:\[([0-9a-fA-F:]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(text);
  const port = Number(found?.[3]);
  if (!found || port > 65_535) {
    context.addIssue({ code: "custom", message: `expected host:port, got ${JSON.stringify(text)}` });
    return z.NEVER;
  }
  return { host: found[1] ?? found[2] ?? "", port };
});

export const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "::1" || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host);

/** Writes milliseconds as people say them: `850 ms`, `4.2 s`, `3 min 20 s`, `1 h 5 min`. */
export function humanDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}
