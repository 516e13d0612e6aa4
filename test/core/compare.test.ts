import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { compareDatabases, type Comparison, schemaOf } from '../../src/core/compare/compare.ts';
import { bytesOf, createDatabase, snapshot, withDatabase } from '../support/databases.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('comparing two databases', () => {
  const folder = useTempFolder();

  /** Two databases of the same `sql`, of which each is then changed. */
  const compare = (sql: string, left: string, right: string): Comparison => {
    for (const [name, change] of [
      ['left.db', left],
      ['right.db', right],
    ] as const) {
      createDatabase(folder(name), { sql });
      withDatabase(folder(name), (db) => db.exec(change));
    }
    return compareDatabases(folder('left.db'), folder('right.db'), () => undefined);
  };
  const numbers = ({ tables }: Pick<Comparison, 'tables'>): Record<string, number[]> =>
    Object.fromEntries(tables.map((one) => [one.name, [one.onlyLeft, one.onlyRight, one.changed]]));
  const series = (table: string, count: number): string =>
    `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})
     INSERT INTO ${table} SELECT i, 'row ' || i FROM n;`;

  it('refuses what is no database, and names it', () => {
    createDatabase(folder('left.db'));
    assert.throws(() => compareDatabases(folder('left.db'), folder('none.db'), () => undefined), {
      code: 'source-missing',
      path: folder('none.db'),
    });
  });

  it('finds nothing between a database and its backup, and changes neither', async () => {
    const path = createDatabase(folder('app.db'), { journalMode: 'wal', rows: 500 });
    const { path: backup } = await snapshot(path);
    const before = bytesOf(path);
    const comparison = compareDatabases(path, backup, () => undefined);
    assert.deepEqual(comparison.schema, { same: true, diff: '' });
    assert.deepEqual(numbers(comparison), { items: [0, 0, 0] });
    assert.deepEqual(bytesOf(path), before);
    assert.equal(readdirSync(folder('backups')).length, 2);
  });

  for (const [key, table] of [
    ['an INTEGER PRIMARY KEY', 'CREATE TABLE t (id INTEGER PRIMARY KEY, v);'],
    ['a text key', 'CREATE TABLE t (id TEXT PRIMARY KEY, v);'],
    ['a key of two columns', 'CREATE TABLE t (id, v, PRIMARY KEY (id, v));'],
    ['a table WITHOUT ROWID', 'CREATE TABLE t (id PRIMARY KEY, v) WITHOUT ROWID;'],
    ['no key but the row id', 'CREATE TABLE t (id, v);'],
  ] as const) {
    it(`counts rows exactly by ${key}`, () => {
      const found = numbers(
        compare(
          table + series('t', 1000),
          'DELETE FROM t WHERE CAST(id AS INT) BETWEEN 11 AND 13',
          "DELETE FROM t WHERE CAST(id AS INT) = 500; UPDATE t SET v = 'changed' WHERE CAST(id AS INT) IN (7, 900)",
        ),
      );
      // A value that is part of the key makes another row of it.
      const isKey = key === 'a key of two columns';
      assert.deepEqual(found, { t: isKey ? [3, 5, 0] : [1, 3, 2] });
    });
  }

  it('counts exactly across the steps in which large tables are read', () => {
    const found = numbers(
      compare(
        `CREATE TABLE t (id INTEGER PRIMARY KEY, v);${series('t', 120_000)}`,
        'DELETE FROM t WHERE id IN (1, 50000, 50001, 100000, 120000); INSERT INTO t VALUES (-9, 0), (9000000000000000000, 0)',
        "UPDATE t SET v = 'x' WHERE id IN (49999, 99999, 100001); INSERT INTO t VALUES (130000, 0)",
      ),
    );
    assert.deepEqual(found, { t: [2, 6, 3] });
  });

  it('tells values apart that a collation or a comparison calls equal', () => {
    const found = numbers(
      compare(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v COLLATE NOCASE, w); INSERT INTO t VALUES (1, 'a', 1), (2, 'b', NULL), (3, x'00', 3)",
        'SELECT 1',
        "UPDATE t SET v = 'A' WHERE id = 1; UPDATE t SET w = 0 WHERE id = 2; UPDATE t SET w = 3.0 WHERE id = 3",
      ),
    );
    assert.deepEqual(found, { t: [0, 0, 3] });
  });

  it('says which statements differ, and compares the columns that both have', () => {
    const { schema, tables, notCompared } = compare(
      'CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 1), (2, 2);',
      'CREATE TABLE only_left (a); INSERT INTO only_left VALUES (1), (2), (3)',
      'ALTER TABLE t ADD COLUMN added; UPDATE t SET v = 9 WHERE id = 2; CREATE INDEX i ON t (v)',
    );
    assert.equal(schema.same, false);
    assert.match(schema.diff, /^\+ CREATE INDEX i ON t \(v\)$/m);
    assert.match(schema.diff, /^- CREATE TABLE only_left \(a\)$/m);
    assert.deepEqual(numbers({ tables }), {
      only_left: [3, 0, 0],
      t: [0, 0, 1],
    });
    assert.deepEqual(
      notCompared.map(({ name }) => name),
      ['t.added'],
    );
  });

  it('never reads a view or a virtual table, and names what was not compared', () => {
    const { notCompared, tables } = compare(
      `CREATE TABLE t (id INTEGER PRIMARY KEY); CREATE VIRTUAL TABLE search USING fts5(text);
       CREATE VIEW endless AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n`,
      'CREATE VIEW only_left AS SELECT 1',
      'CREATE VIEW only_right AS SELECT 1',
    );
    assert.deepEqual(
      notCompared.map(({ name }) => name),
      ['search', 'endless', 'only_left', 'only_right'],
    );
    assert.ok(!tables.some(({ name }) => ['endless', 'search'].includes(name)));
  });

  it('takes names as they are', () => {
    const name = 'we"ird\'; DROP TABLE x; --';
    const quoted = `"${name.replaceAll('"', '""')}"`;
    const found = numbers(
      compare(
        `CREATE TABLE ${quoted} (id INTEGER PRIMARY KEY)`,
        `INSERT INTO ${quoted} VALUES (1)`,
        'SELECT 1',
      ),
    );
    assert.deepEqual(found, { [name]: [1, 0, 0] });
  });

  it('shows a schema as sorted text that is the same for the same schema', () => {
    createDatabase(folder('one.db'), {
      sql: 'CREATE TABLE a (x); CREATE TABLE b (y); CREATE INDEX i ON a (x)',
    });
    createDatabase(folder('two.db'), {
      sql: 'CREATE TABLE b (y); CREATE TABLE a (x); CREATE INDEX i ON a (x)',
    });
    assert.equal(schemaOf(folder('one.db')), schemaOf(folder('two.db')));
    assert.match(schemaOf(folder('one.db')), /CREATE TABLE a \(x\);\n\nCREATE TABLE b \(y\);/);
  });
});
