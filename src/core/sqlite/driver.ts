/** Opening SQLite: the only place that loads the driver. All of `sqlite/` runs in the worker, on resolved paths. */
import Database from 'better-sqlite3';
import { BackupError, explain, type Side } from '../errors.ts';
import { requireLocksToReach } from './opening.ts';
import { requirePlainSiblings } from './siblings.ts';

/** A copy reads each page once: more cache costs memory and gains nothing. */
const sourceCachePragma = 'cache_size = -2000';

/** Refuses in words what would otherwise end as a crash: on an older Node-API the driver's first call is a segfault. */
export function requireDriver(
  versions: { napi?: string | undefined; node: string } = process.versions,
): void {
  if (Number(versions.napi ?? 0) >= 10) return;
  throw new BackupError(
    'feature-missing',
    `SQLite needs Node.js 22.14 or newer (Node-API 10); this is Node.js ${versions.node}.`,
    { hint: 'Update VS Code to 1.101 or newer, or run the command line with a newer Node.js.' },
  );
}

export function sqliteVersion(): string {
  const db = open(':memory:', {});
  try {
    return String(db.prepare('SELECT sqlite_version()').pluck().get());
  } finally {
    db.close();
  }
}

export function open(path: string, options: Database.Options): Database.Database {
  if (path !== path.trim()) {
    throw new BackupError(
      'bad-name',
      `${JSON.stringify(path)} ends in a blank, which cannot be opened safely.`,
      {
        path,
        hint: 'Rename the file.',
      },
    );
  }
  try {
    return new Database(path, options);
  } catch (error) {
    const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
    if (code === 'ERR_DLOPEN_FAILED' || code === 'MODULE_NOT_FOUND') {
      throw new BackupError(
        'feature-missing',
        `This package has no SQLite for ${process.platform}-${process.arch}.`,
        { hint: 'Install the package of SQLite Backup for this platform.', cause: error },
      );
    }
    throw error;
  }
}

/** Opens a database that may be live. Refuses one that must not be opened where it is. */
export function openLive(path: string, options: Database.Options): Database.Database {
  requirePlainSiblings(path);
  requireLocksToReach(path);
  return open(path, { ...options, fileMustExist: true });
}

export function openSource(path: string, busyTimeoutMs: number): Database.Database {
  const db = openLive(path, { readonly: true, timeout: busyTimeoutMs });
  try {
    db.pragma('trusted_schema = off');
    db.pragma('cell_size_check = on');
    db.pragma(sourceCachePragma);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

export function explained<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw explain(error, 'source', path);
  }
}

/** Reading can find damage or a lock; everything else that stops a copy happens where it is written. */
export function sideOf(error: unknown): Side {
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
  const ofSource = /^SQLITE_(CORRUPT|NOTADB|BUSY|LOCKED|PERM|IOERR_SHORT_READ)/;
  return typeof code === 'string' && ofSource.test(code) ? 'source' : 'target';
}

export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** For private files only: exclusive locking keeps even a WAL-mode file from getting a `-shm`. */
export function openPrivate(path: string): Database.Database {
  const db = open(path, { fileMustExist: true, timeout: 0 });
  try {
    db.pragma('locking_mode = exclusive');
    db.pragma('trusted_schema = off');
    db.pragma('cell_size_check = on');
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** The disk or the system failed, which says nothing about the content. */
export function isTrouble(error: unknown): boolean {
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
  const trouble = /^SQLITE_(CANTOPEN|FULL|NOMEM|PERM|READONLY|IOERR(?!_SHORT_READ))/;
  return typeof code === 'string' && trouble.test(code);
}

/** The check itself could not run: SQLite lacks something that the application brings along. */
export function isMissingFeature(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  // Damage has codes of its own. A plain error is SQL that cannot be run here: a missing function, collation, module,
  // tokenizer. Modules word it as they like, so the words do not count.
  const code: unknown = Reflect.get(error, 'code');
  return typeof code === 'string' && /^SQLITE_ERROR(_|$)/.test(code);
}

/** True for an error of SQL that cannot be run here, such as a missing function: no damage, no fault of the caller. */
export function isNotRunnable(error: unknown): error is Error {
  return isMissingFeature(error);
}
