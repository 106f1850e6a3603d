import { z } from "zod";
import { duration } from "../core/units.ts";
import type { Verify } from "../core/verify.ts";
import { bearer, github, gitlab, inHeader, linear, standardWebhooks } from "../core/verify-presets.ts";

const header = z
  .string()
  .regex(/^[A-Za-z0-9-]{1,64}$/, { error: "expected a header name of letters, digits and hyphens" });

const hmac = () =>
  z
    .strictObject({
      scheme: z.literal("hmac"),
      header,
      prefix: z.string().max(64).default(""),
      encoding: z.enum(["hex", "base64"]).default("hex"),
      signed: z.string().max(200).default("{body}"),
      id: header.optional(),
      timestamp: header.optional(),
      tolerance: duration.optional(),
      key: z.enum(["text", "base64"]).default("text"),
    })
    .refine(({ signed }) => signed.split("{body}").length === 2, {
      error: "expected {body} once, such as {id}.{timestamp}.{body}",
      path: ["signed"],
    })
    .refine(({ signed, id }) => !signed.includes("{id}") || id !== undefined, {
      error: "name the header of {id}",
      path: ["id"],
    })
    // A timestamp that is not signed says nothing: whoever replays a delivery writes a new one.
    .refine(({ signed, timestamp }) => signed.includes("{timestamp}") === (timestamp !== undefined), {
      error: "name the header of {timestamp}, which has to be in `signed`",
      path: ["timestamp"],
    })
    .refine(({ timestamp, tolerance }) => tolerance === undefined || timestamp !== undefined, {
      error: "needs a signed timestamp",
      path: ["tolerance"],
    });

const token = () =>
  z.strictObject({
    scheme: z.literal("token"),
    header,
    prefix: z.string().max(64).default(""),
    id: header.optional(),
  });

/** How a `webhook` door is opened: the name of a way that is known, or one described. */
export const webhookVerify = () =>
  z.union([
    z.enum(["token", "bearer", "standard-webhooks", "github", "gitlab", "linear"]),
    z.discriminatedUnion("scheme", [token(), hmac()]),
  ]);

interface Opening {
  verify?: z.output<ReturnType<typeof webhookVerify>> | undefined;
  header?: string | undefined;
}

const usualHeader = "X-Meshmac-Token";
const presets = { bearer, "standard-webhooks": standardWebhooks, github, gitlab, linear };

/** What an entry's `verify` and `header` mean: a Bearer token where neither is said, a plain one in `header` where that is. */
export function verifyOf({ verify = "bearer", header: named }: Opening): Verify {
  if (verify === "token" || (verify === "bearer" && named !== undefined)) return inHeader(named ?? usualHeader);
  if (typeof verify === "string") return presets[verify];
  const { header: at, prefix, id } = verify;
  const ids = [...(id === undefined ? [] : [id]), "Idempotency-Key"];
  if (verify.scheme === "token") return { token: { header: at, prefix }, ids };
  const { encoding, signed, timestamp, tolerance, key } = verify;
  return {
    signature: {
      header: at,
      prefix,
      encoding,
      signed,
      key,
      ...(id !== undefined && signed.includes("{id}") && { id }),
      ...(timestamp !== undefined && { timestamp: { header: timestamp, tolerance_ms: tolerance ?? null } }),
    },
    ids,
  };
}
