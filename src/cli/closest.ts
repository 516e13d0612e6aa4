/** The name that a typing error most likely meant; undefined when none is near. */
export function closest(typed: string, names: readonly string[]): string | undefined {
  const plain = typed.toLowerCase().slice(0, 40);
  const [best] = names
    .map((name) => ({ name, distance: name.startsWith(plain) ? 0.5 : edits(plain, name) }))
    .sort((a, b) => a.distance - b.distance);
  return best !== undefined && best.distance <= Math.max(1, Math.floor(best.name.length / 3))
    ? best.name
    : undefined;
}

/** How many letters have to be added, removed or replaced (Levenshtein). */
function edits(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (const [index, letter] of [...from].entries()) {
    const next = [index + 1];
    for (const [at, other] of [...to].entries()) {
      const replaced = (row[at] ?? 0) + (letter === other ? 0 : 1);
      next.push(Math.min(replaced, (row[at + 1] ?? 0) + 1, (next[at] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
