import { z } from "zod";

/** Says whether a schema is to know this kind. */
export type Kinds = (kind: string) => boolean;

export const everyKind: Kinds = () => true;

/** Says which kinds a configuration names, right or wrong, as it stands in the file. */
export function kindsIn(said: (section: string) => Record<string, unknown>): Kinds {
  const entries = ["sources", "chats", "pagers"].flatMap((section) => Object.values(said(section)));
  const named = new Set(
    entries.map((entry) => (typeof entry === "object" && entry ? Reflect.get(entry, "kind") : null)),
  );
  return (kind) => named.has(kind);
}

/**
 * One schema over the adapters of these kinds, chosen by `kind`; the options of the others are not even made. Its output has what
 * all adapters of the port share; an adapter reads its own keys.
 */
export function byKind<Shared>(
  adapters: { kind: string; options: z.ZodObject }[],
  kinds: Kinds,
): z.ZodType<Shared & { kind: string }> {
  const options = adapters.filter(({ kind }) => kinds(kind)).map((adapter) => adapter.options);
  return z.discriminatedUnion("kind", options as unknown as [z.ZodObject]) as unknown as z.ZodType<
    Shared & { kind: string }
  >;
}
