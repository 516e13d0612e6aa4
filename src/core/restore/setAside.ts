/** The old databases that restores have kept. Nothing removes them but the person, name by name. */
import { lstatSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { BackupError, explain } from '../errors.ts';
import { resolveRegularFile } from '../files/paths.ts';
import { parseSetAsideName } from '../manifest/names.ts';
import { whileClaimed } from './claim.ts';
import { type Intent, listIntents, livePath, readIntentHere, setAsidePath } from './intent.ts';
import { statesOf } from './parts.ts';
import { hasRecord } from './record.ts';
import { removalOf, removeSetAside, settleRemovals } from './removal.ts';
import { stateOf } from './states.ts';
import { resolveTarget } from './target.ts';

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
  /** A restore of this version has kept it. Anything else of such a name may be another program's file. */
  isRecorded: boolean;
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

function describe(folder: string, found: string): SetAside[] {
  const removal = removalOf(found);
  if (removal?.phase === 'removed') return [];
  // One whose removal was stopped comes back with the next work on it.
  const name = removal?.name ?? found;
  const parsed = parseSetAsideName(name);
  const [path, file] = [join(folder, name), join(folder, found)];
  if (parsed === undefined || lstatSync(file, { throwIfNoEntry: false })?.isFile() !== true)
    return [];
  const files = removal === undefined ? statesOf(path) : [...statesOf(file), ...statesOf(path)];
  return [
    {
      path,
      target: join(folder, parsed.target),
      createdAt: parsed.createdAt,
      sizeBytes: files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      siblings: files.flatMap(({ part }) => (part === '' ? [] : [part])),
      isRecorded: hasRecord(path),
    },
  ];
}

/** Removes a set-aside with its siblings. Refused while it is open, or while an interrupted restore needs it. */
export function deleteSetAside(given: string): Promise<{ removed: string[] }> {
  return whileSetAsideClaimed(given, (path) => removeSetAside(path));
}

/** Runs `action` as the only one at work on the database that the set-aside belongs to. */
export async function whileSetAsideClaimed<T>(
  given: string,
  action: (path: string) => T | Promise<T>,
): Promise<T> {
  const live = liveOfSetAside(realSetAside(given));
  return whileClaimed([live], () => {
    settleRemovals(live);
    return action(requireSetAside(resolveRegularFile(given)));
  });
}

/** The real path of a set-aside, of which the removal may have been stopped in the middle. */
export function realSetAside(given: string): string {
  const path = resolve(given);
  const stopped = removals(dirname(path)).some(({ name }) => name === basename(path));
  return stopped ? join(realpathSync(dirname(path)), basename(path)) : resolveRegularFile(given);
}

function removals(folder: string): { name: string; phase: 'removing' | 'removed' }[] {
  try {
    return readdirSync(folder).flatMap((name) => removalOf(name) ?? []);
  } catch {
    return []; // What cannot be listed is told of by the look at the file itself.
  }
}

/** The live path that a set-aside came from. */
export function liveOfSetAside(path: string): string {
  const parsed = parseSetAsideName(basename(path));
  if (parsed !== undefined) return join(dirname(path), parsed.target);
  throw new BackupError('bad-name', `${path} is not a previous database that a restore has kept.`, {
    path,
    hint: 'Name the file `….bad-<time>Z` that the restore has kept.',
  });
}

/** The path of a set-aside that no interrupted restore needs. */
function requireSetAside(path: string): string {
  const isNeeded = unfinished(dirname(path)).some(({ items }) =>
    items.some(
      (item) => setAsidePath(item) === path || join(item.folder, item.from ?? '') === path,
    ),
  );
  if (!isNeeded) return path;
  throw new BackupError('target-in-use', `${path} is needed by a restore that is not finished.`, {
    path,
    hint: `Finish it or roll it back first: sqlite-backup restore --recover ${JSON.stringify(dirname(path))}`,
  });
}

/** Refuses a database that an earlier restore has left half-way: two of them would keep parts of each other. */
export function requireSettled(live: string): void {
  const folder = dirname(live);
  for (const { id, items } of unfinished(folder)) {
    for (const item of items) {
      if (livePath(item) !== live) continue;
      const { position, isUsed, lacks } = stateOf(id, item);
      const isWholeOld = position === 'old' && (isUsed || lacks.length === 0);
      if (isWholeOld || position === 'other') continue;
      throw new BackupError('target-in-use', `An earlier restore of ${live} stopped half-way.`, {
        path: live,
        hint: `Finish it or roll it back first: sqlite-backup restore --recover ${JSON.stringify(folder)}`,
        facts: { reason: 'unfinished' },
      });
    }
  }
}

/** The restores of a folder that are not finished. What is no valid intent is about nothing. */
function unfinished(folder: string): Intent[] {
  return listIntents(folder).flatMap((path) => readIntentHere(path) ?? []);
}
