/** A live database on its way to a backup: which file it really is, whether it can be read, and how to hold it still. */
import {
  accessSync,
  closeSync,
  constants,
  fsyncSync,
  openSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { BackupError, explain, isBackupError } from '../errors.ts';
import { fileIdentity, resolveRegularFile } from '../files/paths.ts';
import { freeBytes, requireSpace } from '../files/space.ts';
import { findLockers } from '../holders/holders.ts';
import { makeReadableCopy } from '../sqlite/guardedCopy.ts';
import { refuseNeighbours, requireDatabase } from '../sqlite/header.ts';
import { siblingsOf } from '../sqlite/siblings.ts';
import { formatBytes } from '../units.ts';

export interface Source {
  /** The real path. */
  path: string;
  /** Device and inode, to notice a replacement and the same file under two names. */
  identity: string;
  sizeBytes: number;
  journalMode: 'wal' | 'rollback';
  /** More than 1 when the same file has other names, whose siblings SQLite would not see under this one. */
  links: number;
  pageSize: number;
}

/** Looks at a database before anything is opened or created. Refuses what cannot become a good backup, with the reason. */
export function inspectSource(database: string, largestBytes: number): Source {
  const path = resolveRegularFile(database);
  const { journalMode, pageSize } = requireDatabase(path);
  refuseNeighbours(path);
  const { size: sizeBytes, nlink: links } = statSync(path);
  requireSize(path, sizeBytes, largestBytes);
  const source = { path, identity: fileIdentity(path), sizeBytes, journalMode, links, pageSize };
  refuseHiddenWal(source);
  return source;
}

/** Refuses what is larger than the person allows: a sparse or hostile file may claim any size. */
export function requireSize(path: string, sizeBytes: number, largestBytes: number): void {
  if (sizeBytes <= largestBytes) return;
  throw new BackupError(
    'too-large',
    `${path} has ${formatBytes(sizeBytes)}, more than the limit of ${formatBytes(largestBytes)}.`,
    { path, hint: 'Raise the limit if the size is real.', facts: { sizeBytes, largestBytes } },
  );
}

/** Under a hard link's other name a WAL would not be seen, and with it the newest transactions. */
function refuseHiddenWal({ path, journalMode, links }: Source): void {
  // An empty WAL proves nothing: any reader under the wrong name leaves one.
  const walBytes = siblingsOf(path).get('-wal')?.sizeBytes ?? 0;
  if (journalMode !== 'wal' || links < 2 || walBytes > 0) return;
  throw new BackupError(
    'incomplete',
    `${path} is one of ${links} hard links to the same file, and its WAL may be beside another of them.`,
    { path, hint: 'Name the path that the application uses.', facts: { links } },
  );
}

/**
 * Runs `open` on the database itself or, when SQLite cannot open it on a read-only medium, on a private copy of its
 * files in `scratch`. Explains failures as well as can be known.
 */
export function openWherePossible<T>(
  source: Source,
  scratch: string,
  open: (path: string) => T,
): T {
  const { path, journalMode } = source;
  try {
    return open(path);
  } catch (error) {
    const known = explain(error, 'source', path);
    if (known.code === 'source-busy') throw nameLockers(known, path);
    const cannotShare = known.code === 'read-only-media' || known.code === 'access';
    if (!cannotShare || journalMode !== 'wal') throw sourceDiskFull(known, path);
    if (isReadOnlyHere(path)) return open(makeReadableCopy(path, scratch));
    const full = sourceDiskFull(known, path);
    if (full !== known) throw full;
    throw new BackupError(
      'read-only-media',
      `${path} is in WAL mode, and this user may not write beside it, which SQLite needs to read it.`,
      {
        path,
        hint: 'Run as a user who may write to its folder, or copy the database with its -wal file elsewhere.',
        cause: known,
      },
    );
  }
}

function nameLockers(busy: BackupError, path: string): BackupError {
  const [locker] = findLockers(path);
  if (locker === undefined) return busy;
  return new BackupError(
    'source-busy',
    `${path} is locked by another program (${locker.name}, pid ${locker.pid}).`,
    {
      path,
      hint: 'Close its transaction and try again.',
      facts: { program: locker.name, pid: locker.pid },
      cause: busy.cause,
    },
  );
}

/** On a full disk SQLite cannot make the -shm, and says only that it cannot open the file. */
function sourceDiskFull(error: BackupError, path: string): BackupError {
  const shmBytes = 32 * 1024;
  const mayBeSpace = error.code === 'access' || error.code === 'io-error';
  if (!mayBeSpace || freeBytes(dirname(path)) >= shmBytes) return error;
  return new BackupError(
    'source-fs-full',
    `${path} cannot be read: its disk has no room for the small -shm file that WAL mode needs.`,
    { path, hint: 'Free some space on the disk of the database and try again.', cause: error },
  );
}

/** True on a medium mounted read-only. Another mount of it, or another machine, may still write to the same files. */
function isReadOnlyHere(path: string): boolean {
  try {
    accessSync(dirname(path), constants.W_OK);
    return false;
  } catch (error) {
    return error instanceof Error && Reflect.get(error, 'code') === 'EROFS';
  }
}

/** True when another file, or none, is under the path by now. */
export function isReplaced({ path, identity }: Source): boolean {
  try {
    return fileIdentity(path) !== identity;
  } catch {
    return true;
  }
}

/**
 * An error of the driver that names its private file, told as one of the folder that people know. SQLite has few words
 * for what can go wrong with writing, so the system is asked by writing once more.
 */
export function retarget(
  error: unknown,
  privateFile: string,
  { folder, wantedBytes }: { folder: string; wantedBytes: number },
): BackupError {
  if (isBackupError(error) && error.path !== privateFile) return error;
  const known = explain(isBackupError(error) ? (error.cause ?? error) : error, 'target', folder);
  if (known.code === 'target-full') return known;
  const reason = whyNotWritable(privateFile, folder, wantedBytes);
  return reason === undefined ? known : explain(reason, 'target', folder);
}

const leastFreeBytes = 64 * 1024;

function whyNotWritable(privateFile: string, folder: string, wantedBytes: number): unknown {
  try {
    requireSpace(folder, leastFreeBytes);
    const handle = openSync(privateFile, 'r+');
    try {
      // At the end that the file was to reach, where limits for the size of a file show.
      writeSync(handle, Buffer.alloc(4096), 0, 4096, wantedBytes);
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    return undefined;
  } catch (error) {
    return error;
  }
}
