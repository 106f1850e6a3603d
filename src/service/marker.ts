import { createHash } from "node:crypto";

const digestOf = (body: string): string => createHash("sha256").update(body).digest("hex").slice(0, 32);
const marker = /^(?:<!--|#) written by meshmac service, ([0-9a-f]{32})(?: -->)?\n/m;

export const unsigned = "%marker%";

/** Replaces the line `unsigned` of a file by one that says who wrote it, with a digest of the rest. */
export function signed(text: string, comment: (words: string) => string): string {
  const body = text.replace(`${unsigned}\n`, "");
  return text.replace(unsigned, comment(`written by meshmac service, ${digestOf(body)}`));
}

/** Says whether a file is as we wrote it, was edited since, or is somebody else's. */
export function whose(text: string): "ours" | "edited" | "foreign" {
  const found = marker.exec(text);
  if (!found) return "foreign";
  return digestOf(text.replace(found[0], "")) === found[1] ? "ours" : "edited";
}
