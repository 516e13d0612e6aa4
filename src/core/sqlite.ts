/** The only importer of the SQLite driver. Everything here runs in the worker, on paths that are already resolved. */
import { createHash } from 'node:crypto';
import Database from 'better-sqlite3';
import { BackupError, explain, type Side } from './errors.ts';
import type { Facts, Finding, VerdictStatus } from './manifest.ts';

/** The source of a restart would be a commit between two steps; big steps also keep the pin short. */
const stepBytes = 8 * 1024 * 1024;
const fewestStepPages = 2000;
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

function open(path: string, options: Database.Options): Database.Database {
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

/** A live database held at one instant. `release` must be called, and before any other access to the file. */
export interface Pin {
  readonly facts: Facts;
  /**
   * Copies the pinned pages into the existing empty file `to`. `onStep` gets the pages done between two steps; what it
   * throws ends the copying. Never reports a copy that is not complete.
   */
  copyTo(to: string, onStep: (donePages: number) => void): Promise<void>;
  release(): void;
}

/**
 * Opens a live database read-only, waits at most `busyTimeoutMs` for a lock, and pins one instant of it. Nothing in the
 * database or its WAL changes; beside a WAL database SQLite may leave an empty `-wal` and a `-shm`. Errors speak of
 * `shownAs`, the path that the person knows.
 */
export function pin(path: string, busyTimeoutMs: number, shownAs: string = path): Pin {
  let db: Database.Database | undefined;
  try {
    db = open(path, { readonly: true, fileMustExist: true, timeout: busyTimeoutMs });
    const held = db;
    held.pragma('trusted_schema = off');
    held.pragma('cell_size_check = on');
    held.pragma(sourceCachePragma);
    held.exec('BEGIN');
    // BEGIN alone takes no lock. This read does, and it raises the real BUSY, NOTADB or CORRUPT.
    held.prepare('SELECT count(*) FROM sqlite_schema').get();
    const facts = readFacts(held);
    return {
      facts,
      copyTo: (to, onStep) => copyPages(held, facts, shownAs, to, onStep),
      release: () => held.close(),
    };
  } catch (error) {
    db?.close();
    throw explain(error, 'source', shownAs);
  }
}

async function copyPages(
  db: Database.Database,
  facts: Facts,
  source: string,
  to: string,
  onStep: (donePages: number) => void,
): Promise<void> {
  const stepPages = Math.max(fewestStepPages, Math.floor(stepBytes / facts.pageSize));
  let reported: Database.BackupMetadata;
  try {
    reported = await db.backup(to, {
      progress({ totalPages, remainingPages }) {
        onStep(totalPages - remainingPages);
        return stepPages;
      },
    });
  } catch (error) {
    throw explain(error, sideOf(error), sideOf(error) === 'target' ? to : source);
  }
  // A backup that was locked out reports success with zero pages.
  if (reported.totalPages !== facts.pageCount || reported.remainingPages !== 0) {
    throw new BackupError(
      'incomplete',
      `${source} was not copied completely: ${reported.totalPages} of ${facts.pageCount} pages.`,
      { path: source, hint: 'Try again.' },
    );
  }
  onStep(facts.pageCount);
}

/** Reading can find damage or a lock; everything else that stops a copy happens where it is written. */
function sideOf(error: unknown): Side {
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
  const ofSource = /^SQLITE_(CORRUPT|NOTADB|BUSY|LOCKED|PERM|IOERR_SHORT_READ)/;
  return typeof code === 'string' && ofSource.test(code) ? 'source' : 'target';
}

function readFacts(db: Database.Database): Facts {
  const pragma = (name: string): unknown => db.pragma(name, { simple: true });
  return {
    pageCount: Number(pragma('page_count')),
    pageSize: Number(pragma('page_size')),
    journalMode: String(pragma('journal_mode')),
    encoding: String(pragma('encoding')),
    autoVacuum: Number(pragma('auto_vacuum')) as Facts['autoVacuum'],
    userVersion: Number(pragma('user_version')),
    applicationId: Number(pragma('application_id')),
    schemaFingerprint: fingerprintSchema(db),
  };
}

function fingerprintSchema(db: Database.Database): string {
  const hash = createHash('sha256');
  const rows = db
    .prepare('SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY 1, 2, 3, 4')
    .raw();
  for (const row of rows.iterate()) hash.update(`${JSON.stringify(row)}\n`);
  return hash.digest('hex');
}

/**
 * Makes a finished copy stand alone (rollback mode, so that nothing appears beside it when it is read) and returns its
 * facts. The file is a private one that nobody else has open.
 */
export function settleCopy(path: string): Facts {
  const db = openPrivate(path);
  try {
    db.pragma('journal_mode = delete');
    return readFacts(db);
  } catch (error) {
    throw explain(error, sideOf(error), path);
  } finally {
    db.close();
  }
}

/** For private files only: exclusive locking keeps even a WAL-mode file from getting a `-shm`. */
function openPrivate(path: string): Database.Database {
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

/** What of the recorded facts does not hold for the copy; the journal mode is meant to differ. */
export function differingFacts(recorded: Facts, actual: Facts): Finding[] {
  const names = Object.keys(recorded) as (keyof Facts)[];
  return names
    .filter((name) => name !== 'journalMode' && recorded[name] !== actual[name])
    .map((name) => ({
      code: 'facts-differ',
      message: `${name} is ${actual[name]}, but ${recorded[name]} was recorded.`,
    }));
}

const mostFindings = 100;

export interface Check {
  status: Exclude<VerdictStatus, 'unchecked'>;
  findings: Finding[];
  /** Undefined when the file cannot be read as a database at all. */
  facts?: Facts;
}

/**
 * Runs `integrity_check` on a private file, or on one in rollback mode that is opened read-only. Damage is a finding,
 * not an exception. Missing collations, functions or modules make the check `partial`: each table is then checked alone.
 */
export function checkDatabase(path: string, access: 'private' | 'read-only'): Check {
  let db: Database.Database | undefined;
  try {
    db =
      access === 'private'
        ? openPrivate(path)
        : open(path, { readonly: true, fileMustExist: true, timeout: 0 });
    db.pragma('trusted_schema = off');
    const facts = readFacts(db);
    return { ...checkIntegrity(db), facts };
  } catch (error) {
    return { status: 'damaged', findings: [damage(error)] };
  } finally {
    db?.close();
  }
}

function checkIntegrity(db: Database.Database): Check {
  try {
    const findings = integrityFindings(
      db.pragma(`integrity_check(${mostFindings})`, { simple: false }),
    );
    return { status: findings.length === 0 ? 'ok' : 'damaged', findings };
  } catch (error) {
    if (!isMissingFeature(error)) return { status: 'damaged', findings: [damage(error)] };
    return checkTableByTable(db, error);
  }
}

function checkTableByTable(db: Database.Database, reason: Error): Check {
  const findings: Finding[] = [
    { code: 'not-fully-checkable', message: `Not everything could be checked: ${reason.message}.` },
  ];
  let status: Check['status'] = 'partial';
  const names = db
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1")
    .pluck();
  for (const name of names.all()) {
    if (typeof name !== 'string') continue;
    try {
      const quoted = `'${name.replaceAll("'", "''")}'`;
      const found = integrityFindings(db.pragma(`integrity_check(${quoted})`, { simple: false }));
      if (found.length > 0) status = 'damaged';
      findings.push(...found);
    } catch (error) {
      if (!isMissingFeature(error)) {
        status = 'damaged';
        findings.push(damage(error));
      } else {
        findings.push({ code: 'table-not-checkable', message: `${name}: ${error.message}.` });
      }
    }
  }
  return { status, findings: findings.slice(0, mostFindings) };
}

function integrityFindings(rows: unknown): Finding[] {
  return (rows as { integrity_check: unknown }[])
    .map((row) => String(row.integrity_check))
    .filter((text) => text !== 'ok')
    .map((message) => ({ code: 'integrity', message: message.slice(0, 500) }));
}

/** The check itself could not run: SQLite lacks something that the application brings along. */
function isMissingFeature(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  const code: unknown = Reflect.get(error, 'code');
  if (code === 'SQLITE_ERROR_MISSING_COLLSEQ') return true;
  const missing =
    /^(no such (collation sequence|function|module|tokenizer)|unknown function|vtable constructor failed)/;
  return code === 'SQLITE_ERROR' && missing.test(error.message);
}

function damage(error: unknown): Finding {
  return { code: 'unreadable', message: error instanceof Error ? error.message : String(error) };
}
