/** A live database on its way to a backup: which file it really is, whether it can be read, and how to hold it still. */
import { accessSync, constants, copyFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BackupError, explain, isBackupError } from './errors.ts';
import { fileIdentity, freeBytes, resolveRegularFile, siblingsOf } from './files.ts';
import { requireDatabase } from './header.ts';
import { findLockers } from './holders.ts';
import { formatBytes } from './units.ts';

export interface Source {
  /** The real path. */
  path: string;
  /** Device and inode, to notice a replacement and the same file under two names. */
  identity: string;
  sizeBytes: number;
  journalMode: 'wal' | 'rollback';
}

/** Looks at a database before anything is opened or created. Refuses what cannot become a good backup, with the reason. */
export function inspectSource(database: string, largestBytes: number): Source {
  const path = resolveRegularFile(database);
  const { journalMode } = requireDatabase(path);
  const { size: sizeBytes } = statSync(path);
  if (sizeBytes > largestBytes) {
    throw new BackupError(
      'too-large',
      `${path} has ${formatBytes(sizeBytes)}, more than the limit of ${formatBytes(largestBytes)}.`,
      { path, hint: 'Raise the limit if the size is real.', facts: { sizeBytes, largestBytes } },
    );
  }
  const source = { path, identity: fileIdentity(path), sizeBytes, journalMode };
  refuseHiddenWal(source);
  return source;
}

/** Under a hard link's other name a WAL would not be seen, and with it the newest transactions. */
function refuseHiddenWal({ path, journalMode }: Source): void {
  const { nlink } = statSync(path);
  if (journalMode !== 'wal' || nlink < 2 || siblingsOf(path).has('-wal')) return;
  throw new BackupError(
    'incomplete',
    `${path} is one of ${nlink} hard links to the same file, and its WAL may be beside another of them.`,
    { path, hint: 'Name the path that the application uses.', facts: { links: nlink } },
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
    if (nothingCanWrite(path)) return open(copyAside(path, scratch));
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

/** True only where no process, whoever runs it, can be writing: plain copying of the files is safe nowhere else. */
function nothingCanWrite(path: string): boolean {
  try {
    accessSync(dirname(path), constants.W_OK);
    return false;
  } catch (error) {
    return error instanceof Error && Reflect.get(error, 'code') === 'EROFS';
  }
}

function copyAside(path: string, scratch: string): string {
  const aside = join(scratch, 'aside.db');
  try {
    copyFileSync(path, aside, constants.COPYFILE_FICLONE);
    if (siblingsOf(path).has('-wal')) copyFileSync(`${path}-wal`, `${aside}-wal`);
    return aside;
  } catch (error) {
    throw explain(error, 'target', dirname(scratch));
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

/** The space that a copy needs on the file system of `folder`, or the error that says what is missing. */
export function requireSpace(folder: string, neededBytes: number): void {
  const availableBytes = freeBytes(folder);
  if (availableBytes >= neededBytes) return;
  throw new BackupError(
    'target-full',
    `Not enough space in ${folder}: ${formatBytes(neededBytes)} needed, ${formatBytes(availableBytes)} free.`,
    {
      path: folder,
      hint: 'Free some space or choose another folder.',
      facts: { neededBytes, availableBytes },
    },
  );
}

/** An error of the driver that names its private file, told as one of the folder that people know. */
export function retarget(error: unknown, privateFile: string, folder: string): BackupError {
  if (!isBackupError(error)) return explain(error, 'target', folder);
  return error.path === privateFile ? explain(error.cause ?? error, 'target', folder) : error;
}
