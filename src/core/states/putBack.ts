/*
 * Putting a kept state back under a live name in one step, without a previous database beside it: what lay there is in a
 * checkpoint, or a person has said that it may go. In this order: no program has the database open -> stage the state
 * beside it -> bring into the file what its -wal holds, so that one rename replaces all of it -> SQLite's lock keeps other
 * programs out, of the state as well -> nothing was written since the first look -> rename. A program that opens the file
 * in that very moment keeps it.
 */
import {
  closeSync,
  existsSync,
  linkSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { readStamp } from '../checkpoint/stamp.ts';
import { BackupError, explain, isBackupError } from '../errors.ts';
import { copyWholeInSteps } from '../files/copying.ts';
import { sha256File } from '../files/digests.ts';
import { lacksHardLinks, linkWithoutOverwriting } from '../files/publish.ts';
import { siblingSuffixes } from '../files/siblingNames.ts';
import { syncFileBeside, syncFolder } from '../files/sync.ts';
import { makePrivateFolder, sweepLeftovers } from '../files/workplace.ts';
import type { KeepOut, KeptOut } from '../job.ts';
import type { Manifest } from '../manifest/manifest.ts';
import { changedMeanwhile } from '../restore/moves.ts';
import { requireSettled } from '../restore/setAside.ts';
import { giveModeAndOwner } from '../restore/staging.ts';
import { inUse, requireFree, requireReplaceable } from '../restore/target.ts';
import { absorbInPlace } from '../sqlite/absorb.ts';
import { requireDatabase } from '../sqlite/header.ts';
import { renewFirstChecksum } from '../sqlite/pageChecksums.ts';
import { liveStateOf, siblingsOf } from '../sqlite/siblings.ts';
import { notKept } from './kept.ts';

export interface KeptState {
  /** The file of a checkpoint. */
  path: string;
  manifest: Manifest;
  /** The stamp of that file when its content was hashed. Where it is the same, the content is not hashed again. */
  copy?: string | undefined;
}

export interface PutBackOptions {
  keepOut: KeepOut;
  /** What `liveStateOf` said when the state that lies there was found to be kept: another one is not replaced. */
  expected: string;
  /** What lies there may go, whatever it is. */
  mayGo?: boolean;
  /** Called with the file that is about to become the database. What it throws keeps the old one. */
  beforeReplace?: (staged: string) => void;
}

const tries = 3;

/**
 * Runs `action`, which replaces the database at `live`, while no program has it open. A program that came by in the middle
 * may be gone a moment later, and may have written: `action` looks at everything again then.
 */
export async function whileIdle<T>(live: string, action: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    requireIdle(live);
    try {
      return await action();
    } catch (error) {
      const hasCome = isBackupError(error) && error.code === 'target-in-use';
      if (!hasCome || attempt === tries) throw error;
    }
  }
}

/** Refuses, before anything is done, what cannot be replaced now: a file of others, one half-way restored, one in use. */
function requireIdle(live: string): void {
  requireReplaceable(live);
  requireSettled(live);
  requireFree([live], { probe: true });
}

