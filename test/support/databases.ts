import { createHash } from 'node:crypto';
import { closeSync, existsSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import Database from 'better-sqlite3';
import type { SnapshotHooks } from '../../src/core/job.ts';
import { type Manifest, parseManifest } from '../../src/core/manifest/manifest.ts';
import {
  type Snapshot,
  type SnapshotOptions,
  type SnapshotRequest,
  type Snapshots,
  type SnapshotsRequest,
  takeSnapshot,
  takeSnapshots,
} from '../../src/core/snapshot/snapshot.ts';
import { siblingSuffixes } from '../../src/core/files/siblingNames.ts';

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
    // Nothing has to outlive a machine that fails while a test prepares.
    db.pragma('synchronous = off');
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

/** The same of about so many megabytes, in few rows: many small ones take several times as long. */
export function createLarge(
  path: string,
  megabytes: number,
  journalMode: DatabaseOptions['journalMode'] = 'delete',
): string {
  const sql = `CREATE TABLE items (id INTEGER PRIMARY KEY, payload BLOB);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${megabytes})
    INSERT INTO items SELECT i, zeroblob(1000000) FROM n;`;
  return createDatabase(path, { journalMode, sql });
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

/** The schema and the rows of all ordinary tables, but not where they lie, in a form that can be compared. */
export function contentOf(path: string): Record<string, unknown[]> {
  return withDatabase(
    path,
    (db) => {
      const schema = db.prepare(
        'SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY 1, 2',
      );
      const tables = db
        .prepare(
          `SELECT name FROM pragma_table_list
            WHERE schema = 'main' AND type IN ('table', 'shadow') AND name <> 'sqlite_schema' ORDER BY 1`,
        )
        .pluck()
        .all() as string[];
      const rows = tables.map((table) => {
        const name = `"${table.replaceAll('"', '""')}"`;
        return [`table ${table}`, db.prepare(`SELECT * FROM ${name} ORDER BY 1`).all()] as const;
      });
      return { schema: schema.all(), ...Object.fromEntries(rows) };
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

export const pageSizes = [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536];
export const encodings = ['UTF-8', 'UTF-16le', 'UTF-16be'];
export const autoVacuums = [0, 1, 2];

/** What SQLite can do, as SQL that makes a database of it: every method has to keep all of it. */
export const features: [what: string, sql: string][] = [
  ['FTS3', `CREATE VIRTUAL TABLE f USING fts3(body); INSERT INTO f VALUES ('a b'), ('c d')`],
  ['FTS5', `CREATE VIRTUAL TABLE f USING fts5(body); INSERT INTO f VALUES ('a b'), ('c d')`],
  [
    'FTS5 with external content',
    `CREATE TABLE c (id INTEGER PRIMARY KEY, body); INSERT INTO c VALUES (3, 'a'), (9, 'b');
     CREATE VIRTUAL TABLE f USING fts5(body, content = c, content_rowid = id);
     INSERT INTO f (f) VALUES ('rebuild')`,
  ],
  ['RTREE', 'CREATE VIRTUAL TABLE r USING rtree(id, x0, x1); INSERT INTO r VALUES (1, 2, 3)'],
  [
    'generated columns',
    'CREATE TABLE g (a, b AS (a * 2) STORED, c AS (a + 1)); INSERT INTO g VALUES (4)',
  ],
  [
    'STRICT tables',
    `CREATE TABLE s (a INTEGER, b TEXT, c ANY) STRICT; INSERT INTO s VALUES (1, 'x', 2.5)`,
  ],
  [
    'WITHOUT ROWID tables',
    `CREATE TABLE w (k TEXT PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO w VALUES ('a', 1)`,
  ],
  [
    'AUTOINCREMENT',
    'CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT, v); INSERT INTO a (v) VALUES (1); DELETE FROM a',
  ],
  [
    'views and triggers',
    `CREATE TABLE t (a); CREATE VIEW v AS SELECT * FROM t; CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM t; END`,
  ],
  ['statistics', `${itemsSql(500)}; ANALYZE`],
  ['no table at all', 'CREATE TABLE t (a); DROP TABLE t'],
  ['free pages', `${itemsSql(2000)}; DELETE FROM items WHERE id > 10`],
  [
    'a name with quotes',
    `CREATE TABLE "it's ""odd""; --" (a); INSERT INTO "it's ""odd""; --" VALUES (1)`,
  ],
  ['large values', `CREATE TABLE l (a); INSERT INTO l VALUES (zeroblob(3000000))`],
];

/** A row in `left`, `right` and `log`, at the two ends of a file of about 13 MB: a mixture of two instants would show. */
export const generationsSql = `
  CREATE TABLE left (id INTEGER PRIMARY KEY, generation INTEGER);
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50) INSERT INTO left SELECT i, 0 FROM n;
  CREATE TABLE filler (data BLOB);
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1600) INSERT INTO filler SELECT randomblob(8000) FROM n;
  CREATE TABLE log (generation INTEGER PRIMARY KEY, data BLOB);
  CREATE TABLE right (id INTEGER PRIMARY KEY, generation INTEGER);
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50) INSERT INTO right SELECT i, 0 FROM n;`;

const generations = new Map<string, Buffer>();

/** Creates a closed database of `generationsSql` at `path` and returns the path. It is filled once, then copied. */
export function createGenerations(path: string, journalMode: 'delete' | 'wal' = 'delete'): string {
  const made = generations.get(journalMode);
  if (made === undefined)
    generations.set(
      journalMode,
      readFileSync(createDatabase(path, { journalMode, sql: generationsSql })),
    );
  else writeFileSync(path, made);
  return path;
}

/** The generations of `generationsSql` in a copy, joined by commas: a single number in one of a single instant. */
export function generationsIn(path: string): string {
  return String(
    valueOf(
      path,
      `SELECT group_concat(DISTINCT generation) FROM
        (SELECT generation FROM left UNION ALL SELECT generation FROM right UNION ALL SELECT coalesce(max(generation), 0) FROM log)`,
    ),
  );
}

/** Takes snapshots of several databases in this process, which must not have any of them open. */
export function snapshots(
  databases: string[],
  changes: Partial<SnapshotsRequest> = {},
  hooks: Partial<SnapshotHooks> = {},
): Promise<Snapshots> {
  return takeSnapshots(
    { ...requestForAll(databases), ...changes },
    { onProgress: () => undefined, beforePublish: () => Promise.resolve(), ...hooks },
  );
}

/** A request for several databases; the backups folder is beside the first. */
export function requestForAll(
  databases: string[],
  changes: Partial<SnapshotRequest> = {},
): SnapshotsRequest {
  const options: Partial<SnapshotRequest> = requestFor(databases[0] ?? '', changes);
  delete options.database;
  delete options.recordAs;
  return {
    ...(options as SnapshotOptions),
    databases: databases.map((database) => ({ database, recordAs: { path: basename(database) } })),
  };
}

/** The manifest beside a backup; fails where it cannot be read. */
export function manifestOf(backup: string): Manifest {
  const parsed = parseManifest(readFileSync(`${backup}.json`, 'utf8'));
  if (parsed.kind !== 'manifest') throw new Error(`${backup}: ${JSON.stringify(parsed)}`);
  return parsed.manifest;
}

/** An index that keeps SQLite's own check busy for a minute: it is not what its definition says that it is. */
export const slowToCheckSql = `CREATE TABLE slow (a);
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) INSERT INTO slow SELECT i FROM n;
  CREATE INDEX slow_index ON slow (a);
  PRAGMA writable_schema = on;
  UPDATE sqlite_schema SET sql = 'CREATE INDEX slow_index ON slow (length(hex(zeroblob(20000000 + a))))'
    WHERE name = 'slow_index';`;
