/** What a database contains: facts, tables, row counts, migrations, schema text. */
import { createHash } from 'node:crypto';
import type Database from 'better-sqlite3';
import { explain } from '../errors.ts';
import type { Facts, Finding, TableFacts } from '../manifest/manifest.ts';
import {
  explained,
  isNotRunnable,
  open,
  openPrivate,
  openSource,
  quoted,
  sideOf,
} from './driver.ts';
import { type MigrationState, readMigrations, type TableReader } from './migrations.ts';
import { renewFirstChecksum } from './pageChecksums.ts';

export function readFacts(db: Database.Database): Facts {
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
  renewFirstChecksum(path);
}

/** What a snapshot is known to contain. */
export interface Contents {
  facts: Facts;
  /** Ordinary tables, without SQLite's own. `rows` only where they were counted. */
  tables: TableFacts[];
  migrations: MigrationState[];
  /** By table, where they were asked for. */
  columns?: Record<string, string[]>;
}

/**
 * Makes a finished copy stand alone (rollback mode, so that nothing appears beside it when it is read) and returns what
 * it contains, without counting rows. The file is a private one that no other process has open.
 */
export function settleCopy(path: string): Contents {
  try {
    const contents = settle(path);
    renewFirstChecksum(path);
    return contents;
  } catch (error) {
    throw explain(error, sideOf(error), path);
  }
}

function settle(path: string): Contents {
  const db = openPrivate(path);
  try {
    // The whole file is synced once, before it gets a name.
    db.pragma('synchronous = off');
    db.pragma('journal_mode = delete');
    return readContents(db, { countRows: 'none' });
  } finally {
    db.close();
  }
}

/** What a database contains, read-only; rows are counted only where that is asked for. */
export function describeDatabase(
  path: string,
  busyTimeoutMs: number,
  { countRows = 'none', columns = false }: { countRows?: 'none' | 'any'; columns?: boolean } = {},
): Contents {
  return explained(path, () => {
    const db = openSource(path, busyTimeoutMs);
    try {
      const contents = readContents(db, { countRows });
      return columns ? { ...contents, columns: columnsOf(db) } : contents;
    } finally {
      db.close();
    }
  });
}

export function readContents(
  db: Database.Database,
  { countRows }: { countRows: 'none' | 'any' | 'without-indexes' },
): Contents {
  const facts = readFacts(db);
  const names = ordinaryTables(db);
  const tables = names
    .filter((name) => !name.startsWith('sqlite_'))
    .map((name) => {
      const rows =
        countRows === 'none' ? undefined : countRowsOf(db, name, { indexes: countRows === 'any' });
      return rows === undefined ? { name } : { name, rows };
    });
  return { facts, tables, migrations: readMigrations(tableReader(db, names, facts.userVersion)) };
}

/** Tables with a page of their own: no views and no virtual tables, whose reading would run what the file says. */
export function ordinaryTables(db: Database.Database): string[] {
  const names = db
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 ORDER BY name")
    .pluck()
    .all();
  return names.filter((name) => typeof name === 'string');
}

/** The names of the stored columns of each table. */
function columnsOf(db: Database.Database): Record<string, string[]> {
  const columns = db.prepare('SELECT name FROM pragma_table_info(?) ORDER BY cid').pluck();
  return Object.fromEntries(
    ordinaryTables(db).map((name) => [name, columns.all(name) as string[]]),
  );
}

/** Undefined when the count needs something that only the application has. */
function countRowsOf(
  db: Database.Database,
  table: string,
  { indexes }: { indexes: boolean },
): number | undefined {
  // The second form avoids indexes, which may use a collation that is missing here.
  for (const suffix of [...(indexes ? [''] : []), ' NOT INDEXED']) {
    try {
      return Number(
        db
          .prepare(`SELECT count(*) FROM ${quoted(table)}${suffix}`)
          .pluck()
          .get(),
      );
    } catch (error) {
      if (!isNotRunnable(error)) throw error;
    }
  }
  return undefined;
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

/** What of the recorded facts does not hold for the copy; the journal mode is meant to differ. */
export function differingFacts(recorded: Facts, actual: Facts): Finding[] {
  const names = Object.keys(recorded) as (keyof Facts)[];
  return names
    .filter((name) => name !== 'journalMode' && recorded[name] !== actual[name])
    .map((name) => ({
      code: 'facts-differ',
      message: `The ${inWords(name)} is ${actual[name]}, not ${recorded[name]} as recorded.`,
    }));
}

/** `pageCount` as "page count". */
function inWords(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
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
