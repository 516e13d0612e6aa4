import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { listBackups } from '../../src/core/catalog/catalog.ts';
import { longestManifestBytes } from '../../src/core/manifest/manifest.ts';
import { verifySnapshot } from '../../src/core/verify/verifySnapshot.ts';
import {
  createDatabase,
  createForeign,
  createWithForeignCollation,
  flipValue,
  manifestOf,
  snapshot,
  valueOf,
  withDatabase,
} from '../support/databases.ts';
import { isThorough, itWhere } from '../support/operations.ts';
import { endProcessesAfterEach, holdOpen, kill } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const statusOf = (path: string): string => verifySnapshot(path, () => undefined).status;

describe('the tables in a manifest', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();

  for (const method of ['exact', 'compact'] as const) {
    it(`are those of the snapshot, with its rows, and not of what was written later (${method})`, async () => {
      const path = createDatabase(folder('app.db'), { journalMode: 'wal', rows: 3000 });
      const owner = await holdOpen(
        path,
        'DELETE FROM items WHERE id > 1234',
        'CREATE TABLE empty (a)',
      );
      const { path: copy } = await snapshot(path, { method });
      await kill(owner);
      withDatabase(path, (db) => db.exec('DELETE FROM items'));
      assert.deepEqual(manifestOf(copy).tables, [
        { name: 'empty', rows: 0 },
        { name: 'items', rows: 1234 },
      ]);
      assert.equal(valueOf(copy, 'SELECT count(*) FROM items'), 1234);
    });

    it(`are not counted when nothing is checked (${method})`, async () => {
      const { manifest } = await snapshot(createDatabase(folder('app.db')), {
        method,
        verify: false,
      });
      assert.deepEqual(manifest.tables, [{ name: 'items' }]);
    });
  }

  it('have the names that they have', async () => {
    const names = [
      '',
      ' ',
      '"',
      "'; DROP TABLE items; --",
      '[x]',
      '`',
      'ta\nb',
      'naïve 数据 🦆',
      'select',
      'sqlitemax',
      '__proto__',
      'constructor',
      'SQLITE',
      '%',
      'a.b',
      'a"b"" c',
    ];
    const path = createDatabase(folder('app.db'));
    withDatabase(path, (db) => {
      db.pragma('synchronous = off');
      for (const [rows, name] of names.entries()) {
        const quoted = `"${name.replaceAll('"', '""')}"`;
        db.exec(`CREATE TABLE ${quoted} (a)`);
        for (let n = 0; n < rows; n++) db.exec(`INSERT INTO ${quoted} VALUES (1)`);
      }
    });
    const { path: copy } = await snapshot(path);
    const found = new Map(manifestOf(copy).tables?.map(({ name, rows }) => [name, rows]));
    for (const [rows, name] of names.entries())
      assert.equal(found.get(name), rows, JSON.stringify(name));
    assert.equal(found.size, names.length + 1);
    assert.equal(statusOf(copy), 'ok');
  });

  it('leave out views, virtual tables and SQLite’s own, and run none of them', async () => {
    const path = createDatabase(folder('app.db'), {
      sql: `CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO t VALUES (1); ANALYZE;
        CREATE VIEW forever AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n;
        CREATE VIRTUAL TABLE f USING fts5(a)`,
    });
    const { path: copy, manifest } = await snapshot(path);
    const names = manifest.tables?.map(({ name }) => name) ?? [];
    assert.ok(
      names.includes('t') &&
        !names.some((name) => ['forever', 'f'].includes(name) || name.startsWith('sqlite_')),
      names.join(),
    );
    assert.equal(statusOf(copy), 'ok');
  });

  it('are counted without an index that only the application can read', async () => {
    const { manifest } = await snapshot(createWithForeignCollation(folder('app.db'), 42));
    assert.deepEqual(
      manifest.tables?.find(({ name }) => name === 'items'),
      { name: 'items', rows: 42 },
    );
  });

  // SQLite takes the square of their number to make them.
  const many = isThorough ? 10_000 : 1500;
  it(`are all there, ${many} of them, and the manifest can be read`, async function () {
    this.timeout(60_000);
    const path = createDatabase(folder('app.db'), { sql: 'CREATE TABLE first (a)' });
    withDatabase(path, (db) => {
      const make = db.transaction(() => {
        for (let n = 0; n < many; n++) db.exec(`CREATE TABLE table_number_${n} (a)`);
      });
      make();
    });
    const { path: copy } = await snapshot(path);
    const { tables, tablesOmitted } = manifestOf(copy);
    assert.deepEqual([tables?.length, tablesOmitted], [many + 1, undefined]);
    assert.equal(listBackups(folder('backups'))[0]?.foreign, false);
  });

  for (const [what, letter] of [
    ['plain', 'n'],
    ['in letters of three bytes', '数'],
    ['of control characters, which JSON writes long', '\u0001'],
  ] as const) {
    itWhere(what === 'plain')(
      `are as many as fit when their names are very long, and the number of the others is told (${what})`,
      async function () {
        this.timeout(60_000);
        const path = createDatabase(folder('app.db'), { sql: 'CREATE TABLE first (a)' });
        withDatabase(path, (db) => {
          const make = db.transaction(() => {
            for (let n = 0; n < 400; n++) db.exec(`CREATE TABLE "${letter.repeat(5000)} ${n}" (a)`);
          });
          make();
        });
        const { path: copy, manifestPath } = await snapshot(path);
        assert.ok(
          statSync(manifestPath).size <= longestManifestBytes,
          `${statSync(manifestPath).size} bytes`,
        );
        const { tables = [], tablesOmitted = 0 } = manifestOf(copy);
        assert.ok(tables.length > 0 && tablesOmitted > 0);
        assert.equal(tables.length + tablesOmitted, 401);
        assert.equal(statusOf(copy), 'ok');
      },
    );
  }

  it('stay readable when each of 600 tables is found to be wrong', async function () {
    this.timeout(60_000);
    const path = createForeign(
      folder('app.db'),
      'CREATE TABLE f (a TEXT); CREATE INDEX g ON f (a)',
      'g',
      'CREATE INDEX g ON f (a COLLATE app_order)',
    );
    withDatabase(path, (db) => {
      db.pragma('foreign_keys = off');
      const make = db.transaction(() => {
        for (let n = 0; n < 600; n++)
          db.exec(
            `CREATE TABLE "${'n'.repeat(150)} ${n}" (a REFERENCES nowhere (b)); INSERT INTO "${'n'.repeat(150)} ${n}" VALUES (1)`,
          );
      });
      make();
    });
    const { path: copy } = await snapshot(path);
    assert.ok(manifestOf(copy).verdict.findings.length <= 200);
  });

  it('condemn a backup in which a row is missing', async () => {
    const path = createDatabase(folder('app.db'), {
      sql: `CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('a value')`,
    });
    const { path: copy } = await snapshot(path);
    flipValue(copy, 'a value');
    assert.equal(statusOf(copy), 'damaged');
  });

  it('may break the rules that they have for themselves: that is no damage, neither now nor later', async () => {
    const path = createDatabase(folder('app.db'), {
      sql: `PRAGMA ignore_check_constraints = on; CREATE TABLE t (a, CHECK (a > 5)); INSERT INTO t VALUES (1)`,
    });
    const { path: copy, manifest } = await snapshot(path);
    assert.deepEqual([manifest.verdict.status, statusOf(copy)], ['ok', 'ok']);
  });
});
