/** Longer names are not compared: the cost is the product of the lengths. */
const LENGTH_MAX = 100;

/** The known name with the smallest Levenshtein distance; undefined when more than a third of the name would have to change. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  if (name.length > LENGTH_MAX) return undefined;
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(name.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(name, candidate);
    if (distance >= bestDistance) continue;
    best = candidate;
    bestDistance = distance;
  }
  return best;
}

/** Insertions, deletions and substitutions between two texts (Wagner–Fischer, one row). */
function editDistance(from: string, to: string): number {
  const row = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let i = 1; i <= from.length; i++) {
    let diagonal = row[0] ?? 0;
    row[0] = i;
    for (let j = 1; j <= to.length; j++) {
      const above = row[j] ?? 0;
      const substitution = diagonal + (from[i - 1] === to[j - 1] ? 0 : 1);
      row[j] = Math.min(substitution, above + 1, (row[j - 1] ?? 0) + 1);
      diagonal = above;
    }
  }
  return row[to.length] ?? 0;
}
