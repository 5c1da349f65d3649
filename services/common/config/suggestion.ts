/** The known name nearest to a mistyped one, or null when none is near. */
export function nearest(given: string, known: Iterable<string>): string | null {
  let best: string | null = null;
  let bestDistance = Math.max(2, Math.floor(given.length / 4)) + 1;
  for (const name of known) {
    const between = distance(given, name);
    if (between < bestDistance) {
      best = name;
      bestDistance = between;
    }
  }
  return best;
}

/** Levenshtein's distance. */
function distance(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_, column) => column);
  for (let line = 0; line < left.length; line++) {
    const next = [line + 1];
    for (let column = 0; column < right.length; column++) {
      const change = (row[column] ?? 0) + (left[line] === right[column] ? 0 : 1);
      next.push(Math.min(change, (row[column + 1] ?? 0) + 1, (next[column] ?? 0) + 1));
    }
    row = next;
  }
  return row[right.length] ?? 0;
}
