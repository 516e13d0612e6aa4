import assert from 'node:assert/strict';
import Database from 'better-sqlite3';
import { peek, peekRows } from '../../src/core/sqlite/peek.ts';
import { readSchemaPages } from '../../src/core/sqlite/schemaPages.ts';
import { isThorough } from '../support/operations.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('a look at very many tables', () => {
  const folder = useTempFolder();

  function make(setUp: string, sql: string): string {
    const path = folder('many.db');
    const db = new Database(path);
    db.exec(setUp);
    db.exec(`BEGIN; ${sql}; COMMIT`);
    db.close();
    return path;
  }

  /** All share one root page: SQLite itself would take minutes to create so many. */
  function makeTables(count: number): string {
    const path = make('', 'CREATE TABLE t(id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2)');
    const db = new Database(path);
    db.unsafeMode(true);
    db.pragma('writable_schema = on');
    db.prepare(
      `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
       INSERT INTO sqlite_schema SELECT 'table', name, name, root, 'CREATE TABLE ' || name || '(id INTEGER PRIMARY KEY)'
       FROM (SELECT printf('t%06d', i) AS name, (SELECT rootpage FROM sqlite_schema WHERE name = 't') AS root FROM n)`,
    ).run(count);
    db.close();
    return path;
  }

  /** What SQLite answers. */
  function asked(path: string): unknown[] {
    const db = new Database(path, { readonly: true });
    try {
      return db
        .prepare('SELECT rowid AS id, type, name, rootpage AS rootPage FROM sqlite_schema')
        .all();
    } finally {
      db.close();
    }
  }

  const various = [
    'CREATE TABLE "a table Ö 表" (a, b)',
    'CREATE INDEX i ON "a table Ö 表" (a)',
    'CREATE VIEW v AS SELECT 1',
    'CREATE TRIGGER g AFTER INSERT ON "a table Ö 表" BEGIN SELECT 1; END',
    'CREATE VIRTUAL TABLE f USING fts5(x)',
    `CREATE TABLE ${'n'.repeat(300)} (x)`,
    `CREATE TABLE long (x /* ${'y'.repeat(20_000)} */)`,
    ...Array.from({ length: 150 }, (_, index) => `CREATE TABLE t${index} (x)`),
    'DROP TABLE t7',
  ].join('; ');

  for (const pageSize of [1024, 4096, 65_536]) {
    it(`reads the names from pages of ${pageSize} bytes as SQLite does`, () => {
      const path = make(`PRAGMA page_size = ${pageSize}`, various);
      assert.deepEqual(readSchemaPages(path)?.entries, asked(path));
    });
  }

  it('leaves to SQLite what the pages do not say plainly', () => {
    const long = make('PRAGMA page_size = 512', `CREATE TABLE ${'n'.repeat(2000)} (x)`);
    assert.equal(readSchemaPages(long), undefined, 'a name on other pages');
    assert.equal(peek(long, { from: 0, most: 9, recorded: new Map() }).tables[0]?.rows, 0);
    assert.equal(readSchemaPages(folder('missing.db')), undefined);
    assert.equal(readSchemaPages(folder()), undefined);
  });

  it('leaves a database in WAL mode or with another encoding to SQLite', () => {
    assert.equal(
      readSchemaPages(make('PRAGMA journal_mode = WAL', 'CREATE TABLE t (x)')),
      undefined,
    );
  });

  it('leaves UTF-16 to SQLite', () => {
    const path = make("PRAGMA encoding = 'UTF-16le'", 'CREATE TABLE t (x)');
    assert.equal(readSchemaPages(path), undefined);
  });

  it('shows any page of them in a moment, with the rows that are recorded', () => {
    const count = isThorough ? 100_000 : 2500;
    const path = makeTables(count);
    const recorded = new Map([[`t${String(count - 1).padStart(6, '0')}`, 2]]);
    const before = process.cpuUsage();
    const first = peek(path, { from: 0, most: 200, recorded });
    const last = peek(path, { from: count - 1, most: 200, recorded });
    const { user, system } = process.cpuUsage(before);
    assert.equal(first.total, count + 1);
    assert.deepEqual(
      first.tables.slice(0, 2).map(({ name, kind, rows }) => [name, kind, rows]),
      [
        ['t', 'table', undefined],
        ['t000001', 'table', undefined],
      ],
    );
    assert.deepEqual(
      last.tables.map(({ name, rows }) => [name, rows]),
      [...recorded, [`t${String(count).padStart(6, '0')}`, undefined]],
    );
    assert.ok((user + system) / 1000 < 2000, 'processor time in ms');
    if (isThorough) return;
    const rows = peekRows(path, { table: first.tables[5]?.id ?? 0, from: 0, most: 100 });
    assert.equal(rows.rows.length, 2);
  });
});
