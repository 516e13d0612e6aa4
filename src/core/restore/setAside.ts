/** The old databases that restores have kept. Nothing removes them but the person, name by name. */
import { lstatSync, readdirSync, statSync, unlinkSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { BackupError, explain } from '../errors.ts';
import { resolveRegularFile } from '../files/paths.ts';
import { syncFolder } from '../files/sync.ts';
import { parseSetAsideName } from '../manifest/names.ts';
import { listIntents, parts, readIntent, setAsidePath } from './intent.ts';
import { statesOf } from './swap.ts';
import { requireFree, resolveTarget } from './target.ts';

export interface SetAside {
  /** The database file. */
  path: string;
  /** The live path that it came from. */
  target: string;
  /** ISO 8601. */
  createdAt: string;
  /** With siblings. */
  sizeBytes: number;
  /** `-wal`, `-shm`, `-journal`, as far as they are there. */
  siblings: string[];
}

/** The set-asides in a folder, or those of one database, newest first. */
export function listSetAsides(folderOrTarget: string): SetAside[] {
  const given = resolve(folderOrTarget);
  const isFolder = statSync(given, { throwIfNoEntry: false })?.isDirectory() === true;
  const target = isFolder ? undefined : resolveTarget(given).realTarget;
  const folder = target === undefined ? given : dirname(target);
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    throw explain(error, 'source', folder);
  }
  return names
    .flatMap((name) => describe(folder, name))
    .filter((one) => target === undefined || one.target === target)
    .sort((a, b) => b.createdAt.localeCompare(a.createdAt) || b.path.localeCompare(a.path, 'en'));
}

function describe(folder: string, name: string): SetAside[] {
  const parsed = parseSetAsideName(name);
  const path = join(folder, name);
  if (parsed === undefined || lstatSync(path, { throwIfNoEntry: false })?.isFile() !== true)
    return [];
  const files = statesOf(path);
  return [
    {
      path,
      target: join(folder, parsed.target),
      createdAt: parsed.createdAt,
      sizeBytes: files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      siblings: files.flatMap(({ part }) => (part === '' ? [] : [part])),
    },
  ];
}

/** Removes a set-aside with its siblings. Refused while it is open, or while an interrupted restore needs it. */
export function deleteSetAside(given: string): { removed: string[] } {
  const path = requireSetAside(given);
  requireFree([path], { probe: false });
  const removed: string[] = [];
  try {
    for (const part of parts) {
      if (lstatSync(path + part, { throwIfNoEntry: false }) === undefined) continue;
      unlinkSync(path + part);
      removed.push(path + part);
    }
    syncFolder(dirname(path));
    return { removed };
  } catch (error) {
    throw explain(error, 'target', path);
  }
}

/** The real path of a set-aside that no interrupted restore needs. */
export function requireSetAside(given: string): string {
  const path = resolveRegularFile(given);
  if (parseSetAsideName(basename(path)) === undefined) {
    throw new BackupError('bad-name', `${path} is not called as a restore calls what it keeps.`, {
      path,
      hint: 'Name the file `….bad-<time>Z` that the restore has kept.',
    });
  }
  const isNeeded = listIntents(dirname(path)).some((intent) =>
    readIntent(intent).items.some(
      (item) => setAsidePath(item) === path || join(item.folder, item.from ?? '') === path,
    ),
  );
  if (!isNeeded) return path;
  throw new BackupError('target-in-use', `${path} is needed by a restore that is not finished.`, {
    path,
    hint: `Finish it or roll it back first: sqlite-backup restore --recover ${JSON.stringify(dirname(path))}`,
  });
}
