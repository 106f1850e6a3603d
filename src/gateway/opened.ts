/** Opens what has several parts, each of which says how it is closed; where that throws, closes them all, the last first. */
export async function openedWhole<T>(open: (opened: Opened) => Promise<T>): Promise<T> {
  const closes: (() => unknown)[] = [];
  try {
    return await open((close) => void closes.push(close));
  } catch (fault) {
    for (const close of closes.toReversed()) await close();
    throw fault;
  }
}

/** Hears how a part is closed that was just opened. */
export type Opened = (close: () => unknown) => void;
