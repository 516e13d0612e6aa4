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
      `${JSON.stringify(path)} ends with a space, so it cannot be opened safely.`,
      {
        path,
        hint: 'Rename the file.',
      },
    );
  }
  try {
    return new Database(path, options);
  } catch (error) {
    const code = codeOf(error);
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
  const ofSource = /^SQLITE_(CORRUPT|NOTADB|BUSY|LOCKED|PERM|IOERR_SHORT_READ)/;
  return ofSource.test(codeOf(error)) ? 'source' : 'target';
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

/**
 * Damage that SQLite has seen in the content. Every other error (busy, full, no memory, no file handle, a failed read, a
 * defect of ours) says nothing about the content.
 */
export function isDamage(error: unknown): boolean {
  return /^SQLITE_(CORRUPT|NOTADB|FORMAT)(_|$)/.test(codeOf(error));
}

/** SQL that cannot be run here, or a value beyond the limits of this SQLite: no damage, no fault of the caller. */
export function isNotRunnable(error: unknown): error is Error {
  return /^SQLITE_(ERROR(_|$)|TOOBIG$)/.test(codeOf(error));
}

const missingFeature =
  /^(no such collation sequence|no such function|unknown function|no such module|no such tokenizer|unknown tokenizer): |^wrong number of arguments to function |^unsafe use of |^unable to use function .* in the requested context$/;

/** SQLite lacks what the application brings along: a collation, a function, a module, a tokenizer. */
export function isMissingFeature(error: unknown): error is Error {
  return isNotRunnable(error) && missingFeature.test(error.message);
}

function codeOf(error: unknown): string {
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
  return typeof code === 'string' ? code : '';
}
