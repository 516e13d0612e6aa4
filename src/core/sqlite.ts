/** The only importer of the SQLite driver. Everything here runs in the worker, on paths that are already resolved. */
import { createHash } from 'node:crypto';
import { accessSync, constants } from 'node:fs';
import Database from 'better-sqlite3';
import { BackupError, explain, type Side } from './errors.ts';
import { siblingsOf } from './files.ts';
import { requireDatabase } from './header.ts';
import type { Facts, Finding, TableFacts, VerdictStatus } from './manifest.ts';
import { readMigrations, type MigrationState, type TableReader } from './migrations.ts';
import { pause } from './pause.ts';

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
  /** Of the pinned instant; read when first asked for, so that several pins can be taken close together. */
  readonly facts: Facts;
  /**
   * Copies the pinned pages into the existing empty file `to`. `onStep` gets the pages done between two steps, and returns
   * how many may be copied until it is asked again (at least one is); what it throws ends the copying. Never reports a
   * copy that is not complete.
   */
  copyTo: (to: string, onStep: (donePages: number) => number) => Promise<void>;
  release(): void;
}

/**
 * Opens a live database read-only, waits at most `busyTimeoutMs` for a lock, and pins one instant of it. Nothing in the
 * database or its WAL changes; beside a WAL database SQLite may leave an empty `-wal` and a `-shm`. Errors speak of
 * `shownAs`, the path that the person knows.
 */
export function pin(path: string, busyTimeoutMs: number, shownAs: string = path): Pin {
  return explained(shownAs, () => {
    const db = openPinned(path, busyTimeoutMs);
    let facts: Facts | undefined;
    const factsOf = (): Facts => (facts ??= explained(shownAs, () => readFacts(db)));
    return {
      get facts() {
        return factsOf();
      },
      copyTo: (to, onStep) => copyPages(db, factsOf(), shownAs, to, onStep),
      release: () => db.close(),
    };
  });
}

function openPinned(path: string, busyTimeoutMs: number): Database.Database {
  const giveUpAt = performance.now() + busyTimeoutMs;
  for (;;) {
    const db = openSource(path, busyTimeoutMs);
    try {
      db.exec('BEGIN');
      // BEGIN alone takes no lock. This read does, and it raises the real BUSY, NOTADB or CORRUPT.
      db.prepare('SELECT count(*) FROM sqlite_schema').get();
      return db;
    } catch (error) {
      db.close();
      if (!isInRecovery(error) || performance.now() > giveUpAt) throw error;
      pause(recoveryPauseMs);
    }
  }
}

const recoveryPauseMs = 10;

/**
 * Somebody who may write is putting the WAL in order, for a moment. To a reader who may not, SQLite says so at once,
 * without waiting as it does for locks.
 */
function isInRecovery(error: unknown): boolean {
  return error instanceof Error && Reflect.get(error, 'code') === 'SQLITE_READONLY_RECOVERY';
}

function openSource(path: string, busyTimeoutMs: number): Database.Database {
  const db = open(path, { readonly: true, fileMustExist: true, timeout: busyTimeoutMs });
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

function explained<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw explain(error, 'source', path);
  }
}

/** Sees whether others commit to a database, without holding anything of it between two looks. */
export interface Watcher {
  /** Changes whenever another connection has committed. Throws `source-busy` when it cannot look. */
  version(): number;
  close(): void;
}

export function watch(path: string): Watcher {
  return explained(path, () => {
    const db = open(path, { readonly: true, fileMustExist: true, timeout: 0 });
    return {
      version: () => explained(path, () => Number(db.pragma('data_version', { simple: true }))),
      close: () => db.close(),
    };
  });
}

/**
 * Holds the write lock of a database for a moment, without writing. Release it while a pin on the same database is
 * open: then it is not the last connection, and closing it checkpoints nothing.
 */
