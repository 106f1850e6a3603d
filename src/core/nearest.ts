/** Returns the candidate that was probably meant by `word`, or undefined where none is near. Case does not count. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  const meant = word.toLowerCase();
  let best: { name: string; far: number } | undefined;
  for (const name of candidates) {
    const near = Math.max(1, Math.floor(Math.max(meant.length, name.length) / 3));
    if (Math.abs(meant.length - name.length) > near) continue;
    const far = distance(meant, name.toLowerCase());
    if (far <= near && (!best || far < best.far)) best = { name, far };
  }
  return best?.name;
}

/** Counts the letters to insert, delete, replace, or swap with a neighbour, to make `b` of `a` (optimal string alignment). */
function distance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  const cell = (i: number, j: number): number => rows[i]?.[j] ?? 0;
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    rows.push(row);
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let least = Math.min(cell(i - 1, j) + 1, cell(i, j - 1) + 1, cell(i - 1, j - 1) + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        least = Math.min(least, cell(i - 2, j - 2) + 1);
      row.push(least);
    }
  }
  return cell(a.length, b.length);
}
