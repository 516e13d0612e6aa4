/** Folders for a list of files that is too long to look through. Pure. */

export interface Level<T> {
  folders: {
    /** Of all in it, with `/` at the end. */
    prefix: string;
    /** What it adds to the prefix of the level above, without the `/` at the end. */
    label: string;
    items: T[];
  }[];
  /** What is in no folder of this level. */
  items: T[];
}

/** So many are looked through without folders. */
const mostFlat = 30;

/**
 * One level below `prefix`, with which all paths begin: everything while it is not much, else folders by the first part
 * in which the paths differ. A folder never holds only one file.
 */
export function levelOf<T>(
  all: readonly T[],
  prefix: string,
  pathOf: (one: T) => string,
): Level<T> {
  if (all.length <= mostFlat) return { folders: [], items: [...all] };
  const shared = prefix + sharedFolders(all.map((one) => pathOf(one).slice(prefix.length)));
  const level: Level<T> = { folders: [], items: [] };
  const groups = Map.groupBy(all, (one) => {
    const rest = pathOf(one).slice(shared.length);
    return rest.slice(0, rest.indexOf('/') + 1);
  });
  for (const [folder, items] of groups) {
    if (folder === '' || items.length === 1) level.items.push(...items);
    else {
      const whole = shared + folder;
      level.folders.push({ prefix: whole, label: whole.slice(prefix.length, -1), items });
    }
  }
  return level;
}

/** The folders that all paths begin with, with `/` at the end. */
function sharedFolders(paths: readonly string[]): string {
  const [first = ''] = paths;
  let end = first.lastIndexOf('/') + 1;
  for (const path of paths) {
    while (!path.startsWith(first.slice(0, end))) end = first.lastIndexOf('/', end - 2) + 1;
  }
  return first.slice(0, end);
}
