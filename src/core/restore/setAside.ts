/** The old databases that restores have kept. Nothing removes them but the person, name by name. */
import { existsSync, lstatSync, readdirSync, renameSync, statSync, unlinkSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { BackupError, explain, isBackupError } from '../errors.ts';
import { resolveRegularFile } from '../files/paths.ts';
import { syncFolder } from '../files/sync.ts';
import { makePrivateFolder } from '../files/workplace.ts';
import { findHolders } from '../holders/holders.ts';
import { parseSetAsideName } from '../manifest/names.ts';
import { whileClaimed } from './claim.ts';
import { type Intent, listIntents, livePath, readIntent, setAsidePath } from './intent.ts';
import { type FileState, parts, statesOf } from './parts.ts';
import { dropRecord, hasRecord } from './record.ts';
import { stateOf } from './states.ts';
import { inUse, requireFree, resolveTarget } from './target.ts';

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
  const path = resolveRegularFile(given);
  return whileClaimed([liveOfSetAside(path)], () => action(requireSetAside(path)));
}

/**
 * Removes a set-aside. Its file is taken away from its name first, so that no program can open it any more; when one has
 * done so until then, or `requireSame` throws for the files as they are, it comes back.
 */
export function removeSetAside(
  path: string,
  requireSame: (files: FileState[]) => void = () => undefined,
): { removed: string[] } {
  requireFree([path], { probe: false });
  const place = makePrivateFolder(dirname(path));
  const away = join(place.path, 'old.db');
  const removed: string[] = [];
  try {
    renameSync(path, away);
    try {
      requireLeft(away, path);
      requireSame([...statesOf(away), ...statesOf(path)]);
    } catch (error) {
      renameSync(away, path);
      throw error;
    }
    for (const part of parts) {
      const file = part === '' ? away : path + part;
      if (lstatSync(file, { throwIfNoEntry: false }) === undefined) continue;
      unlinkSync(file);
      removed.push(path + part);
    }
    dropRecord(path);
    syncFolder(dirname(path));
    return { removed };
  } catch (error) {
    throw explain(error, 'target', path);
  } finally {
    if (!existsSync(away)) place.remove();
  }
}

function requireLeft(away: string, path: string): void {
  const { holders } = findHolders([away]);
  if (holders.length === 0) return;
  const programs = holders.map(({ name, pid }) => `${name} (pid ${pid})`).join(', ');
  throw inUse(path, `${path} is open in ${programs}.`, { programs });
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

/** The restores of a folder that are not finished. An intent that cannot be read is about nothing. */
function unfinished(folder: string): Intent[] {
  return listIntents(folder).flatMap((path) => {
    try {
      return [readIntent(path)];
    } catch (error) {
      if (!isBackupError(error)) throw error;
      return [];
    }
  });
}
