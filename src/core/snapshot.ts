/*
 * One consistent copy of a live database, proved and published. The order of the steps is the guarantee:
 * look at the file -> make sure of the target -> pin an instant -> copy -> unpin -> compare and check the copy ->
 * hash -> publish. Until the last step nothing exists under a final name, and the source is only ever read.
 */
import { accessSync, constants, copyFileSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { BackupError, explain, isBackupError } from './errors.ts';
import {
  createPrivateFile,
  fileIdentity,
  freeBytes,
  makePrivateFolder,
  prepareFolder,
  publishPair,
  resolveRegularFile,
  sha256File,
  siblingsOf,
  snapshotNames,
  sweepLeftovers,
} from './files.ts';
import { requireDatabase, type Header } from './header.ts';
import { findLockers } from './holders.ts';
import {
  manifestFormat,
  serializeManifest,
  type Facts,
  type Finding,
  type Manifest,
  type Method,
  type Trigger,
} from './manifest.ts';
import {
  checkDatabase,
  differingFacts,
  pin,
  settleCopy,
  sqliteVersion,
  type Check,
  type Pin,
} from './sqlite.ts';

export type Phase = 'copy' | 'check' | 'hash' | 'publish';

/** Bytes of the phase, not of the whole: a check has no measurable progress and reports 0 of the file's size. */
export interface Progress {
  phase: Phase;
  doneBytes: number;
  totalBytes: number;
}

export interface SnapshotRequest {
  /** The live database. A symbolic link is followed. */
  database: string;
  /** The backups folder; made when it is missing. */
  folder: string;
  /** How the manifest names the database: `path` relative to the folder called `workspace`. */
  recordAs: { path: string; workspace?: string };
  method: Method;
  trigger: Trigger;
  /** Whether to run SQLite's own check on the copy. Size, facts and hash are always looked at. */
  verify: boolean;
  /** How long to wait for another program's lock, in ms. */
  busyTimeoutMs: number;
  /** Of this extension, for the manifest. */
  toolVersion: string;
}

export interface SnapshotHooks {
  /** Called between steps; what it throws ends the job and leaves nothing behind. */
  onProgress: (progress: Progress) => void;
  /** Called once when all is proved. After it resolves the job can no longer be cancelled; a rejection ends it. */
  beforePublish: () => Promise<void>;
}

export interface Snapshot {
  path: string;
  manifestPath: string;
  /** The real path of the database. */
  database: string;
  manifest: Manifest;
  durationMs: number;
}

/** Takes one snapshot. Throws a BackupError; whatever it throws, nothing is left under a final name. */
export async function takeSnapshot(
  request: SnapshotRequest,
  hooks: SnapshotHooks,
): Promise<Snapshot> {
  const startedAt = performance.now();
  const database = resolveRegularFile(request.database);
  const header = requireDatabase(database);
  refuseHiddenWal(database, header);
  const target = prepareFolder(request.folder);
  try {
    const stuck = await sweepLeftovers(target.path);
    requireSpace(target.path, statSync(database).size);
    const scratch = makePrivateFolder(target.path);
    try {
      const copy = join(scratch.path, 'copy.db');
      const copied = await copyDatabase(database, header, copy, target.path, request, hooks);
      const check = proveCopy(copy, copied.facts, request.verify, hooks);
      const sizeBytes = statSync(copy).size;
      const sha256 = sha256File(copy, (doneBytes) =>
        hooks.onProgress({ phase: 'hash', doneBytes, totalBytes: sizeBytes }),
      );
      const warnings = [...copied.warnings, ...stuck.map(leftover)];
      await hooks.beforePublish();
      const manifest: Manifest = {
        format: manifestFormat,
        kind: 'snapshot',
        tool: { name: 'sqlite-backup', version: request.toolVersion, sqlite: sqliteVersion() },
        createdAt: copied.at.toISOString(),
        source: request.recordAs,
        method: request.method,
        trigger: request.trigger,
        sizeBytes,
        sha256,
        facts: copied.facts,
        verdict: request.verify
          ? { status: check.status, checkedAt: new Date().toISOString(), findings: check.findings }
          : { status: 'unchecked', findings: [] },
        ...(warnings.length > 0 && { warnings }),
      };
      const published = publish(copy, target.path, database, manifest);
      return { ...published, database, manifest, durationMs: performance.now() - startedAt };
    } finally {
      scratch.remove();
    }
  } catch (error) {
    target.undo();
    throw error;
  }
}

function leftover(name: string): Finding {
  return {
    code: 'leftover',
    message: `${name} was left by an interrupted backup and could not be removed.`,
  };
}

/** Under a hard link's other name a WAL would not be seen, and with it the newest transactions. */
function refuseHiddenWal(database: string, header: Header): void {
  if (header.kind !== 'sqlite' || header.journalMode !== 'wal') return;
  const { nlink } = statSync(database);
  if (nlink < 2 || siblingsOf(database).has('-wal')) return;
  throw new BackupError(
    'incomplete',
    `${database} is one of ${nlink} hard links to the same file, and its WAL may be beside another of them.`,
    { path: database, hint: 'Name the path that the application uses.', facts: { links: nlink } },
  );
}

function requireSpace(folder: string, neededBytes: number): void {
  const availableBytes = freeBytes(folder);
  if (availableBytes >= neededBytes) return;
  throw new BackupError(
    'target-full',
    `Not enough space in ${folder}: ${neededBytes} bytes needed, ${availableBytes} free.`,
    {
      path: folder,
      hint: 'Free some space or choose another folder.',
      facts: { neededBytes, availableBytes },
    },
  );
}

interface Copied {
  facts: Facts;
  at: Date;
  warnings: Finding[];
}

async function copyDatabase(
  database: string,
  header: Extract<Header, { kind: 'sqlite' }>,
  copy: string,
  folder: string,
  request: SnapshotRequest,
  hooks: SnapshotHooks,
): Promise<Copied> {
  const identity = fileIdentity(database);
  const warnings: Finding[] = [];
  const pinned = pinWherePossible(database, header, dirname(copy), request.busyTimeoutMs);
  const { facts } = pinned;
  const at = new Date();
  try {
    const totalBytes = facts.pageCount * facts.pageSize;
    requireSpace(folder, totalBytes);
    createPrivateFile(copy);
    const created = fileIdentity(copy);
    await pinned.copyTo(copy, (donePages) => {
      const doneBytes = donePages * facts.pageSize;
      requireSpace(folder, totalBytes - doneBytes);
      hooks.onProgress({ phase: 'copy', doneBytes, totalBytes });
    });
    requireSameFile(copy, created, totalBytes, folder);
  } catch (error) {
    // The driver knows only the private file; people know the folder.
    throw isBackupError(error) && error.path !== copy ? error : retarget(error, folder);
  } finally {
    pinned.release();
  }
  if (replacedSince(database, identity)) {
    warnings.push({
      code: 'source-replaced',
      message: 'The database file was replaced during the backup: the snapshot is of the old file.',
    });
  }
  return { facts, at, warnings };
}

function retarget(error: unknown, folder: string): BackupError {
  const cause: unknown = isBackupError(error) ? error.cause : error;
  return explain(cause ?? error, 'target', folder);
}

function replacedSince(database: string, identity: string): boolean {
  try {
    return fileIdentity(database) !== identity;
  } catch {
    return true; // Moved or deleted: just as much no longer the file that was copied.
  }
}

function requireSameFile(copy: string, identity: string, sizeBytes: number, folder: string): void {
  const actual = statSync(copy).size;
  if (fileIdentity(copy) === identity && actual === sizeBytes) return;
  throw new BackupError('incomplete', `The copy has ${actual} of ${sizeBytes} bytes.`, {
    path: folder,
    hint: 'Try again.',
    facts: { reason: 'size' },
  });
}

/** Pins the database itself or, when SQLite cannot open it on a read-only medium, a private copy of its files. */
function pinWherePossible(
  database: string,
  header: Extract<Header, { kind: 'sqlite' }>,
  scratch: string,
  busyTimeoutMs: number,
): Pin {
  try {
    return pin(database, busyTimeoutMs);
  } catch (error) {
    const known = explain(error, 'source', database);
    if (known.code === 'source-busy') throw nameLockers(known, database);
    const cannotShare = known.code === 'read-only-media' || known.code === 'access';
    if (!cannotShare || header.journalMode !== 'wal') throw sourceDiskFull(known, database);
    if (!nothingCanWrite(database)) {
      throw new BackupError(
        'read-only-media',
        `${database} is in WAL mode, and this user may not write beside it, which SQLite needs to read it.`,
        {
          path: database,
          hint: 'Run as a user who may write to its folder, or copy the database with its -wal file elsewhere.',
          cause: known,
        },
      );
    }
    return pin(copyAside(database, scratch), busyTimeoutMs, database);
  }
}

function nameLockers(busy: BackupError, database: string): BackupError {
  const [locker] = findLockers(database);
  if (locker === undefined) return busy;
  return new BackupError(
    'source-busy',
    `${database} is locked by another program (${locker.name}, pid ${locker.pid}).`,
    { ...busy, facts: { program: locker.name, pid: locker.pid }, cause: busy.cause },
  );
}

/** On a full disk SQLite cannot make the -shm, and says only that it cannot open the file. */
function sourceDiskFull(error: BackupError, database: string): BackupError {
  const shmBytes = 32 * 1024;
  const mayBeSpace = error.code === 'access' || error.code === 'io-error';
  if (!mayBeSpace || freeBytes(dirname(database)) >= shmBytes) return error;
  return new BackupError(
    'source-fs-full',
    `${database} cannot be read: its disk has no room for the small -shm file that WAL mode needs.`,
    {
      path: database,
      hint: 'Free some space on the disk of the database and try again.',
      cause: error,
    },
  );
}

/** True only where no process, whoever runs it, can be writing: plain copying of the files is safe nowhere else. */
function nothingCanWrite(database: string): boolean {
  try {
    accessSync(dirname(database), constants.W_OK);
    return false;
  } catch (error) {
    return error instanceof Error && Reflect.get(error, 'code') === 'EROFS';
  }
}

function copyAside(database: string, scratch: string): string {
  const aside = join(scratch, 'aside.db');
  try {
    copyFileSync(database, aside, constants.COPYFILE_FICLONE);
    if (siblingsOf(database).has('-wal')) copyFileSync(`${database}-wal`, `${aside}-wal`);
    return aside;
  } catch (error) {
    throw explain(error, 'target', dirname(scratch));
  }
}

function proveCopy(copy: string, recorded: Facts, verify: boolean, hooks: SnapshotHooks): Check {
  const totalBytes = recorded.pageCount * recorded.pageSize;
  const differing = differingFacts(recorded, settleCopy(copy));
  if (differing.length > 0) {
    throw new BackupError(
      'incomplete',
      `The copy differs from the database: ${differing[0]?.message}`,
      {
        hint: 'Try again.',
        facts: { reason: 'facts' },
      },
    );
  }
  if (!verify) return { status: 'partial', findings: [] };
  hooks.onProgress({ phase: 'check', doneBytes: 0, totalBytes });
  return checkDatabase(copy, 'private');
}

/** Publishes a good copy; keeps a damaged one under a name that nobody takes for a backup, and fails. */
function publish(
  copy: string,
  folder: string,
  database: string,
  manifest: Manifest,
): { path: string; manifestPath: string } {
  const names = snapshotNames(database, new Date(manifest.createdAt));
  const describe = (): string => serializeManifest(manifest);
  if (manifest.verdict.status !== 'damaged') return publishPair(copy, folder, names, describe);
  const suspect = publishPair(copy, folder, suspectNames(names), describe);
  const [first] = manifest.verdict.findings;
  throw new BackupError(
    'corrupt',
    `${database} is damaged: ${first?.message ?? 'its check failed'}. This is no backup; the damaged copy is kept as ${basename(suspect.path)}.`,
    {
      path: database,
      hint: 'Restore it from an older backup, or try `sqlite3 DATABASE .recover` on the kept copy.',
      facts: { suspect: suspect.path, findings: manifest.verdict.findings.length },
    },
  );
}

function* suspectNames(names: Iterable<string>): Generator<string> {
  for (const name of names) yield `${name}.suspect`;
}
