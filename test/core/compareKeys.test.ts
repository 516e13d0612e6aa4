import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  compareDatabases,
  type Comparison,
  type CompareOptions,
  type TableDifference,
} from '../../src/core/compare/compare.ts';
import {
  createDatabase,
  createForeign,
  overwrite,
  valueOf,
  withDatabase,
} from '../support/databases.ts';
import { checkRandomPair } from '../support/comparedPairs.ts';
import { mirrored } from '../support/comparisonModel.ts';
import { endProcessesAfterEach, holdOpen, root } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';
import { itInPart } from '../support/operations.ts';

const series = (count: number): string =>
  `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})`;

/** Where the root page of a table begins in the file. */
function pageOf(path: string, table: string): number {
  const sql = `SELECT (rootpage - 1) * (SELECT page_size FROM pragma_page_size) FROM sqlite_schema WHERE name = '${table}'`;
  return Number(valueOf(path, sql));
}

describe('comparing two databases of different schemas', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();
  let left = '';
  let right = '';

  beforeEach(() => {
    left = folder('left.db');
    right = folder('right.db');
  });

  const compare = (options: CompareOptions = {}): Comparison =>
    compareDatabases(left, right, () => undefined, options);
  const numbers = ({ tables }: Pick<Comparison, 'tables'>): Record<string, number[]> =>
    Object.fromEntries(
      tables.map((one) => {
        assert.ok(one.compared, JSON.stringify(compare().notCompared));
        return [one.name, [one.onlyLeft, one.onlyRight, one.changed]];
      }),
    );
  const bothWays = (): Record<string, number[]> => {
    const found = compare();
    const swapped = compareDatabases(right, left, () => undefined);
    const named = (tables: TableDifference[]): TableDifference[] =>
      tables.map((table) => ({ ...table, name: table.name.toLowerCase() }));
    assert.deepEqual(named(swapped.tables), mirrored(named(found.tables)));
    return numbers(found);
  };

  for (const [what, ofLeft, ofRight] of [
    ['the row id and an integer key', '(id INTEGER PRIMARY KEY, v)', '(id INT PRIMARY KEY, v)'],
    ['the row id and a text key', '(id INTEGER PRIMARY KEY, v)', '(id TEXT PRIMARY KEY, v)'],
    ['a descending key', '(id INTEGER PRIMARY KEY, v)', '(id INTEGER PRIMARY KEY DESC, v)'],
    ['real and integer keys', '(id REAL PRIMARY KEY, v)', '(id INTEGER PRIMARY KEY, v)'],
    ['WITHOUT ROWID', '(id PRIMARY KEY, v) WITHOUT ROWID', '(id INTEGER PRIMARY KEY, v)'],
    ['collations', '(id TEXT PRIMARY KEY, v)', '(id TEXT COLLATE NOCASE PRIMARY KEY, v)'],
    [
      'keys in another order',
      '(id, a, v, PRIMARY KEY (id, a))',
      '(a, id, v, PRIMARY KEY (a, id)) WITHOUT ROWID',
    ],
    ['names in another case', '(id TEXT PRIMARY KEY, v)', '(ID TEXT PRIMARY KEY, V)'],
  ] as const) {
    it(`matches rows by the same key whatever it is: ${what}`, () => {
      const extra = ofLeft.includes(' a,') ? ['id, a, v', "'k'"] : ['id, v', ''];
      const insert = (from: number, changed: string): string =>
        `${series(60)} INSERT INTO t (${extra[0]})
          SELECT i${extra[1] ? `, ${extra[1]}` : ''}, 'row ' || i || ${changed} FROM n WHERE i > ${from} ORDER BY i * 37 % 61`;
      createDatabase(left, {
        sql: `CREATE TABLE t ${ofLeft}; ${insert(0, "''")}; DELETE FROM t WHERE id = 60`,
      });
      createDatabase(right, {
        sql: `CREATE TABLE t ${ofRight}; ${insert(5, "iif(i % 10 = 0, '!', '')")}`,
      });
      assert.deepEqual(bothWays(), { t: [5, 1, 5] });
    });
  }

  it('counts rows without a key by their content, duplicates as often as they are there', () => {
    createDatabase(left, {
      sql: `CREATE TABLE t (v); INSERT INTO t VALUES (1), ('a'), ('a'), ('a'), (NULL), (2)`,
    });
    createDatabase(right, {
      sql: `CREATE TABLE t (v); INSERT INTO t VALUES (NULL), ('a'), ('a'), ('b'), (2), (1), (1.0), ('c')`,
    });
    assert.deepEqual(bothWays(), { t: [0, 2, 1] });
    // Row 4 is 'a' on one side and 'b' on the other; VACUUM numbers rows anew.
    withDatabase(right, (db) => db.exec('DELETE FROM t WHERE v IS NULL; VACUUM'));
    assert.deepEqual(bothWays(), { t: [2, 3, 0] });
  });

  it('knows rows with NULL in their key by their content', () => {
    createDatabase(left, {
      sql: `CREATE TABLE t (k TEXT PRIMARY KEY, v); INSERT INTO t VALUES (NULL, 1), (NULL, 2), ('a', 3), ('b', 4)`,
    });
    createDatabase(right, {
      sql: `CREATE TABLE t (k TEXT PRIMARY KEY, v); INSERT INTO t VALUES ('b', 5), (NULL, 2), ('c', 3)`,
    });
    assert.deepEqual(bothWays(), { t: [2, 1, 1] });
  });

  it('reads a table itself where the index of its key is out of step', () => {
    const sql = `CREATE TABLE t (k TEXT PRIMARY KEY, v); CREATE TABLE u (k TEXT PRIMARY KEY);
      ${series(100)} INSERT INTO t SELECT i, i FROM n; INSERT INTO u VALUES ('x')`;
    createDatabase(left, { sql });
    createDatabase(right, { sql });
    withDatabase(right, (db) => {
      db.exec('UPDATE t SET v = 0 WHERE v < 4');
      // Keys in another order: no row lies under the row id that it has on the other side.
      db.exec('UPDATE t SET rowid = rowid + 1000');
      db.unsafeMode();
      db.pragma('writable_schema = on');
      db.exec(`UPDATE sqlite_schema SET rootpage = (SELECT sum(rootpage) FROM sqlite_schema
        WHERE name LIKE 'sqlite_autoindex%') - rootpage WHERE name LIKE 'sqlite_autoindex%'`);
    });
    assert.deepEqual(bothWays(), { t: [0, 0, 3], u: [0, 0, 0] });
  });

  it('does without a collation that only the application has', () => {
    const make = (path: string): void =>
      void createForeign(
        path,
        `CREATE TABLE t (k TEXT COLLATE NOCASE PRIMARY KEY, v); INSERT INTO t VALUES ('a', 1), ('b', 2)`,
        't',
        'CREATE TABLE t (k TEXT COLLATE app_order PRIMARY KEY, v)',
      );
    make(left);
    createDatabase(right, {
      sql: `CREATE TABLE plain (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO plain VALUES (1, 'one');
        CREATE TABLE t (v, k TEXT PRIMARY KEY); INSERT INTO t VALUES (2, 'b'), (1, 'A'), (3, 'a')`,
    });
    assert.deepEqual(bothWays(), { plain: [0, 0, 0], t: [0, 1, 1] });
    make(folder('other.db'));
    right = folder('other.db');
    assert.deepEqual(bothWays(), { plain: [0, 0, 0], t: [0, 0, 0] });
  });

  it('says which collation is missing where the table itself is in that order', () => {
    createForeign(
      left,
      `CREATE TABLE t (k TEXT COLLATE NOCASE PRIMARY KEY, v) WITHOUT ROWID`,
      't',
      'CREATE TABLE t (k TEXT COLLATE app_order PRIMARY KEY, v) WITHOUT ROWID',
    );
    createDatabase(right, { sql: 'CREATE TABLE t (k TEXT PRIMARY KEY, v)' });
    const { tables, notCompared } = compare();
    assert.deepEqual(notCompared, [{ name: 't', reason: 'no such collation sequence: app_order' }]);
    assert.deepEqual(
      tables.map(({ compared, only }) => [compared, only]),
      [
        [true, 'left'],
        [false, undefined],
      ],
    );
  });

  it('lists a table that only one side has, also an empty one', () => {
    createDatabase(left, { sql: 'CREATE TABLE t (a); CREATE TABLE mine (a)' });
    createDatabase(right, {
      sql: 'CREATE TABLE T (a); CREATE TABLE yours (a); INSERT INTO yours VALUES (1), (2); CREATE VIEW mine AS SELECT 1',
    });
    const none = { onlyLeft: 0, onlyRight: 0, changed: 0, compared: true };
    const found = compare();
    assert.deepEqual(found.tables, [
      { name: 'mine', ...none, only: 'left' },
      { name: 't', ...none },
      { name: 'yours', ...none, onlyRight: 2, only: 'right' },
    ]);
    assert.deepEqual(found.notCompared, [
      { name: 'mine', reason: 'a view that only the right has' },
    ]);
  });

  for (const [one, other] of [
    ['UTF-8', 'UTF-16le'],
    ['UTF-16be', 'UTF-8'],
    ['UTF-16le', 'UTF-16be'],
  ] as const) {
    it(`compares ${one} with ${other}`, () => {
      const sql = (text: string): string => `CREATE TABLE t (id INTEGER PRIMARY KEY, v);
        INSERT INTO t VALUES (1, 'é😀'), (2, x'00ff'), (3, 1.0), (4, 9007199254740993), (5, '${text}'), (6, 'a' || char(0) || 'b');
        CREATE TABLE k (name TEXT PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO k VALUES ('ä', 1), ('z', 2)`;
      createDatabase(left, { pragmas: [`encoding = '${one}'`], sql: sql('Ж') });
      createDatabase(right, { pragmas: [`encoding = '${other}'`], sql: sql('Я') });
      withDatabase(right, (db) =>
        db.exec("UPDATE t SET v = 1 WHERE id = 3; DELETE FROM k WHERE name = 'ä'"),
      );
      assert.deepEqual(bothWays(), { k: [1, 0, 0], t: [0, 0, 2] });
    });
  }

  itInPart('compares 2,000 columns', function () {
    this.timeout(60_000); // Beside other processes; two seconds alone.
    const columns = Array.from({ length: 1999 }, (_none, index) => `c${index}`);
    for (const [path, tables] of [
      [left, ['t (id INTEGER PRIMARY KEY, ', 'u (last, ']],
      [right, ['t (id INTEGER PRIMARY KEY, ', 'u (last, ']],
    ] as const) {
      createDatabase(path, {
        sql: tables
          .map(
            (table) => `CREATE TABLE ${table} ${columns.join(', ')});
              ${series(5)} INSERT INTO ${table[0]} SELECT i, ${columns.map((_, at) => `i + ${at}`).join(', ')} FROM n;`,
          )
          .join('\n'),
      });
    }
    withDatabase(right, (db) =>
      db.exec(
        `UPDATE t SET c1998 = c1998 + 0.5 WHERE id = 3; UPDATE t SET c0 = '1' WHERE id = 1;
         UPDATE u SET c1998 = CAST(c1998 AS BLOB), rowid = rowid + 100 WHERE last = 2;`,
      ),
    );
    assert.deepEqual(numbers(compare()), { t: [0, 0, 2], u: [1, 1, 0] });
  });

  it('takes no longer for keys whose collation or type differs', () => {
    const rows = `${series(20_000)} INSERT INTO t SELECT 'key ' || i, i FROM n`;
    createDatabase(left, { sql: `CREATE TABLE t (k TEXT PRIMARY KEY, v); ${rows}` });
    createDatabase(right, {
      sql: `CREATE TABLE t (k VARCHAR COLLATE NOCASE PRIMARY KEY, v) WITHOUT ROWID; ${rows}; UPDATE t SET v = 0 WHERE v = 9`,
    });
    // Compared each with each they take half a minute.
    const found = compare({ deadlineMs: 15_000 });
    assert.deepEqual(numbers(found), { t: [0, 0, 1] });
  });

  it('names the damaged table and its side, and compares the others', () => {
    const sql = `CREATE TABLE a (id INTEGER PRIMARY KEY, v); CREATE TABLE b (id INTEGER PRIMARY KEY, v); CREATE TABLE c (v);
      ${series(2000)} INSERT INTO a SELECT i, i FROM n; INSERT INTO b SELECT * FROM a; INSERT INTO c SELECT v FROM a`;
    createDatabase(left, { sql });
    createDatabase(right, { sql });
    withDatabase(right, (db) => db.exec('DELETE FROM c WHERE v < 4'));
    overwrite(left, pageOf(left, 'b'), Buffer.alloc(100, 0xee));
    const { tables, notCompared, damaged } = compare({
      sides: ['the live database', 'the backup'],
    });
    assert.deepEqual(notCompared, [{ name: 'b', reason: 'damaged in the live database' }]);
    assert.deepEqual(damaged, ['left']);
    assert.deepEqual(
      tables.map(({ name, compared, onlyLeft }) => [name, compared, onlyLeft]),
      [
        ['a', true, 0],
        ['b', false, 0],
        ['c', true, 3],
      ],
    );
    overwrite(right, pageOf(right, 'c'), Buffer.alloc(100, 0xee));
    assert.deepEqual(compare().damaged, ['left', 'right']);
  });

  for (const side of ['left', 'right'] as const) {
    it(`names the side of which the schema is damaged: the ${side} one`, () => {
      createDatabase(left);
      createDatabase(right);
      const damaged = side === 'left' ? left : right;
      overwrite(damaged, 100, Buffer.alloc(3000, 0xee));
      assert.throws(() => compare(), { code: 'corrupt', path: damaged });
    });
  }

  itInPart('keeps what it has found when the time is over, and says what is left', () => {
    const sql = `CREATE TABLE a (v); CREATE TABLE b (v); INSERT INTO b VALUES (1)`;
    createDatabase(left, { sql });
    createDatabase(right, { sql });
    const deadlineMs = 1000;
    let isFirst = true;
    const { tables, notCompared } = compareDatabases(
      left,
      right,
      (done) => {
        if (done < 1 || !isFirst) return;
        isFirst = false;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, deadlineMs + 1);
      },
      { deadlineMs },
    );
    assert.deepEqual(
      tables.map(({ compared }) => compared),
      [true, false],
    );
    assert.deepEqual(notCompared, [{ name: 'b', reason: 'the time ran out' }]);
  });

  for (const state of ['closed', 'open'] as const) {
    it(`reads one state of a WAL database, ${state} at first, to which a program writes meanwhile`, async () => {
      const sql = `CREATE TABLE a (id INTEGER PRIMARY KEY, v); CREATE TABLE b (id INTEGER PRIMARY KEY, v);
        ${series(3000)} INSERT INTO a SELECT i, i FROM n; INSERT INTO b SELECT * FROM a`;
      for (const path of [left, right]) createDatabase(path, { journalMode: 'wal', sql });
      if (state === 'open') await holdOpen(left, 'INSERT INTO a (v) VALUES (0)');
      let writes = 0;
      const { tables } = compareDatabases(left, right, () => {
        if (writes++ > 2) return;
        const script = `const db = new (require('better-sqlite3'))(process.argv[1]);
          db.exec('UPDATE a SET v = v + 1; DELETE FROM b WHERE id % 2; INSERT INTO a (v) VALUES (1)')`;
        const ended = spawnSync(process.execPath, ['-e', script, left], { cwd: root });
        assert.equal(ended.status, 0, String(ended.stderr));
      });
      assert.ok(writes > 2);
      assert.deepEqual(numbers({ tables }), {
        a: [state === 'open' ? 1 : 0, 0, 0],
        b: [0, 0, 0],
      });
    });
  }

  it('finds what a model in plain JavaScript finds between random pairs, both ways round', () => {
    // 5,000 more in test/faults/compare.test.ts.
    for (let seed = 1; seed <= 40; seed++) checkRandomPair(seed, folder);
  });
});
