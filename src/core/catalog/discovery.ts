/** Which of many files are databases, by their headers. */
import { type Dirent, readdirSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { BackupError, type ErrorCode, explain, isBackupError } from '../errors.ts';
import { fileIdentity, neverEntered, resolveRegularFile } from '../files/paths.ts';
import { isPrivateFolderName } from '../files/workplace.ts';
import { parseSetAsideName } from '../manifest/names.ts';
import { hasDatabaseExtension, requireDatabase } from '../sqlite/header.ts';
import { litestreamFolderOf } from '../sqlite/litestream.ts';
import { siblingsOf } from '../sqlite/siblings.ts';
import { isOwnBackup } from './catalog.ts';

export interface FoundDatabase {
  path: string;
  sizeBytes: number;
  /** `wal`, or `rollback` for all others. */
  journalMode: 'wal' | 'rollback';
  /** Bytes in the WAL, 0 when there is none. */
  walBytes: number;
  /** Last written, ISO 8601: the newer of the file and its WAL. */
  modifiedAt: string;
  /** Litestream keeps a folder beside it; `hasProgram` is there where it was looked for. */
  litestream?: { hasProgram?: boolean };
}

interface SkippedFile {
  path: string;
  /** `own-backup`: made by SQLite Backup (a backup, or kept by a restore), so never a source. */
  code: ErrorCode | 'own-backup';
  reason: string;
}

export interface Inspection {
  databases: FoundDatabase[];
  skipped: SkippedFile[];
}

/** Looks at the header of each path. A file under several names is reported once, under the first. */
export function inspectFiles(paths: readonly string[]): Inspection {
  const databases: FoundDatabase[] = [];
  const skipped: SkippedFile[] = [];
  const seen = new Set<string>();
  for (const path of paths) {
    try {
      const real = resolveRegularFile(path);
      const identity = fileIdentity(real);
      if (seen.has(identity)) continue;
      seen.add(identity);
      if (isOwnBackup(real) || parseSetAsideName(basename(real)) !== undefined) {
        skipped.push({ path, code: 'own-backup', reason: 'it is a backup' });
        continue;
      }
      databases.push(describe(path, real));
    } catch (error) {
      const known = isBackupError(error) ? error : explain(error, 'source', path);
      skipped.push({ path, code: known.code, reason: known.message });
    }
  }
  return { databases, skipped };
}

function describe(path: string, real: string): FoundDatabase {
  const { journalMode } = requireDatabase(real);
  const stats = statSync(real);
  const wal = statSync(`${real}-wal`, { throwIfNoEntry: false });
  return {
    path,
    sizeBytes: stats.size,
    journalMode,
    walBytes: siblingsOf(real).get('-wal')?.sizeBytes ?? 0,
    modifiedAt: new Date(Math.max(stats.mtimeMs, wal?.mtimeMs ?? 0)).toISOString(),
    ...(litestreamFolderOf(path) !== undefined && { litestream: {} }),
  };
}

/**
 * All databases below `folder`. Files with a database's extension that are none are `skipped` with the reason; other
 * files count only if they are databases. Does not enter `node_modules`, `.git`, or folders behind links.
 */
export function findDatabases(folder: string): Inspection {
  const root = resolve(folder);
  if (!isFolder(root)) {
    throw new BackupError('source-missing', `${root} is not a folder.`, {
      path: root,
      hint: 'Check the path.',
    });
  }
  const unreadable: SkippedFile[] = [];
  const candidates = [...walk(root, unreadable)];
  const { databases, skipped } = inspectFiles(candidates);
  const expected = skipped.filter(({ path }) => hasDatabaseExtension(path));
  return { databases, skipped: [...unreadable, ...expected] };
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (error) {
    throw explain(error, 'source', path);
  }
}

function* walk(folder: string, unreadable: SkippedFile[]): Generator<string> {
  let entries: Dirent[];
  try {
    entries = readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    const { code, message } = explain(error, 'source', folder);
    unreadable.push({ path: folder, code, reason: message });
    return;
  }
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      if (!neverEntered.has(entry.name) && !isPrivateFolderName(entry.name))
        yield* walk(path, unreadable);
    } else {
      yield path;
    }
  }
}
