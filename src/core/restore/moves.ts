/*
 * The file operations of a restore, of which any may be the last. Each looks at what is on the disk, so all of them can be
 * run again after a stop: keepOld -> settle('new') -> dropFrom go forward, settle('old') -> dropSetAside go back. Nothing
 * is removed or replaced whose bytes are not under another name, and a file that a program turns out to have open comes
 * back under the live name at once.
 */
import { existsSync, lstatSync, renameSync, rmSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { BackupError, explain } from '../errors.ts';
import { linkWithoutOverwriting } from '../files/publish.ts';
import { syncFolder } from '../files/sync.ts';
import type { Finding } from '../manifest/manifest.ts';
import { type IntentItem, livePath, setAsidePath, stagedPath, stageFolder } from './intent.ts';
import {
  areSame,
  type FileState,
  hasContent,
  isEmptyClaim,
  isSame,
  isUnchanged,
  linkOrCopy,
  mainOf,
  parts,
  sizeOf,
  statesOf,
} from './parts.ts';
import { dropRecord, hasRecord, writeRecord } from './record.ts';
import { type Goal, keptBase, type Position, type Side, sideOf, stateOf } from './states.ts';

/** Makes the set-aside complete and durable. The live files stay as they are. */
export function keepOld(
  id: string,
  item: IntentItem,
  { isResumed = false }: { isResumed?: boolean } = {},
): void {
  const kept = setAsidePath(item);
  if (kept === undefined) return;
  const live = livePath(item);
  try {
    for (const was of item.old) {
      const { part } = was;
      if (isEmptyClaim(kept + part, was)) unlinkSync(kept + part);
      if (!existsSync(kept + part)) {
        // A roll-back without hard links does not put it back, and SQLite makes a new one.
        if (isResumed && part === '-shm' && !existsSync(live + part)) continue;
        if (!existsSync(live + part)) throw part === '' ? lostFile(live) : changedMeanwhile(live);
        linkOrCopy(live + part, kept + part, stageFolder(id, item));
      } else if (!isResumed && existsSync(live + part) && !isSame(live + part, kept + part)) {
        throw isUnchanged(live + part, was) ? nameTaken(kept + part) : changedMeanwhile(live);
      }
    }
    syncFolder(item.folder);
  } catch (error) {
    throw explain(error, 'target', kept);
  }
}

/** Makes the set-aside that an undo was to put back complete again: its end had begun to remove it. */
export function keepFrom(id: string, item: IntentItem): void {
  if (item.from === undefined) return;
  const [from, staged] = [join(item.folder, item.from), stagedPath(id, item)];
  for (const was of item.staged ?? []) {
    const { part } = was;
    if (isEmptyClaim(from + part, was)) unlinkSync(from + part);
    if (!existsSync(from + part)) linkOrCopy(staged + part, from + part, stageFolder(id, item));
  }
  if (!hasRecord(from))
    writeRecord(from, item.staged ?? [], stageFolder(id, item), { isHeld: false });
  syncFolder(item.folder);
}

/** Insists that the live files are what the intent says, so that the set-aside is the whole of them. */
export function requireAsItWas(item: IntentItem, { isHeld }: { isHeld: boolean }): void {
  const live = livePath(item);
  // A program that only reads changes the -shm, and leaves an empty -wal.
  const counts = (file: FileState): boolean => file.part === '' || hasContent(file);
  const describe = (files: readonly FileState[]): string =>
    JSON.stringify(
      files.filter(counts).map(({ part, identity, sizeBytes, mtimeNs }) => [
        part,
        item.byContent === true ? '' : identity,
        // A program writes on, as the person has decided. A link follows what it writes.
        ...(isHeld ? [] : [sizeBytes, mtimeNs]),
      ]),
    );
  if (describe(statesOf(live)) !== describe(item.old)) throw changedMeanwhile(live);
}

function lostFile(path: string): BackupError {
  return new BackupError(
    'source-missing',
    `${path} no longer exists. This restore did not move it.`,
    {
      path,
      hint: 'Bring it back first. Nothing was replaced.',
    },
  );
}

function nameTaken(path: string): BackupError {
  return new BackupError('name-taken', `${path} already exists and is another file.`, {
    path,
    hint: 'Move it away and try again: nothing is overwritten.',
  });
}

export function changedMeanwhile(path: string): BackupError {
  return new BackupError(
    'target-in-use',
    `${path} has changed in the meantime, so it is not replaced.`,
    {
      path,
      hint: 'Stop the program that uses it, check the preview again, then restore.',
      facts: { reason: 'changed' },
    },
  );
}

/** What is known of the programs that open a database while its files change. */
export interface Watch {
  /** They go on, as the person has decided. */
  isHeld: boolean;
  /** Throws while a program has one of these files open. */
  requireFree: (paths: readonly string[]) => void;
  /** Waits for the programs that have a file open that has no name any more. Without hard links it cannot come back. */
  waitForDeleted: (path: string) => void;
}

/** Brings one of the two databases of an item under the live name, from wherever a restore has stopped. */
export function settle(id: string, item: IntentItem, goal: Goal, watch: Watch): void {
  const live = livePath(item);
  const [to, from] = [sideOf(id, item, goal), sideOf(id, item, goal === 'old' ? 'new' : 'old')];
  const { position, isUsed } = stateOf(id, item);
  try {
    let at: Position = position;
    // It is the whole of it, and more: what a program has written since.
    if (isUsed && at === `${goal}-whole`) return syncFolder(item.folder);
    if (at === goal) {
      putSiblings(id, item, to);
      return syncFolder(item.folder);
    }
    if (at === 'other') throw changedMeanwhile(live);
    const place = (path: string | undefined, next: Position): void => {
      replace(id, item, path, at, watch);
      at = next;
    };
    // The siblings of the one must not meet the file of the other, not even for a moment: see states.ts.
    if (at === from.goal && hasContentBeside(live) && from.wholeState !== undefined)
      place(from.whole, `${from.goal}-whole`);
    if (at !== `${goal}-whole`) removeSiblings(id, item, from, to);
    if (to.main === undefined) {
      if (at !== 'missing') place(undefined, 'missing'); // There was no file, so there is none again.
      return;
    }
    if (to.wholeState !== undefined && at !== `${goal}-whole`) place(to.whole, `${goal}-whole`);
    if (to.wholeState !== undefined) putSiblings(id, item, to);
    place(to.main, goal);
    putSiblings(id, item, to);
    syncFolder(item.folder);
  } catch (error) {
    throw explain(error, 'target', live);
  }
}

function hasContentBeside(live: string): boolean {
  return statesOf(live).some(hasContent);
}

/** Puts a file, or none, under the live name, and the one before back when a program turns out to have that open. */
function replace(
  id: string,
  item: IntentItem,
  path: string | undefined,
  position: Position,
  watch: Watch,
): void {
  const live = livePath(item);
  const stage = stageFolder(id, item);
  const second = join(stage, `${item.index}.second`);
  const takeLiveName = (from: string): void => {
    rmSync(second, { force: true });
    linkOrCopy(from, second, stage);
    renameSync(second, live);
    syncFolder(item.folder);
  };
  if (position === 'missing' && path !== undefined) {
    // A program may make a new file there at any moment. An empty one holds nothing.
    if (existsSync(live)) return takeLiveName(path);
    rmSync(second, { force: true });
    linkOrCopy(path, second, stage);
    linkWithoutOverwriting(second, live);
    rmSync(second, { force: true });
    return syncFolder(item.folder);
  }
  const before = pathAt(id, item, position);
  const was = stateAt(item, position);
  if (path === undefined) unlinkSync(live);
  else takeLiveName(path);
  if (watch.isHeld) return;
  if (item.byContent === true) return watch.waitForDeleted(live);
  try {
    watch.requireFree([before]);
    if (was !== undefined && !isUnchanged(before, was)) throw changedMeanwhile(live);
  } catch (error) {
    takeLiveName(before);
    throw error;
  }
}

function pathAt(id: string, item: IntentItem, position: Position): string {
  const side = sideOf(id, item, position.startsWith('old') ? 'old' : 'new');
  return position.endsWith('whole') ? side.whole : (side.main ?? side.whole);
}

function stateAt(item: IntentItem, position: Position): FileState | undefined {
  switch (position) {
    case 'old':
      return mainOf(item.old);
    case 'old-whole':
      return item.wholeOld;
    case 'new-whole':
      return item.wholeNew;
    case 'new':
    case 'missing':
    case 'other':
      return undefined;
  }
}

/** Left where it is, a -wal would be played into the other file, and nothing would tell. */
function removeSiblings(id: string, item: IntentItem, from: Side, to: Side): void {
  const live = livePath(item);
  const [ours, next] = [from, to].map(({ goal }) => keptBase(id, item, goal));
  for (const file of statesOf(live)) {
    const { part } = file;
    if (part === '') continue;
    const isKept = ours !== undefined && isSame(live + part, ours + part);
    const isNext = next !== undefined && isSame(live + part, next + part);
    if (!isKept && !isNext && hasContent(file)) throw changedMeanwhile(live + part);
    unlinkSync(live + part);
  }
  // A power failure must not bring them back beside the other file.
  syncFolder(item.folder);
}

/** Beside the file that they belong to, or beside the whole of it, which they do not change. */
function putSiblings(id: string, item: IntentItem, side: Side): void {
  const { position, isUsed } = stateOf(id, item);
  // What was beside a file before does not belong to it any more once a program has changed it.
  if (isUsed || (position !== side.goal && position !== `${side.goal}-whole`)) return;
  const [live, base] = [livePath(item), keptBase(id, item, side.goal)];
  for (const was of side.files) {
    const { part } = was;
    if (part === '' || base === undefined || !existsSync(base + part)) continue;
    // Without its locks a copied -shm is worth nothing.
    if (part === '-shm' && item.byContent === true) continue;
    // A program that has only looked at the database leaves these.
    const isWithoutContent = part === '-shm' || sizeOf(live + part) === 0;
    if (existsSync(live + part)) {
      if (!isWithoutContent || isSame(live + part, base + part)) continue;
      unlinkSync(live + part);
    }
    linkOrCopy(base + part, live + part, stageFolder(id, item));
  }
  syncFolder(item.folder);
}

/** Removes what a roll-back has put back: only when the live database is the same, and then all of it. */
export function dropSetAside(item: IntentItem): Finding[] {
  const kept = setAsidePath(item);
  return kept === undefined ? [] : dropIfSame(item, kept);
}

/** Removes the set-aside that an undo has put back: only when the live database is the same, and then all of it. */
export function dropFrom(item: IntentItem): Finding[] {
  return item.from === undefined ? [] : dropIfSame(item, join(item.folder, item.from));
}

function dropIfSame(item: IntentItem, kept: string): Finding[] {
  const isThere = parts.some((part) => existsSync(kept + part));
  if (!isThere) return [];
  const live = livePath(item);
  const hasMain = lstatSync(kept, { throwIfNoEntry: false }) !== undefined;
  if (!(hasMain ? areSame(live, kept) : areSiblingsSame(live, kept)))
    return [
      {
        code: 'left',
        message: `${kept} is kept: a program has changed ${live} since.`,
      },
    ];
  // The file first: what a kill leaves of the siblings is not taken for a database.
  for (const part of parts) if (existsSync(kept + part)) unlinkSync(kept + part);
  dropRecord(kept);
  syncFolder(item.folder);
  return [];
}

/** Of a database that had no file, only siblings. */
function areSiblingsSame(live: string, kept: string): boolean {
  return parts.every(
    (part) =>
      part === '' ||
      part === '-shm' ||
      !existsSync(kept + part) ||
      isSame(live + part, kept + part),
  );
}