/** The stamp of a file of ours that no program writes: of a checkpoint. */
export function copyStampOf(path: string): string {
  const { ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
  return [ino, size, mtimeNs, ctimeNs].join();
}

/** The stamp of a checkpoint whose content was hashed under one of its names, undefined when its file has another one. */
export function provedCopyOf({
  path,
  manifest,
}: Pick<KeptState, 'path' | 'manifest'>): string | undefined {
  const now = copyStampOf(path);
  const { baseline, branches = [] } = manifest;
  return [baseline, ...branches].some((one) => one?.copy === now) ? now : undefined;
}

/** Puts the state under the real path `live`, which is claimed. Returns the stamp of the database afterwards, unless a program has written by then. */
export async function putBack(
  state: KeptState,
  live: string,
  { keepOut, expected, mayGo = false, beforeReplace = () => undefined }: PutBackOptions,
): Promise<string | undefined> {
  const folder = dirname(live);
  await sweepLeftovers(folder);
  const place = makePrivateFolder(folder);
  let stagedAt: bigint | undefined;
  let ending: Promise<void> | undefined;
  try {
    const staged = join(place.path, 'state');
    const second = join(place.path, 'before');
    if (existsSync(live)) {
      const now = settled(live, { expected, mayGo });
      // Its process starts while this one copies.
      const keeping = keepOut(isDatabase(live) ? [live] : []);
      keeping.catch(() => undefined);
      try {
        await stage(state, staged, live);
        const kept = await keeping;
        stagedAt = timeOf(staged);
        beforeReplace(staged);
        const unlock = await kept.lockAlso?.(staged);
        replace({ staged, live, second, now, mayGo }, kept);
        // A process that has ended meanwhile locks nothing.
        await unlock?.().catch(() => undefined);
        // The old file has no name any more. The process with the lock frees it when it ends, beside this one.
        rmSync(second, { force: true });
        ending = kept.letGo();
        syncFolder(folder);
      } finally {
        if (ending === undefined)
          await keeping.then(
            ({ letGo }) => letGo(),
            () => undefined,
          );
      }
    } else {
      await stage(state, staged, live);
      stagedAt = timeOf(staged);
      if (!mayGo && liveStateOf(live) !== expected) throw changedMeanwhile(live);
      if (!mayGo) requireNothingLeft(live);
      beforeReplace(staged);
      for (const suffix of siblingSuffixes) rmSync(live + suffix, { force: true });
      linkWithoutOverwriting(staged, live);
      syncFolder(folder);
    }
  } catch (error) {
    throw explain(error, 'target', live);
  } finally {
    place.remove();
    // On FUSE and NFS, a file that is open still has a name.
    if (ending !== undefined && existsSync(place.path)) {
      await ending;
      place.remove();
    }
  }
  const { text } = readStamp(live);
  // What a program has written since the rename is not the state, and gets no stamp of it.
  return timeOf(live) === stagedAt && !hasContentBeside(live) ? text : undefined;
}

function timeOf(path: string): bigint | undefined {
  return statSync(path, { bigint: true, throwIfNoEntry: false })?.mtimeNs;
}

/** A synced copy of the state, with mode and owner of the live file, as the application had it. */
async function stage(
  { path, manifest, copy }: KeptState,
  staged: string,
  live: string,
): Promise<void> {
  const { sizeBytes, sha256, facts, createdAt, permissions } = manifest;
  if (!existsSync(path)) throw notKept(live);
  const isTrusted = copy !== undefined && copy === copyStampOf(path);
  await copyWholeInSteps(path, staged, dirname(live));
  if (statSync(staged).size !== sizeBytes || !(isTrusted || sha256File(staged) === sha256))
    throw new BackupError('backup-damaged', `${path} is not as it was kept.`, {
      path,
      hint: 'Choose another state: sqlite-backup list --checkpoints',
    });
  if (facts.journalMode === 'wal') {
    const handle = openSync(staged, 'r+');
    try {
      writeVersions(handle, walMode);
    } finally {
      closeSync(handle);
    }
    renewFirstChecksum(staged);
  }
  giveModeAndOwner(staged, live, permissions);
  // Of the past, so that each later write leaves another time, however coarse the clock is.
  const at = new Date(Math.min(Date.parse(createdAt), Date.now() - aDayMs));
  utimesSync(staged, at, at);
  await syncFileBeside(staged);
}

const aDayMs = 86_400_000;

/** Brings into the file what its siblings hold, and returns what `liveStateOf` says then. */
function settled(live: string, { expected, mayGo }: { expected: string; mayGo: boolean }): string {
  const requireSame = (): void => {
    if (!mayGo && liveStateOf(live) !== expected) throw changedMeanwhile(live);
  };
  requireSame();
  if (!hasContentBeside(live)) return mayGo ? liveStateOf(live) : expected;
  requireFree([live], { probe: false });
  try {
    return absorbInPlace(live, requireSame);
  } catch (error) {
    if (mayGo) return liveStateOf(live);
    const isLocked = isBackupError(error) && error.code === 'source-busy';
    throw isLocked ? lockedBy(live) : error;
  }
}

function lockedBy(live: string): BackupError {
  return inUse(live, `${live} is locked by a program that cannot be seen from here.`, {});
}

interface Replacement {
  staged: string;
  live: string;
  /** Where the file that is replaced gets a second name meanwhile. */
  second: string;
  /** What `liveStateOf` says as long as no program has written. */
  now: string;
  mayGo: boolean;
}

function replace(
  { staged, live, second, now, mayGo }: Replacement,
  { outcomes, pid }: Pick<KeptOut, 'outcomes' | 'pid'>,
): void {
  if (outcomes.includes('busy')) throw lockedBy(live);
  if (liveStateOf(live) !== now || (hasContentBeside(live) && !mayGo)) throw changedMeanwhile(live);
  const hasSecondName = tryToLink(live, second);
  for (const suffix of siblingSuffixes) rmSync(live + suffix, { force: true });
  renameSync(staged, live);
  if (!hasSecondName) return;
  try {
    const isLockedByUs = outcomes.length > 0 && outcomes.every((one) => one === 'held');
    requireFree([second], { probe: false, besides: pid, isLockedByUs });
  } catch (error) {
    // It has waited for the lock, so it has written nothing yet.
    takeBack(second, live);
    throw error;
  }
}

/**
 * Gives the name back to the old file. A program that has opened the new one meanwhile waits for its lock. It can read that
 * file then, and not write to it: in rollback mode SQLite refuses that where the name leads to another file by now
 * (SQLITE_READONLY_DBMOVED). In WAL mode it would look for a WAL under the name, which is that of the old file.
 */
function takeBack(second: string, live: string): void {
  const state = tryToOpen(live);
  renameSync(second, live);
  if (state === undefined) return;
  try {
    writeVersions(state, rollbackMode);
  } catch {
    // The old file has its name, which matters more.
  } finally {
    closeSync(state);
  }
}

/** Undefined where this user may not write to it, or the machine has no handle left. */
function tryToOpen(path: string): number | undefined {
  try {
    return openSync(path, 'r+');
  } catch {
    return undefined;
  }
}

/** https://sqlite.org/fileformat2.html: the versions to write and to read. */
const [rollbackMode, walMode] = [1, 2];

function writeVersions(handle: number, version: number): void {
  writeSync(handle, Buffer.from([version, version]), 0, 2, 18);
}

function hasContentBeside(live: string): boolean {
  return contentBeside(live).length > 0;
}

function contentBeside(live: string): string[] {
  const siblings = siblingsOf(live);
  return (['-wal', '-journal'] as const)
    .filter((one) => (siblings.get(one)?.sizeBytes ?? 0) > 0)
    .map((one) => basename(live) + one);
}

/** No checkpoint has what a deleted database had in its siblings. */
function requireNothingLeft(live: string): void {
  const names = contentBeside(live);
  if (names.length === 0) return;
  throw new BackupError(
    'name-taken',
    `${live} does not exist, but ${names.join(' and ')} is there and may hold its newest transactions. Nothing was replaced.`,
    { path: live, hint: 'Move what is left of it to another folder, then try again.' },
  );
}

function isDatabase(live: string): boolean {
  try {
    requireDatabase(live);
    return true;
  } catch {
    return false; // SQLite has no lock on it.
  }
}

/** False where a file has one name only: then a program that opens it in this moment cannot be given way to. */
function tryToLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (!lacksHardLinks(error)) throw error;
    return false;
  }
}
