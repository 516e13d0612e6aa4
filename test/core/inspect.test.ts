import assert from 'node:assert/strict';
import { copyFileSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { lookInside, rowsInside, schemaInside } from '../../src/core/inspect/inspect.ts';
import type { Cell } from '../../src/core/sqlite/peek.ts';
import { bundleOf } from '../support/bundles.ts';
import {
  bytesOf,
  createDatabase,
  createForeign,
  siblingsBeside,
  snapshot,
  withDatabase,
  writeBytes,
} from '../support/databases.ts';
import { holdOpen, endProcessesAfterEach } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';
import { rawZip } from '../support/zips.ts';

describe('a look inside a backup', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();

  const idOf = async (path: string, name: string): Promise<number> =>
    (await lookInside({ path })).tables.find((one) => one.name === name)?.id ?? 0;
  const rowsOf = async (path: string, name: string, from = 0): Promise<Cell[][]> =>
    (await rowsInside({ path, table: await idOf(path, name), from })).rows;

  it('refuses what is no database, and a number that is no table', async () => {
    const text = writeBytes(folder('notes.db'), 'nothing of SQLite is in this text');
    await assert.rejects(lookInside({ path: text }), { name: 'BackupError' });
    await assert.rejects(lookInside({ path: folder('missing.db') }), { code: 'source-missing' });
    const database = createDatabase(folder('app.db'));
    await assert.rejects(rowsInside({ path: database, table: 99 }), { code: 'bad-name' });
    await assert.rejects(rowsInside({ path: database, table: 'nothing' }), { code: 'bad-name' });
  });

  it('runs nothing that the file says: no view, no virtual table, no computed column', async () => {
    const path = createDatabase(folder('app.db'), {
      sql: `CREATE TABLE plain (a, b AS (a || 'x'), c AS (a * 2) STORED);
        INSERT INTO plain VALUES (1);
        CREATE VIEW endless AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT * FROM n;
        CREATE VIRTUAL TABLE words USING fts5(text)`,
    });
    const { tables } = await lookInside({ path });
    const kinds = new Map(tables.map(({ name, kind, rows }) => [name, [kind, rows]]));
    assert.deepEqual(kinds.get('endless'), ['view', undefined]);
    assert.deepEqual(kinds.get('words'), ['virtual', undefined]);
    await assert.rejects(rowsInside({ path, table: 'endless' }), { code: 'bad-name' });
    await assert.rejects(rowsInside({ path, table: 'words' }), { code: 'bad-name' });
    const found = await rowsInside({ path, table: 'plain' });
    assert.deepEqual(found.columns, ['a', 'c']);
    assert.equal(found.computed, 1);
  });

  it('cuts what is long, and says how long it is', async () => {
    const path = createDatabase(folder('app.db'), {
      sql: `CREATE TABLE t (value);
        INSERT INTO t VALUES (replace(hex(zeroblob(5000)), '00', 'é')), (zeroblob(5000000)), (x'00ff'),
          (replace(hex(zeroblob(1000000)), '00', 'ab')), (NULL), (9007199254740993), ('')`,
    });
    const cells = (await rowsOf(path, 't')).flat();
    assert.deepEqual(cells, [
      { kind: 'text', text: 'é'.repeat(200), bytes: 10_000 },
      { kind: 'blob', text: '', bytes: 5_000_000 },
      { kind: 'blob', text: '00FF' },
      { kind: 'text', text: '', bytes: 2_000_000 },
      { kind: 'null', text: 'NULL' },
      { kind: 'number', text: '9007199254740993' },
      { kind: 'text', text: '' },
    ]);
  });

  it('shows the tables of a backup with their rows, and 100 rows at a time', async () => {
    const database = createDatabase(folder('app.db'), { rows: 250, journalMode: 'wal' });
    const { path } = await snapshot(database);
    const before = bytesOf(path);
    const look = await lookInside({ path });
    assert.deepEqual(
      look.tables.map(({ name, rows }) => [name, rows]),
      [['items', 250]],
    );
    assert.deepEqual([look.total, look.indexes, look.triggers], [1, 1, 0]);
    const pages = [];
    for (const from of [0, 100, 200]) pages.push(await rowsInside({ path, table: 'ITEMS', from }));
    assert.deepEqual(
      pages.map(({ rows, isMore }) => [rows.length, rows[0]?.[1]?.text, isMore]),
      [
        [100, 'item 1', true],
        [100, 'item 101', true],
        [50, 'item 201', false],
      ],
    );
    const { text, isAll } = await schemaInside({ path });
    assert.match(text, /^CREATE TABLE items .*;\n\nCREATE INDEX items_by_name/);
    assert.ok(isAll);
    assert.deepEqual(bytesOf(path), before);
    assert.deepEqual(siblingsBeside(path), []);
  });

  it('pages through 10,000 tables, and cuts their schema', async () => {
    const path = createDatabase(folder('many.db'), { sql: 'CREATE TABLE first (a)' });
    withDatabase(path, (db) => {
      db.unsafeMode();
      db.pragma('writable_schema = on');
      db.exec(`WITH RECURSIVE n(i) AS (SELECT 10001 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
        INSERT INTO sqlite_schema SELECT 'table', 't' || i, 't' || i, 2, 'CREATE TABLE t' || i || '(a)' FROM n`);
    });
    const [first, last] = [await lookInside({ path }), await lookInside({ path, from: 10_000 })];
    assert.equal(first.total, 10_001);
    assert.equal(first.tables.length, 200);
    assert.deepEqual(
      last.tables.map(({ name }) => name),
      ['t20000'],
    );
    const { text, isAll } = await schemaInside({ path });
    assert.ok(!isAll && text.length < 300_000);
    assert.ok(JSON.stringify(first).length < 40_000);
  });

  it('cuts a name of any length, and still reads that table', async () => {
    const name = `${'n'.repeat(5000)}\u202e"; DROP TABLE x`;
    const path = createDatabase(folder('app.db'), {
      sql: `CREATE TABLE "${name.replaceAll('"', '""')}" ("${'c'.repeat(900)}"); INSERT INTO "${name.replaceAll('"', '""')}" VALUES (7)`,
    });
    const [table] = (await lookInside({ path })).tables;
    assert.equal(table?.name.length, 200);
    assert.equal(table.nameLength, name.length);
    const found = await rowsInside({ path, table: table.id });
    assert.deepEqual(found.rows, [[{ kind: 'number', text: '7' }]]);
    assert.equal(found.columns[0]?.length, 200);
  });

  it('shows at most 100 columns, and reads tables without row ids and with a foreign order', async () => {
    const columns = Array.from({ length: 150 }, (_, index) => `c${index}`).join(', ');
    const wide = createDatabase(folder('wide.db'), { sql: `CREATE TABLE wide (${columns})` });
    const { columns: shown, moreColumns } = await rowsInside({ path: wide, table: 'wide' });
    assert.deepEqual([shown.length, moreColumns], [100, 50]);
    const foreign = createForeign(
      folder('foreign.db'),
      `CREATE TABLE k (name TEXT PRIMARY KEY, rowid, _rowid_, oid) WITHOUT ROWID;
        INSERT INTO k VALUES ('one', 2, 3, 4); CREATE INDEX sorted ON plain (name)`,
      'sorted',
      'CREATE INDEX sorted ON plain (name COLLATE app_order)',
    );
    assert.deepEqual(
      (await rowsOf(foreign, 'k')).flat().map(({ text }) => text),
      ['one', '2', '3', '4'],
    );
    assert.equal((await rowsOf(foreign, 'plain')).length, 1);
  });

  it('leaves nothing beside a file in WAL mode that another program has open, and sees what is in its WAL', async () => {
    const database = createDatabase(folder('live.db'), { journalMode: 'wal' });
    await holdOpen(database, 'DELETE FROM items WHERE id > 60');
    const copy = folder('copy.db');
    for (const suffix of ['', '-wal']) copyFileSync(database + suffix, copy + suffix);
    const before = [bytesOf(copy), readdirSync(folder()).sort()];
    assert.equal((await rowsOf(copy, 'items')).length, 60);
    assert.deepEqual([bytesOf(copy), readdirSync(folder()).sort()], before);
  });

  it('looks into members of bundles and of zips by other programs, and into a copy in their place', async () => {
    const [one, two] = [
      createDatabase(folder('one.db'), { rows: 3 }),
      createDatabase(folder('two.db'), { rows: 5, journalMode: 'wal' }),
    ];
    const { path } = await bundleOf([one, two]);
    const look = await lookInside({ path, member: 'two.db' });
    assert.deepEqual(look.tables[0]?.rows, 5);
    const zip = writeBytes(
      folder('other.zip'),
      rawZip([{ name: 'data/one.db', data: readFileSync(one) }]),
    );
    const { rows } = await rowsInside({ path: zip, member: 'data/one.db', table: 'items' });
    assert.equal(rows.length, 3);
    const copied = await rowsInside({ path, member: 'two.db', copy: one, table: 'items' });
    assert.equal(copied.rows.length, 3);
    assert.deepEqual(readdirSync(dirname(path)).sort(), [basename(path), `${basename(path)}.json`]);
  });

  it('reads what is left of a damaged table only as far as SQLite does', async () => {
    const path = createDatabase(folder('app.db'), { rows: 2000 });
    const { size } = statSync(path);
    withDatabase(path, (db) => db.exec('CREATE TABLE sound (a); INSERT INTO sound VALUES (1)'));
    const bytes = readFileSync(path);
    bytes.fill(0xff, 8192, size - 4096);
    writeBytes(path, bytes);
    const { tables } = await lookInside({ path });
    assert.ok(tables.find(({ name }) => name === 'items')?.isDamaged);
    assert.equal(tables.find(({ name }) => name === 'sound')?.rows, 1);
    await assert.rejects(rowsInside({ path, table: 'items' }), { code: 'corrupt' });
  });
});