export function holdWriteLock(
  path: string,
  timeoutMs: number,
  kind: 'IMMEDIATE' | 'EXCLUSIVE' = 'IMMEDIATE',
): { release: () => void } {
  return explained(path, () => {
    // On a file that may only be read, BEGIN IMMEDIATE says nothing and locks nothing.
    accessSync(path, constants.W_OK);
    const db = open(path, { fileMustExist: true, timeout: timeoutMs });
    try {
      db.pragma('trusted_schema = off');
      db.exec(`BEGIN ${kind}`);
    } catch (error) {
      db.close();
      throw error;
    }
    return {
      release: () => {
        db.exec('ROLLBACK');
        db.close();
      },
    };
  });
}

/**
 * True when another program is in the middle of a transaction on the database, whoever runs it. Takes and drops a lock
 * for a moment, writes nothing and never checkpoints. An idle connection in rollback mode holds no lock at all.
 */
export function probeLock(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    const { journalMode } = requireDatabase(path);
    const siblings = siblingsOf(path);
    // Opening it for writing would roll a hot journal back.
    if ((siblings.get('-journal')?.sizeBytes ?? 0) > 0) return false;
    // Whoever has a WAL database open has a -shm, and nothing must appear beside one that nobody has.
    if (journalMode === 'wal' && !siblings.has('-shm')) return false;
    const held = journalMode === 'wal' ? pin(path, 0) : undefined;
    try {
      holdWriteLock(path, 0, journalMode === 'wal' ? 'IMMEDIATE' : 'EXCLUSIVE').release();
    } finally {
      held?.release();
    }
    return false;
  } catch (error) {
    // What cannot be opened for other reasons is held by nobody that a lock would tell of.
    return explain(error, 'source', path).code === 'source-busy';
  }
}

/**
 * Writes a compacted copy of a live database into the existing empty file `to`. It is one committed state, but which one
 * is only known to lie between the two facts returned. Cannot be interrupted but by ending the process. VACUUM copies
 * what it finds, without a word about what damage has hidden, so with `check` a damaged source is refused before.
 */
export function compactInto(
  path: string,
  to: string,
  { busyTimeoutMs, shownAs, check }: { busyTimeoutMs: number; shownAs: string; check: boolean },
): { before: Facts; after: Facts } {
  const db = explained(shownAs, () => openSource(path, busyTimeoutMs));
  try {
    const before = explained(shownAs, () => readFacts(db));
    if (check) explained(shownAs, () => refuseDamaged(db, shownAs));
    // The copy is synced like this read-only connection, which writes nothing else: the caller syncs it before publishing.
    db.pragma('synchronous = off');
    try {
      db.prepare('VACUUM INTO ?').run(to);
    } catch (error) {
      if (isMissingFeature(error)) throw cannotCompact(error, shownAs);
      throw explain(error, sideOf(error), sideOf(error) === 'target' ? to : shownAs);
    }
    return { before, after: explained(shownAs, () => readFacts(db)) };
  } finally {
    db.close();
  }
}

function refuseDamaged(db: Database.Database, path: string): void {
  const { status, findings } = checkIntegrity(db);
  if (status !== 'damaged') return;
  const [first] = findings;
  throw new BackupError('corrupt', `${path} is damaged: ${first?.message ?? 'its check failed'}.`, {
    path,
    hint: 'The method exact keeps a copy of all there is. Restore the database from an older backup.',
  });
}

function cannotCompact(error: Error, path: string): BackupError {
  return new BackupError(
    'feature-missing',
    `${path} cannot be compacted here: ${error.message}, which its application brings along.`,
    { path, hint: 'Use the method exact, which copies page for page.', cause: error },
  );
}

