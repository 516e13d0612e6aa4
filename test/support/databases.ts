import { createHash } from 'node:crypto';
import { closeSync, existsSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import Database from 'better-sqlite3';
import { siblingSuffixes } from '../../src/core/files.ts';
import { takeSnapshot, type Snapshot, type SnapshotRequest } from '../../src/core/snapshot.ts';

interface DatabaseOptions {
  /** Pragmas that only count before the first table. */
  pragmas?: string[];
  journalMode?: 'delete' | 'wal' | 'persist' | 'truncate';
  /** SQL that fills it; a table of `rows` rows otherwise. */
  sql?: string;
  rows?: number;
}

/** Creates a closed database at `path` and returns the path. */
export function createDatabase(path: string, options: DatabaseOptions = {}): string {
  const { pragmas = [], journalMode = 'delete', rows = 100, sql = itemsSql(rows) } = options;
  withDatabase(path, (db) => {
    for (const pragma of pragmas) db.pragma(pragma);
    db.pragma(`journal_mode = ${journalMode}`);
    db.exec(sql);
  });
  return path;
}

/** A table and an index of `rows` rows of about 220 bytes. */
export function itemsSql(rows: number): string {
  return `CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT NOT NULL, payload BLOB);
    CREATE INDEX items_by_name ON items (name);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})
    INSERT INTO items SELECT i, 'item ' || i, randomblob(200) FROM n;`;
}

/** Opens `path` for the time of `use`. */
export function withDatabase<T>(
  path: string,
  use: (db: Database.Database) => T,
  options: Database.Options = {},
): T {
  const db = new Database(path, options);
  try {
    return use(db);
  } finally {
    db.close();
  }
}

/** The one value that `sql` returns, read without leaving anything beside a file in rollback mode. */
export function valueOf(path: string, sql: string): unknown {
  return withDatabase(path, (db) => db.prepare(sql).pluck().get(), {
    readonly: true,
    fileMustExist: true,
  });
}

/** The rows of all ordinary tables, rowids included where there are any, in a form that can be compared. */
export function contentOf(path: string): Record<string, unknown[]> {
  return withDatabase(
    path,
    (db) => {
      const tables = db
        .prepare("SELECT name FROM pragma_table_list WHERE type = 'table' ORDER BY 1")
        .pluck()
        .all() as string[];
      return Object.fromEntries(
        tables.map((table) => [table, db.prepare(`SELECT * FROM "${table}" ORDER BY 1`).all()]),
      );
    },
    { readonly: true, fileMustExist: true },
  );
}

/** SHA-256 of a database and of each sibling that exists: what must be the same after a backup of it. */
export function bytesOf(path: string): Record<string, string> {
  const names = ['', '-wal', '-journal'].filter((suffix) => existsSync(path + suffix));
  return Object.fromEntries(names.map((suffix) => [suffix, sha256(path + suffix)]));
}

export function sha256(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

/**
 * SHA-256 of the pages of a database, without the fields of the header that the Online Backup API sets anew: journal mode,
 * change counter, schema cookie, version-valid-for and the version of SQLite.
 */
export function pagesOf(path: string): string {
  const bytes = readFileSync(path);
  for (const [from, to] of [
    [18, 20],
    [24, 28],
    [40, 44],
    [92, 100],
  ])
    bytes.fill(0, from, to);
  return createHash('sha256').update(bytes).digest('hex');
}

export function siblingsBeside(path: string): string[] {
  return siblingSuffixes.filter((suffix) => existsSync(path + suffix));
}

/** Overwrites bytes of a file in place. */
export function overwrite(path: string, offset: number, bytes: Uint8Array): void {
  const handle = openSync(path, 'r+');
  try {
    writeSync(handle, bytes, 0, bytes.length, offset);
  } finally {
    closeSync(handle);
  }
}

/**
 * Changes one letter of the stored text `text`, which stays valid text: damage that SQLite's own check cannot see.
 */
export function flipValue(path: string, text: string): void {
  const offset = readFileSync(path).indexOf(text);
  if (offset < 0) throw new Error(`${path} does not contain ${text}`);
  overwrite(path, offset, Buffer.from([text.charCodeAt(0) ^ 1]));
}

/** A request as the command line makes it; `folder` is `backups` beside the database. */
export function requestFor(
  database: string,
  changes: Partial<SnapshotRequest> = {},
): SnapshotRequest {
  return {
    database,
    folder: join(dirname(database), 'backups'),
    recordAs: { path: 'app.db' },
    method: 'exact',
    trigger: 'cli',
    verify: true,
    busyTimeoutMs: 100,
    largestBytes: 1e12,
    toolVersion: '0.0.0-test',
    ...changes,
  };
}

/** Takes a snapshot in this process, which must not have the database open. */
export function snapshot(
  database: string,
  changes: Partial<SnapshotRequest> = {},
  hooks: Partial<Parameters<typeof takeSnapshot>[1]> = {},
): Promise<Snapshot> {
  return takeSnapshot(requestFor(database, changes), {
    onProgress: () => undefined,
    beforePublish: () => Promise.resolve(),
    ...hooks,
  });
}

/**
 * A closed database, made by `sql`, in which the schema of `name` says `definition`: as if an application had made it that
 * brings along what plain SQLite does not have.
 */
export function createForeign(path: string, sql: string, name: string, definition: string): string {
  withDatabase(path, (db) => {
    db.function('app_function', { deterministic: true }, (value: unknown) => value);
    db.exec(
      `CREATE TABLE plain (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO plain VALUES (1, 'one')`,
    );
    db.exec(sql);
    db.unsafeMode();
    db.pragma('writable_schema = on');
    db.prepare('UPDATE sqlite_schema SET sql = ? WHERE name = ?').run(definition, name);
  });
  return path;
}

/** A database with an index in an order that only its application knows. */
export function createWithForeignCollation(path: string, rows = 10): string {
  return createForeign(
    path,
    `${itemsSql(rows)}; CREATE INDEX sorted ON items (name)`,
    'sorted',
    'CREATE INDEX sorted ON items (name COLLATE app_order)',
  );
}

/** Writes a file of exactly these bytes and returns its path. */
export function writeBytes(path: string, bytes: string | Uint8Array): string {
  writeFileSync(path, bytes);
  return path;
}
