/** A live database on its way to a backup: which file it really is, whether it can be read, and how to hold it still. */
import { closeSync, fsyncSync, openSync, statSync, writeSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { BackupError, type ErrorCode, explain, isBackupError } from '../errors.ts';
import { isMountPoint } from '../files/fileSystem.ts';
import { fileIdentity, resolveRegularFile, statIfAny } from '../files/paths.ts';
import { aboutSpaceIn, requireSpace } from '../files/space.ts';
import { findLockers, hasProgramHere } from '../holders/holders.ts';
import { findLost, type LostFiles } from '../holders/lost.ts';
import { makeReadableCopy } from '../sqlite/guardedCopy.ts';
import { namesOf } from '../manifest/hardLinks.ts';
import type { Permissions } from '../manifest/manifest.ts';
import { refuseNeighbours, requireDatabase } from '../sqlite/header.ts';
import { type ByHand, filesOf, type LostNames, whyByHand } from '../sqlite/opening.ts';
import { requirePlainSiblings, siblingsOf } from '../sqlite/siblings.ts';
import { formatBytes } from '../units.ts';

export interface Source {
  /** The real path. */
  path: string;
  /** Device and inode, to notice a replacement and the same file under two names. */
  identity: string;
  sizeBytes: number;
  journalMode: 'wal' | 'rollback';
  /** Its `-wal` at the first look. Missing for files that have lost their names. */
  wal?: WalState;
  /** More than 1 when the same file has other names, whose siblings SQLite would not see under this one. */
  links: number;
  pageSize: number;
  permissions?: Permissions;
  /** Mounted as a single file: a `-wal` lies beside the original, and cannot be seen here. */
  isWalHidden?: true;
  /** Of files that have lost their names: where they are read. */
  byHand?: LostNames;
}

/** Size and time of a `-wal`. Each commit changes at least one of them. Both are 0 where there is none. */
export interface WalState {
  sizeBytes: number;
  mtimeMs: number;
}

export function walStateOf(path: string): WalState {
  const { size, mtimeMs } = statIfAny(`${path}-wal`) ?? { size: 0, mtimeMs: 0 };
  return { sizeBytes: size, mtimeMs };
}

/** Looks at a database before anything is opened or created. Refuses what cannot become a good backup, with the reason. */
export function inspectSource(database: string, largestBytes: number): Source {
  const path = resolveLive(database);
  requirePlainSiblings(path);
  const { journalMode, pageSize } = requireDatabase(path);
  refuseNeighbours(path);
  const { size: sizeBytes, mode, uid, gid } = statSync(path);
  requireSize(path, sizeBytes, largestBytes);
  const source = {
    path,
    identity: fileIdentity(path),
    sizeBytes,
    journalMode,
    wal: walStateOf(path),
    links: namesOf(path),
    pageSize,
    ...(process.platform !== 'win32' && { permissions: { mode: mode & 0o777, uid, gid } }),
  };
  refuseHiddenWal(source);
  return isWalHidden(source) ? { ...source, isWalHidden: true } : source;
}

/** As containers mount single files. A program that opens the database here has its `-wal` here. */
function isWalHidden({ path, journalMode }: Source): boolean {
  const wal = siblingsOf(path).get('-wal');
  if (journalMode !== 'wal' || (wal?.sizeBytes ?? 0) > 0 || !isMountPoint(path)) return false;
  return wal === undefined || !hasProgramHere(path);
}

/** A database that was deleted may still be open: then its content can be saved. */
function resolveLive(database: string): string {
  try {
    return resolveRegularFile(database);
  } catch (error) {
    if (!isBackupError(error) || error.code !== 'source-missing') throw error;
    const path = resolve(database);
    const [lost] = findLost(path);
    if (lost === undefined) throw error;
    throw new BackupError(
      'source-missing',
      `${path} does not exist, but ${lost.program} (pid ${lost.pid}) still has it open.`,
      {
        path,
        hint: `Save it before that program ends: sqlite-backup save-open ${path} --to DIR`,
        facts: { reason: 'still-open', program: lost.program, pid: lost.pid },
      },
    );
  }
}

/** The same of files that a program has open without their names. */
export function inspectLost(database: string, lost: LostFiles, largestBytes: number): Source {
  const path = resolve(database);
  const file = lost.files[''] ?? path;
  const { journalMode, pageSize } = requireDatabase(file);
  const { size: sizeBytes } = statSync(file);
  requireSize(path, sizeBytes, largestBytes);
  const byHand = { reason: 'lost-names', lost, files: lost.files, isComplete: true } as const;
  return { path, identity: lost.key, sizeBytes, journalMode, links: 1, pageSize, byHand };
}

/** Refuses what is larger than the person allows: a sparse or hostile file may claim any size. */
export function requireSize(path: string, sizeBytes: number, largestBytes: number): void {
  if (sizeBytes <= largestBytes) return;
  throw new BackupError(
    'too-large',
    `${path} has ${formatBytes(sizeBytes)}, more than the limit of ${formatBytes(largestBytes)}.`,
    {
      path,
      hint: 'If the size is real, raise the limit: --max-size, in the editor sqliteBackup.maxSize.',
      facts: { sizeBytes, largestBytes },
    },
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

/** Where a live database was read: in place, or from the guarded private copy that stands for it, and why. */
export interface Readable {
  path: string;
  byHand?: ByHand;
}

/** What SQLite says where it cannot make a `-shm`: on a read-only medium, a full disk, in the folder of another user. */
const cannotShare: ReadonlySet<ErrorCode> = new Set([
  'read-only-media',
  'access',
  'source-fs-full',
  'io-error',
]);

/**
 * Runs `open` on the database itself or, where SQLite must not or cannot open it, on a guarded private copy in `scratch`.
 * Explains failures as well as can be known.
 */
export function openWherePossible<T>(
  source: Source,
  scratch: string,
  open: (readable: Readable) => T,
): T {
  const { path, journalMode } = source;
  const byHand = source.byHand ?? whyByHand(path, journalMode);
  if (byHand !== undefined) return openCopy(path, scratch, byHand, open);
  try {
    return open({ path });
  } catch (error) {
    const known = explain(error, 'source', path);
    if (known.code === 'source-busy') throw nameLockers(known, path);
    if (journalMode !== 'wal' || !cannotShare.has(known.code)) throw known;
    return openCopy(path, scratch, { reason: 'read-only' }, open);
  }
}

function openCopy<T>(
  path: string,
  scratch: string,
  byHand: ByHand,
  open: (readable: Readable) => T,
): T {
  let copy: string;
  try {
    copy = makeReadableCopy(path, scratch, { files: filesOf(byHand) });
  } catch (error) {
    const isChanged = isBackupError(error) && error.facts?.['reason'] === 'changed';
    if (!isChanged || byHand.reason !== 'other-side') throw error;
    const { fileSystem } = byHand;
    throw new BackupError(
      'source-busy',
      `${path} lies on a shared file system (${fileSystem}) and is written to from its other side, where locks of this side are not seen. It changed each time while it was copied.`,
      {
        path,
        hint: 'Run the command line (sqlite-backup back-up) on the machine or in the container where its program runs.',
        facts: { reason: 'other-side', fileSystem },
        cause: error,
      },
    );
  }
  return open({ path: copy, byHand });
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
  if (isBackupError(error) && error.code === 'target-full' && error.path === dirname(privateFile))
    return aboutSpaceIn(folder, error);
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
