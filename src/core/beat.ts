/** How often a gateway says that it lives, in milliseconds. */
export const beatEvery = 10_000;

/** A gateway that missed three beats is taken for gone. Milliseconds. */
export const silentAfter = 3 * beatEvery;