async function copyPages(
  db: Database.Database,
  facts: Facts,
  source: string,
  to: string,
  onStep: (donePages: number) => number,
): Promise<void> {
  let reported: Database.BackupMetadata;
  try {
    reported = await db.backup(to, {
      progress({ totalPages, remainingPages }) {
        return Math.max(1, Math.floor(onStep(totalPages - remainingPages)));
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

/** Brings a restored private file into the journal mode that its application had chosen, and closes it cleanly. */
export function restoreJournalMode(path: string, journalMode: string): void {
  const db = open(path, { fileMustExist: true, timeout: 0 });
  try {
    db.pragma('trusted_schema = off');
    // Only WAL is written in the file; the other modes are each connection's own choice.
    if (journalMode === 'wal') db.pragma('journal_mode = wal');
    db.exec('BEGIN IMMEDIATE; ROLLBACK');
  } finally {
    db.close();
  }
}

/** What a snapshot is known to contain. */
export interface Contents {
  facts: Facts;
  /** Ordinary tables, without SQLite's own. `rows` only where they were counted. */
  tables: TableFacts[];
  migrations: MigrationState[];
}

/**
 * Makes a finished copy stand alone (rollback mode, so that nothing appears beside it when it is read) and returns what
 * it contains, without counting rows. The file is a private one that nobody else has open.
 */
export function settleCopy(path: string): Contents {
  const db = openPrivate(path);
  try {
    db.pragma('journal_mode = delete');
    return readContents(db, { countRows: false });
  } catch (error) {
    throw explain(error, sideOf(error), path);
  } finally {
    db.close();
  }
}

/** What a database contains, read-only and without counting rows. */
export function describeDatabase(path: string, busyTimeoutMs: number): Contents {
  return explained(path, () => {
    const db = openSource(path, busyTimeoutMs);
    try {
      return readContents(db, { countRows: false });
    } finally {
      db.close();
    }
  });
}

function readContents(db: Database.Database, { countRows }: { countRows: boolean }): Contents {
  const facts = readFacts(db);
  const names = ordinaryTables(db);
  const tables = names
    .filter((name) => !name.startsWith('sqlite_'))
    .map((name) => {
      const rows = countRows ? countRowsOf(db, name) : undefined;
      return rows === undefined ? { name } : { name, rows };
    });
  return { facts, tables, migrations: readMigrations(tableReader(db, names, facts.userVersion)) };
}

/** Tables with a page of their own: no views and no virtual tables, whose reading would run what the file says. */
function ordinaryTables(db: Database.Database): string[] {
  const names = db
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 ORDER BY name")
    .pluck()
    .all();
  return names.filter((name) => typeof name === 'string');
}

/** Undefined when the count needs something that only the application has. */
function countRowsOf(db: Database.Database, table: string): number | undefined {
  // The second form avoids indexes, which may use a collation that is missing here.
  for (const suffix of ['', ' NOT INDEXED']) {
    try {
      return Number(
        db
          .prepare(`SELECT count(*) FROM ${quoted(table)}${suffix}`)
          .pluck()
          .get(),
      );
    } catch (error) {
      if (!isMissingFeature(error)) throw error;
    }
  }
  return undefined;
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function tableReader(db: Database.Database, names: string[], userVersion: number): TableReader {
  const ordinary = new Set(names);
  return {
    columnsOf(table) {
      if (!ordinary.has(table)) return undefined;
      const columns = db.pragma(`table_info(${quoted(table)})`) as { name: string }[];
      return columns.map(({ name }) => name);
    },
    rows: (sql) => db.prepare(sql).safeIntegers().iterate() as Iterable<Record<string, unknown>>,
    userVersion,
  };
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
  /** Worth knowing, but no fault of the backup: rows that break the rules of their own table. */
  remarks: Finding[];
  /** With rows counted. Undefined when the file is damaged. */
  contents?: Contents;
}

/**
 * Runs `integrity_check` on a private file, or on one in rollback mode that is opened read-only, and counts rows. Damage
 * is a finding; only trouble with reading is an exception. Missing collations, functions or modules make the check
 * `partial`: each table is then checked alone.
 */
export function checkDatabase(
  path: string,
  {
    access,
    foreignKeys = false,
    busyTimeoutMs = 0,
  }: {
    access: 'private' | 'read-only';
    foreignKeys?: boolean;
    /** How long to wait where others may have the file open. */
    busyTimeoutMs?: number;
  },
): Check {
  let db: Database.Database | undefined;
  try {
    db =
      access === 'private'
        ? openPrivate(path)
        : open(path, { readonly: true, fileMustExist: true, timeout: busyTimeoutMs });
    db.pragma('trusted_schema = off');
    const integrity = checkIntegrity(db);
    // A damaged file may say anything of itself.
    if (integrity.status === 'damaged') return integrity;
    const remarks = [...integrity.remarks, ...(foreignKeys ? foreignKeyRemarks(db) : [])];
    return { ...integrity, remarks, contents: readContents(db, { countRows: true }) };
  } catch (error) {
    if (isTrouble(error)) throw error;
    return { status: 'damaged', findings: [damage(error)], remarks: [] };
  } finally {
    db?.close();
  }
}

/** The disk or the system failed, which says nothing about the content. */
function isTrouble(error: unknown): boolean {
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
  const trouble = /^SQLITE_(CANTOPEN|FULL|NOMEM|PERM|READONLY|IOERR(?!_SHORT_READ))/;
  return typeof code === 'string' && trouble.test(code);
}

const mostOrphans = 1000;

function foreignKeyRemarks(db: Database.Database): Finding[] {
  const orphans = new Map<string, number>();
  let total = 0;
  try {
    const rows = db.prepare('PRAGMA foreign_key_check').iterate() as Iterable<{ table: string }>;
    for (const { table } of rows) {
      orphans.set(table, (orphans.get(table) ?? 0) + 1);
      if (++total >= mostOrphans) break;
    }
  } catch (error) {
    // A foreign key to a table or column that does not exist: SQLite allows to declare it, and cannot check it.
    const reason = error instanceof Error ? error.message : String(error);
    return [finding('foreign-keys-not-checkable', `Foreign keys could not be checked: ${reason}.`)];
  }
  const atLeast = total >= mostOrphans ? 'at least ' : '';
  return [...orphans].map(([table, count]) =>
    finding(
      'foreign-keys',
      `${table}: ${atLeast}${count} rows refer to a parent that does not exist.`,
    ),
  );
}

type Integrity = Pick<Check, 'status' | 'findings' | 'remarks'>;

function checkIntegrity(db: Database.Database): Integrity {
  try {
    const { findings, remarks } = integrityFindings(
      db.pragma(`integrity_check(${mostFindings})`, { simple: false }),
    );
    if (findings.length > 0) return { status: 'damaged', findings, remarks };
    const unknown = unknownModules(db);
    return { status: unknown.length > 0 ? 'partial' : 'ok', findings: unknown, remarks };
  } catch (error) {
    if (isTrouble(error)) throw error;
    if (!isMissingFeature(error)) {
      return { status: 'damaged', findings: [damage(error)], remarks: [] };
    }
    return checkTableByTable(db, error);
  }
}

function checkTableByTable(db: Database.Database, reason: Error): Integrity {
  const findings = [
    finding('not-fully-checkable', `Not everything could be checked: ${reason.message}.`),
    ...unknownModules(db),
  ];
  const remarks: Finding[] = [];
  let status: Integrity['status'] = 'partial';
  const found = (damages: Finding[]): void => {
    if (damages.length > 0) status = 'damaged';
    findings.push(...damages);
  };
  const names = db
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1")
    .pluck();
  const ordinary = new Set(ordinaryTables(db));
  for (const name of names.all()) {
    if (typeof name !== 'string') continue;
    try {
      const rows = db.pragma(`integrity_check(${quoted(name)})`, { simple: false });
      const one = integrityFindings(rows);
      found(one.findings);
      remarks.push(...one.remarks);
    } catch (error) {
      if (!isMissingFeature(error)) {
        found([damage(error)]);
        continue;
      }
      findings.push(finding('table-not-checkable', `${name}: ${error.message}.`));
      if (ordinary.has(name)) found(scanFindings(db, name));
    }
  }
  return {
    status,
    findings: findings.slice(0, mostFindings),
    remarks: remarks.slice(0, mostFindings),
  };
}

function scanFindings(db: Database.Database, table: string): Finding[] {
  try {
    scanTable(db, table);
    return [];
  } catch (error) {
    return isMissingFeature(error) ? [] : [damage(error)];
  }
}

/** Virtual tables of modules that only the application has: SQLite passes over them without a word. */
function unknownModules(db: Database.Database): Finding[] {
  const known = new Set(
    db.prepare('SELECT lower(name) FROM pragma_module_list').pluck().all() as string[],
  );
  const tables = db
    .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND rootpage = 0")
    .all() as { name: unknown; sql: unknown }[];
  return tables.flatMap(({ name, sql }) => {
    const module = /\bUSING\s+["'`[]?(\w+)/i.exec(String(sql))?.[1];
    return module === undefined || known.has(module.toLowerCase())
      ? []
      : [finding('table-not-checkable', `${String(name)}: no such module: ${module}.`)];
  });
}

/** Reads every value of a table that the check cannot run on, so that at least its pages are proved readable. */
function scanTable(db: Database.Database, table: string): void {
  const stored = (db.pragma(`table_xinfo(${quoted(table)})`) as { name: string; hidden: number }[])
    .filter(({ hidden }) => hidden === 0)
    .map(({ name }) => quoted(name));
  const rows = db.prepare(`SELECT ${stored.join(', ')} FROM ${quoted(table)} NOT INDEXED`).raw();
  for (const row of rows.iterate()) void row;
}

/** Rows that break a rule of their table were let in by the application: they are in the database, and in the copy. */
const brokenRule = /^(CHECK constraint failed in|NULL value in) /;

function integrityFindings(rows: unknown): Pick<Integrity, 'findings' | 'remarks'> {
  const messages = (rows as { integrity_check: unknown }[])
    .map((row) => String(row.integrity_check))
    .filter((text) => text !== 'ok');
  return {
    findings: messages
      .filter((message) => !brokenRule.test(message))
      .map((message) => finding('integrity', message)),
    remarks: messages
      .filter((message) => brokenRule.test(message))
      .map((message) => finding('broken-rule', message)),
  };
}

/** The check itself could not run: SQLite lacks something that the application brings along. */
function isMissingFeature(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  // Damage has codes of its own. A plain error is SQL that cannot be run here: a missing function, collation, module,
  // tokenizer. Modules word it as they like, so the words do not count.
  const code: unknown = Reflect.get(error, 'code');
  return typeof code === 'string' && /^SQLITE_ERROR(_|$)/.test(code);
}

function damage(error: unknown): Finding {
  return finding('unreadable', error instanceof Error ? error.message : String(error));
}

const longestMessage = 500;

/** Messages of SQLite may quote names of any length. */
function finding(code: string, message: string): Finding {
  return { code, message: message.slice(0, longestMessage) };
}

/** Two databases in one connection, each held at one instant: `main` is the left one, `other` the right one. */
export interface Pair {
  rows(sql: string, ...parameters: unknown[]): Record<string, unknown>[];
  /** The first column of the first row. */
  value(sql: string, ...parameters: unknown[]): unknown;
  close(): void;
}

/** Opens two databases read-only. Errors speak of the paths that the person knows. */
export function openPair(left: string, right: string, busyTimeoutMs: number): Pair {
  const db = explained(left, () => openSource(left, busyTimeoutMs));
  try {
    explained(right, () => db.prepare('ATTACH ? AS other').run(right));
    db.exec('BEGIN');
    for (const [schema, path] of [
      ['main', left],
      ['other', right],
    ] as const) {
      explained(path, () => db.prepare(`SELECT count(*) FROM ${schema}.sqlite_schema`).get());
    }
  } catch (error) {
    db.close();
    throw error;
  }
  return {
    rows: (sql, ...parameters) => db.prepare(sql).all(...parameters) as Record<string, unknown>[],
    value: (sql, ...parameters) =>
      db
        .prepare(sql)
        .pluck()
        .get(...parameters),
    close: () => db.close(),
  };
}

/** The schema as text that can be compared: sorted, one statement after another. Opens read-only. */
export function readSchemaText(path: string, busyTimeoutMs: number): string {
  return explained(path, () => {
    const db = openSource(path, busyTimeoutMs);
    try {
      const rows = db
        .prepare('SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type DESC, name')
        .pluck()
        .all();
      return rows.map((sql) => `${String(sql)};\n`).join('\n');
    } finally {
      db.close();
    }
  });
}

/** True for an error of SQL that cannot be run here, such as a missing function: no damage, no fault of the caller. */
export function isNotRunnable(error: unknown): error is Error {
  return isMissingFeature(error);
}
