import { z } from "zod";

/** One schema over every registered adapter, chosen by `kind`. Its output has what all adapters of the port share; an adapter reads its own keys. */
export function byKind<Shared>(
  adapters: { kind: string; options: z.ZodObject }[],
): z.ZodType<Shared & { kind: string }> {
  const options = adapters.map((adapter) => adapter.options);
  return z.discriminatedUnion("kind", options as unknown as [z.ZodObject]) as unknown as z.ZodType<
    Shared & { kind: string }
  >;
}
