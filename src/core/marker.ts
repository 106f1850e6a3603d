const marker = /\bmeshmac:[0-9a-f]{16}\b/;

/** Makes the short text by which a comment of ours is known again: the same for every try of one post. */
export function markerOf(postKey: string): string {
  return `meshmac:${new Bun.CryptoHasher("sha256").update(postKey).digest("hex").slice(0, 16)}`;
}

/** Says whether a comment's text holds a marker of ours, whichever post it was for. */
export function hasMarker(text: string): boolean {
  return marker.test(text);
}
