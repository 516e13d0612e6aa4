/*
 * The file operations of a restore, of which any may be the last. Each looks at what is on the disk, so all of them can be
 * run again after a stop: linkAside -> swapIn -> tidyUp go forward, putBack goes back. Nothing is removed or replaced
 * whose bytes are not under another name.
 */
import {
  constants,
  copyFileSync,
  existsSync,
  linkSync,
  lstatSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { BackupError, explain } from '../errors.ts';
import { sha256File } from '../files/digests.ts';
import { fileIdentity } from '../files/paths.ts';
import { lacksHardLinks, linkWithoutOverwriting } from '../files/publish.ts';
import { syncFile, syncFolder } from '../files/sync.ts';
import type { Finding } from '../manifest/manifest.ts';
import { setAsideNames } from '../manifest/names.ts';
import {
  type FileState,
  type IntentItem,
  livePath,
  type Part,
  parts,
  setAsidePath,
  stagedPath,
  stageFolder,
} from './intent.ts';

/** The files of a database as they are now; empty when there is none. */
export function statesOf(path: string): FileState[] {
  return parts.flatMap((part) => {
    const stats = lstatSync(path + part, { bigint: true, throwIfNoEntry: false });
    if (stats === undefined) return [];
    if (!stats.isFile()) throw notAFile(path + part);
    const { dev, ino, size, mtimeNs } = stats;
    const identity = `${dev}:${ino}`;
    return [{ part, identity, sizeBytes: Number(size), mtimeNs: String(mtimeNs) }];
  });
}

function notAFile(path: string): BackupError {
  return new BackupError('access', `${path} is no regular file, so nothing is moved.`, {
    path,
    hint: 'Look at what it is; SQLite uses this name for a file of its own.',
  });
}

function isUnchanged(path: string, was: FileState): boolean {
  const now = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return (
    now !== undefined &&
    `${now.dev}:${now.ino}` === was.identity &&
    Number(now.size) === was.sizeBytes &&
    String(now.mtimeNs) === was.mtimeNs
  );
}

/** True when both names lead to the same bytes: one file, or two that are equal. */
function isSame(one: string, other: string): boolean {
  const [a, b] = [one, other].map((path) => lstatSync(path, { throwIfNoEntry: false }));
  if (a === undefined || b === undefined || !a.isFile() || !b.isFile()) return false;
  if (fileIdentity(one) === fileIdentity(other)) return true;
  return a.size === b.size && sha256File(one) === sha256File(other);
}

/** What is under the live name now. */
export type Live = 'old' | 'new' | 'missing' | 'other';

export function liveOf(item: IntentItem): Live {
  const live = livePath(item);
  if (lstatSync(live, { throwIfNoEntry: false }) === undefined) return 'missing';
  const identity = fileIdentity(live);
  const [old, staged] = [mainOf(item.old), mainOf(item.staged ?? [])];
  if (identity === staged?.identity) return 'new';
  if (identity === old?.identity) return 'old';
  // Where there are no hard links, and so only copies, the content tells.
  if (staged?.sha256 !== undefined && sha256File(live) === staged.sha256) return 'new';
  const kept = setAsidePath(item);
  return kept !== undefined && isSame(live, kept) ? 'old' : 'other';
}

/** True when an application has written to what the restore found, after it was stopped. */
export function hasChangedSince(item: IntentItem): boolean {
  const live = livePath(item);
  const kind = liveOf(item);
  if (kind === 'missing' || kind === 'other') return kind === 'other';
  const was = mainOf(kind === 'old' ? item.old : (item.staged ?? []));
  const stats = statSync(live, { bigint: true });
  if (was === undefined) return false;
  if (fileIdentity(live) === was.identity) {
    const isAsItWas = String(stats.mtimeNs) === was.mtimeNs && Number(stats.size) === was.sizeBytes;
    if (!isAsItWas) return true;
  }
  // What is committed in WAL mode does not show in the file itself.
  const known = new Set((kind === 'old' ? item.old : (item.staged ?? [])).map(({ part }) => part));
  return statesOf(live).some(
    ({ part, sizeBytes }) =>
      (part === '-wal' || part === '-journal') &&
      sizeBytes > 0 &&
      !isKnown(item, kind, part, known),
  );
}

function isKnown(
  item: IntentItem,
  kind: 'old' | 'new',
  part: Part,
  known: ReadonlySet<Part>,
): boolean {
  if (!known.has(part)) return false;
  const was = (kind === 'old' ? item.old : (item.staged ?? [])).find((one) => one.part === part);
  return was !== undefined && isUnchanged(livePath(item) + part, was);
}

function mainOf(files: readonly FileState[]): FileState | undefined {
  return files.find(({ part }) => part === '');
}

/** The first name for a set-aside of which all parts are free. */
export function freeSetAside(folder: string, name: string, at: Date): string {
  for (const candidate of setAsideNames(name, at)) {
    const taken = parts.some(
      (part) => lstatSync(join(folder, candidate + part), { throwIfNoEntry: false }) !== undefined,
    );
    if (!taken) return candidate;
  }
  throw new BackupError('name-taken', `${folder} has no free name left for the old ${name}.`, {
    path: folder,
  });
}

/** Gives a file a second name that is free; a synced copy where there are no hard links. */
export function linkOrCopy(from: string, to: string, stage: string): void {
  try {
    linkSync(from, to);
  } catch (error) {
    if (!lacksHardLinks(error)) throw error;
    const copy = join(stage, `copy-${process.pid}`);
    rmSync(copy, { force: true });
    copyFileSync(from, copy, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
    syncFile(copy);
    if (statSync(copy).size !== statSync(from).size) throw changedMeanwhile(from);
    linkWithoutOverwriting(copy, to);
    rmSync(copy, { force: true });
  }
}

/**
 * Makes the set-aside complete and durable. The live files stay as they are. `isHeld`: somebody may be writing to them,
 * as the person has decided.
 */
export function linkAside(
  id: string,
  item: IntentItem,
  { isHeld, isResumed = false }: { isHeld: boolean; isResumed?: boolean },
): void {
  const kept = setAsidePath(item);
  if (kept === undefined) return;
  const live = livePath(item);
  try {
    for (const was of item.old) {
      const { part } = was;
      if (!existsSync(kept + part) && !existsSync(live + part))
        throw part === '' ? lostFile(live) : changedMeanwhile(live + part);
      if (!existsSync(kept + part)) linkOrCopy(live + part, kept + part, stageFolder(id, item));
      else if (existsSync(live + part) && !isSame(live + part, kept + part))
        // What another restore has put there must not lead anybody to move the old database away.
        throw isUnchanged(live + part, was)
          ? nameTaken(kept + part)
          : changedMeanwhile(live + part);
    }
    // After a stop, some of the siblings may have been removed already.
    if (!isResumed) requireAsItWas(item, isHeld);
    syncFolder(item.folder);
  } catch (error) {
    throw explain(error, 'target', kept);
  }
}

function lostFile(path: string): BackupError {
  return new BackupError('source-missing', `${path} is gone, and it is not set aside either.`, {
    path,
    hint: 'Whoever took it away has to bring it back: nothing was replaced.',
  });
}

function nameTaken(path: string): BackupError {
  return new BackupError('name-taken', `${path} already exists, and it is something else.`, {
    path,
    hint: 'Move it away and try again: nothing is overwritten.',
  });
}

/** Insists that the live files are what the intent says, so that the set-aside is the whole of them. */
function requireAsItWas(item: IntentItem, isHeld: boolean): void {
  const live = livePath(item);
  const now = statesOf(live);
  // Whoever only reads a WAL database changes its -shm, which holds nothing of its own.
  const counts = ({ part }: FileState): boolean => part !== '-shm';
  const describe = (files: FileState[]): string =>
    JSON.stringify(
      files.filter(counts).map(({ part, identity, sizeBytes, mtimeNs }) =>
        // A link follows what is written; a copy is compared again before anything is removed.
        isHeld ? [part, identity] : [part, identity, sizeBytes, mtimeNs],
      ),
    );
  if (describe(now) !== describe(item.old)) throw changedMeanwhile(live);
  const kept = setAsidePath(item);
  const vanished = now.find(
    (one) => counts(one) && (kept === undefined || !existsSync(kept + one.part)),
  );
  if (vanished !== undefined) throw changedMeanwhile(live + vanished.part);
}

function changedMeanwhile(path: string): BackupError {
  return new BackupError(
    'target-in-use',
    `${path} has been changed meanwhile, so it is not replaced.`,
    {
      path,
      hint: 'Stop the program that uses it, look at the preview again, then restore.',
      facts: { reason: 'changed' },
    },
  );
}

/** Replaces the live files, whose set-aside is complete, by the staged ones. `look` is asked right before the rename. */
export function swapIn(id: string, item: IntentItem, look: () => void): void {
  const live = livePath(item);
  const staged = item.staged ?? [];
  try {
    if (liveOf(item) !== 'new') {
      removeSiblings(item);
      look();
      putMain(id, item);
      syncFolder(item.folder);
    }
    const main = mainOf(staged);
    for (const { part } of staged) {
      if (part === '' || existsSync(live + part)) continue;
      // Used already since it is in its place: what was beside it before does not belong to it any more.
      if (main === undefined || !isAsItWas(live, main)) break;
      linkOrCopy(stagedPath(id, item) + part, live + part, stageFolder(id, item));
    }
    syncFolder(item.folder);
  } catch (error) {
    throw explain(error, 'target', live);
  }
}

/** Left where it is, a -wal would be played into the restored file, and nobody would notice. */
function removeSiblings(item: IntentItem): void {
  const live = livePath(item);
  const kept = setAsidePath(item);
  for (const { part } of statesOf(live)) {
    if (part === '') continue;
    if (kept === undefined || !isSame(live + part, kept + part))
      throw changedMeanwhile(live + part);
    unlinkSync(live + part);
  }
  // A power failure must not bring them back beside the restored file.
  syncFolder(item.folder);
}

function putMain(id: string, item: IntentItem): void {
  const live = livePath(item);
  const kept = setAsidePath(item);
  if (!existsSync(live)) {
    if (mainOf(item.staged ?? []) !== undefined) linkWithoutOverwriting(stagedPath(id, item), live);
    return;
  }
  if (kept === undefined || !isSame(live, kept)) throw changedMeanwhile(live);
  if (mainOf(item.staged ?? []) === undefined) {
    unlinkSync(live); // Nothing was live before, so nothing is again.
    return;
  }
  const main = stagedPath(id, item);
  if (item.from === undefined) {
    renameSync(main, live);
    return;
  }
  // An undo keeps its own name of the file until all is done.
  const second = `${main}.second`;
  rmSync(second, { force: true });
  linkOrCopy(main, second, dirname(main));
  renameSync(second, live);
}

/** After an undo: the set-aside that is live again goes, name by name, once the live one is the same. */
export function tidyUp(item: IntentItem): void {
  if (item.from === undefined) return;
  const [live, from] = [livePath(item), join(item.folder, item.from)];
  for (const part of parts) if (isSame(live + part, from + part)) unlinkSync(from + part);
  syncFolder(item.folder);
}

/** Brings the old database back to the live name, from wherever the restore was stopped. */
export function putBack(id: string, item: IntentItem): Finding[] {
  const live = livePath(item);
  try {
    switch (liveOf(item)) {
      case 'new':
        return putBackMain(id, item);
      case 'old':
        return completeOld(id, item);
      case 'missing':
        return mainOf(item.old) === undefined ? completeOld(id, item) : putBackMain(id, item);
      case 'other':
        return [
          {
            code: 'other',
            message: `${live} is neither the old nor the restored file. It stays as it is, and so does the set-aside.`,
          },
        ];
    }
  } catch (error) {
    throw explain(error, 'target', live);
  }
}

function putBackMain(id: string, item: IntentItem): Finding[] {
  const [live, kept] = [livePath(item), setAsidePath(item)];
  const remarks = keepNew(id, item);
  for (const { part } of statesOf(live)) if (part !== '') unlinkSync(live + part);
  if (kept === undefined || mainOf(item.old) === undefined) {
    rmSync(live, { force: true });
    syncFolder(item.folder);
    return [...remarks, ...completeOld(id, item)];
  }
  syncFolder(item.folder);
  const stage = stageFolder(id, item);
  const second = join(stage, `${item.index}.back`);
  rmSync(second, { force: true });
  linkOrCopy(kept, second, stage);
  renameSync(second, live);
  syncFolder(item.folder);
  return [...remarks, ...completeOld(id, item)];
}

/** What is live now goes under another name, unless it is just the copy of a backup that nobody has written to. */
function keepNew(id: string, item: IntentItem): Finding[] {
  const live = livePath(item);
  const now = statesOf(live);
  if (now.length === 0) return [];
  const isJustTheBackup =
    item.from === undefined && liveOf(item) === 'new' && !hasChangedSince(item);
  if (isJustTheBackup) return [];
  const name = item.from ?? freeSetAside(item.folder, item.name, new Date());
  const base = join(item.folder, name);
  for (const { part } of now) {
    if (!existsSync(base + part)) linkOrCopy(live + part, base + part, stageFolder(id, item));
    else if (!isSame(live + part, base + part)) throw nameTaken(base + part);
  }
  syncFolder(item.folder);
  return [{ code: 'kept', message: `What was live is kept as ${name}.` }];
}

/** The old file is live: its siblings come back, then the set-aside goes, which is the same file under other names. */
function completeOld(id: string, item: IntentItem): Finding[] {
  const [live, kept] = [livePath(item), setAsidePath(item)];
  if (kept === undefined) return [];
  const old = mainOf(item.old);
  const isUntouched = old === undefined || !existsSync(live) || isAsItWas(live, old, kept);
  if (isUntouched) {
    for (const { part } of item.old) {
      if (part === '' || !existsSync(kept + part)) continue;
      // Whoever only looked at the database meanwhile may have left an empty -wal and a -shm.
      const stats = lstatSync(live + part, { throwIfNoEntry: false });
      const isWithoutContent = part === '-shm' || stats?.size === 0;
      if (stats !== undefined && isWithoutContent && !isSame(live + part, kept + part))
        unlinkSync(live + part);
      if (existsSync(live + part)) continue;
      linkOrCopy(kept + part, live + part, stageFolder(id, item));
    }
    syncFolder(item.folder);
  }
  for (const part of parts) if (isSame(live + part, kept + part)) unlinkSync(kept + part);
  syncFolder(item.folder);
  const left = parts.filter((part) => existsSync(kept + part));
  return left.map((part) => ({
    code: 'left',
    message: `${kept + part} stays: the database was used after the restore was stopped, and this belongs to the time before.`,
  }));
}

/** True when nobody has written to the live file since its state was taken, or it is an equal copy of that. */
function isAsItWas(live: string, was: FileState, copy?: string): boolean {
  const stats = statSync(live, { bigint: true });
  if (String(stats.mtimeNs) === was.mtimeNs && Number(stats.size) === was.sizeBytes) return true;
  if (was.sha256 !== undefined && sha256File(live) === was.sha256) return true;
  // The same file under two names is always equal, and proves nothing.
  return (
    copy !== undefined &&
    existsSync(copy) &&
    fileIdentity(copy) !== fileIdentity(live) &&
    isSame(live, copy)
  );
}
