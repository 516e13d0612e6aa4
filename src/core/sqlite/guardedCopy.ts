/**
 * Private copies of databases that other programs may write to. SQLite opens only the copy, so nothing appears beside the
 * original and no lock of it is taken. Opening and closing a file drops the locks that this process holds on it: call
 * these functions only in a process that has no SQLite connection to the original.
 */
import { randomBytes } from 'node:crypto';
import { type BigIntStats, closeSync, openSync, readSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { BackupError, explain, isBackupError } from '../errors.ts';
import { copyWhole } from '../files/copying.ts';
import { sharedFileSystem } from '../files/fileSystem.ts';
import { resolveRegularFile } from '../files/paths.ts';
import type { Part } from '../files/siblingNames.ts';
import { makePrivateFolder } from '../files/workplace.ts';
import { pause } from '../pause.ts';
import { restoreJournalMode } from './contents.ts';
import { requirePlainSiblings } from './siblings.ts';

export interface GuardOptions {
  /** Where parts of the database are read instead of beside it. A database of which all is given need not exist. */
  files?: Partial<Record<Part, string>>;
  /** Called after each part was read, for tests that change the database at that moment. */
  afterPart?: (suffix: string) => void;
  /** After this time no further try begins, but there are two. */
  longestMs?: number;
}

/**
 * Runs `use` on a private copy that holds one state of the database at `path`, as `makeReadableCopy` makes it, and removes
 * the copy. `use` is synchronous; where it is not, call `makeReadableCopy` with a folder of your own.
 */
export function withReadableCopy<T>(
  path: string,
  use: (copy: string) => T,
  { scratchParent = tmpdir(), ...options }: GuardOptions & { scratchParent?: string } = {},
): T {
  const scratch = makePrivateFolder(scratchParent);
  try {
    return use(makeReadableCopy(path, scratch.path, options));
  } finally {
    scratch.remove();
  }
}

/**
 * Copies the database at `path` into the private folder `folder` and returns the path of the copy: a single file with
 * every committed transaction, also those that were only in the `-wal`; an unfinished one is rolled back. Throws
 * `source-busy` when the database does not stay unchanged for as long as the copy takes.
 */
export function makeReadableCopy(path: string, folder: string, options: GuardOptions = {}): string {
  const copy = join(folder, `copy-${randomBytes(4).toString('hex')}.db`);
  const copied = copyGuarded(path, copy, options);
  try {
    // Opening the copy for writing rolls its journal back, and closing it moves the -wal into it.
    if (copied.length > 1) restoreJournalMode(copy, 'delete');
  } catch (error) {
    throw explain(error, 'source', path);
  }
  return copy;
}

const copiedSuffixes = ['', '-wal', '-journal'] as const;
const guardedSuffixes = ['', '-wal', '-journal', '-shm'] as const;
const tries = 6;
const fewestTries = 2;
/** A large database, or a slow mount: what changes all the time would be copied for as long as the tries take. */
const defaultLongestMs = 20_000;
const firstPauseMs = 10;

/**
 * Copies the database at `given` with its `-wal` and `-journal` to the free path `to`, byte for byte, and returns the
 * suffixes of what it copied ('' is the database itself). Neither of them, nor the `-shm`, changed from the beginning to
 * the end: otherwise the copy is made anew, and after some tries the error is `source-busy`.
 */
export function copyGuarded(given: string, to: string, options: GuardOptions = {}): string[] {
  const path = options.files?.[''] === undefined ? resolveRegularFile(given) : given;
  const endsAt = performance.now() + (options.longestMs ?? defaultLongestMs);
  for (let attempt = 0; attempt < tries; attempt++) {
    if (attempt >= fewestTries && performance.now() >= endsAt) break;
    if (attempt > 0) pause(firstPauseMs * 2 ** attempt);
    const copied = copyOnce(path, to, options);
    if (copied !== undefined) return copied;
    for (const suffix of copiedSuffixes) rmSync(to + suffix, { force: true });
  }
  throw new BackupError('source-busy', `${path} changed each time while it was copied.`, {
    path,
    hint: 'Try again while less is written to it, or run the backup where the program runs.',
    facts: { reason: 'changed' },
  });
}

/** Undefined when a part changed meanwhile. */
function copyOnce(
  path: string,
  to: string,
  { afterPart, files = {} }: GuardOptions,
): string[] | undefined {
  requirePlainSiblings(path);
  const fileOf = (suffix: Part): string => files[suffix] ?? path + suffix;
  const before = partsOf(fileOf);
  const startedAt = Date.now();
  const parts = copiedSuffixes.filter((suffix) => before.get(suffix) !== undefined);
  if (!before.has('')) return undefined;
  for (const suffix of parts) {
    try {
      copyWhole(fileOf(suffix), to + suffix, { isSynced: false });
    } catch (error) {
      const hasChanged = isBackupError(error) && error.code === 'source-busy';
      if (isGone(error) || hasChanged) return undefined;
      if (isBackupError(error)) throw error;
      throw isOfTarget(error)
        ? explain(error, 'target', dirname(to))
        : explain(error, 'source', fileOf(suffix));
    }
    afterPart?.(suffix);
  }
  const isSame = (): boolean => stateOf(partsOf(fileOf)) === stateOf(before);
  // To compare all bytes takes as long as to copy them.
  if (!isSame()) return undefined;
  // A time that is this young may stay the same over another write, and a shared file system may tell an old one: then
  // the bytes decide.
  const isOld = newestMs(before) < startedAt - coarsestTimeMs;
  const isVouched = isOld && sharedFileSystem(fileOf('')) === undefined;
  if (!isVouched && !parts.every((suffix) => hasSameBytes(fileOf(suffix), to + suffix)))
    return undefined;
  return isSame() ? parts : undefined;
}

/** FAT counts in steps of two seconds; the others in much smaller ones. */
const coarsestTimeMs = 2500;

type Parts = Map<Part, BigIntStats>;

function partsOf(fileOf: (suffix: Part) => string): Parts {
  const parts: Parts = new Map();
  for (const suffix of guardedSuffixes) {
    const stats = statSync(fileOf(suffix), { bigint: true, throwIfNoEntry: false });
    if (stats !== undefined) parts.set(suffix, stats);
  }
  return parts;
}

function stateOf(parts: Parts): string {
  return guardedSuffixes
    .map((suffix) => parts.get(suffix))
    .map((s) => (s === undefined ? '-' : [s.dev, s.ino, s.size, s.mtimeNs, s.ctimeNs].join()))
    .join(' ');
}

function newestMs(parts: Parts): number {
  return Math.max(
    ...[...parts.values()].map(({ mtimeMs, ctimeMs }) =>
      Number(mtimeMs > ctimeMs ? mtimeMs : ctimeMs),
    ),
  );
}

const chunkBytes = 1024 * 1024;

function hasSameBytes(one: string, other: string): boolean {
  const handles: number[] = [];
  const opened = (path: string): number => {
    const handle = openSync(path, 'r');
    handles.push(handle);
    return handle;
  };
  try {
    const [a, b] = [opened(one), opened(other)];
    const [x, y] = [Buffer.allocUnsafe(chunkBytes), Buffer.allocUnsafe(chunkBytes)];
    for (;;) {
      const [n, m] = [readSync(a, x), readSync(b, y)];
      if (n !== m || !x.subarray(0, n).equals(y.subarray(0, m))) return false;
      if (n === 0) return true;
    }
  } catch (error) {
    if (isGone(error)) return false;
    throw explain(error, 'source', one);
  } finally {
    for (const handle of handles) closeSync(handle);
  }
}

function isGone(error: unknown): boolean {
  return error instanceof Error && Reflect.get(error, 'code') === 'ENOENT';
}

function isOfTarget(error: unknown): boolean {
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
  return typeof code === 'string' && /^(ENOSPC|EDQUOT|EFBIG|EROFS|EEXIST)$/.test(code);
}
