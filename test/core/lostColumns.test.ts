import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { lossesAfter } from '../../src/core/checkpoint/rows.ts';
import { isBackupError } from '../../src/core/errors.ts';
import { findLostColumns, lossText } from '../../src/core/manifest/loss.ts';
import { snapshot, withDatabase } from '../support/databases.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const gone = (before: string[], now: string[], rows = [5, 5]): string[] =>
  findLostColumns(
    { tables: [{ name: 'T', rows: rows[0] ?? 0 }], columns: { T: before } },
    { tables: [{ name: 't', rows: rows[1] ?? 0 }], columns: { t: now } },
  ).flatMap(({ columns = [] }) => columns);

describe('a loss of columns', () => {
  const folder = useTempFolder();

  it('is not seen in a table without rows, in one that lost rows as well, or where columns were not looked at', () => {
    assert.deepEqual(gone(['id', 'note'], ['id'], [0, 0]), []);
    assert.deepEqual(gone(['id', 'note'], ['id'], [5, 0]), []);
    const tables = [{ name: 'T', rows: 5 }];
    assert.deepEqual(findLostColumns({ tables }, { tables, columns: { T: ['id'] } }), []);
    assert.deepEqual(findLostColumns({ tables, columns: { T: ['id'] } }, { tables }), []);
  });

  it('is no other order, no other capitals, no new column, and no new name in the same place', () => {
    assert.deepEqual(gone(['id', 'note', 'at'], ['ID', 'at', 'Note']), []);
    assert.deepEqual(gone(['id', 'note'], ['id', 'note', 'at']), []);
    assert.deepEqual(gone(['id', 'note', 'at'], ['id', 'remark', 'at', 'by']), []);
  });

  it('is a column that is gone, also when another one came', () => {
    assert.deepEqual(gone(['id', 'note', 'at'], ['id', 'at']), ['note']);
    assert.deepEqual(gone(['id', 'note', 'at'], ['id', 'at', 'by']), ['note']);
    assert.deepEqual(gone(['note', 'text'], ['by']), ['note', 'text']);
  });

  it('is found between a backup and the database, beside tables that are gone', async () => {
    const database = folder('app.db');
    const change = (sql: string): void =>
      withDatabase(database, (db) => {
        db.exec(sql);
      });
    change(`CREATE TABLE orders (id INTEGER PRIMARY KEY, note TEXT, twice AS (id * 2));
      INSERT INTO orders (note) VALUES ('a'), ('b');
      CREATE TABLE people (name TEXT); INSERT INTO people VALUES ('c')`);
    const { path } = await snapshot(database);
    change('ALTER TABLE orders DROP COLUMN twice');
    assert.deepEqual(lossesAfter(path, database, 1000), []);
    change('ALTER TABLE orders DROP COLUMN note; DROP TABLE people');
    const losses = lossesAfter(path, database, 1000);
    assert.deepEqual(
      losses.map((loss) => lossText(loss, 'before')),
      [
        'people had 1 row before; the table was deleted or renamed',
        'orders no longer has the column note',
      ],
    );
  });

  it('is not told of a file that is no database any more: that is an error of its own', async () => {
    const database = folder('app.db');
    withDatabase(database, (db) => {
      db.exec('CREATE TABLE t (a); INSERT INTO t VALUES (1)');
    });
    const { path } = await snapshot(database);
    for (const content of ['', 'text', Buffer.alloc(8192, 0xa7)]) {
      writeFileSync(database, content);
      assert.throws(
        () => lossesAfter(path, database, 1000),
        (error) =>
          isBackupError(error) &&
          ['not-a-database', 'encrypted-or-not-sqlite'].includes(error.code),
      );
    }
  });
});
