import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import type Database from 'better-sqlite3';
import { listBackups } from '../../src/core/catalog/catalog.ts';
import type { Manifest } from '../../src/core/manifest/manifest.ts';
import { verdictWords } from '../../src/core/manifest/verdictWords.ts';
import { applyRestore } from '../../src/core/restore/apply.ts';
import { planRestore } from '../../src/core/restore/plan.ts';
import { checkDatabase } from '../../src/core/sqlite/check.ts';
import { verifyBackup } from '../../src/core/verify/verifyBackup.ts';
import {
  createDatabase,
  itemsSql,
  manifestOf,
  overwrite,
  snapshot,
  valueOf,
  withDatabase,
} from '../support/databases.ts';
import { bundleOf } from '../support/bundles.ts';
import { applyRequest, quiet } from '../support/restores.ts';
import { useTempFolder } from '../support/tempFolders.ts';

/** Runs SQL on a closed database that may change the schema and the tables behind full-text indexes. */
function change(path: string, ...statements: string[]): string {
  withDatabase(path, (db) => {
    db.unsafeMode();
    for (const sql of statements) redefine(db, sql);
  });
  return path;
}

function redefine(db: Database.Database, sql: string): void {
  db.pragma('writable_schema = on');
  db.exec(sql);
  db.pragma('writable_schema = reset');
}

const define = (name: string, sql: string): string =>
  `UPDATE sqlite_schema SET sql = '${sql.replaceAll("'", "''")}' WHERE name = '${name}'`;

/** Row 2 is not in the index, though its definition says that all are. */
const indexWithoutRow = [
  `CREATE TABLE t (a); CREATE INDEX i ON t (a) WHERE a <> 2; INSERT INTO t VALUES (1), (2), (3)`,
  define('i', 'CREATE INDEX i ON t (a)'),
];
const fullText = (module: string): string =>
  `CREATE VIRTUAL TABLE f USING ${module}; INSERT INTO f (rowid, body) VALUES (1, 'a b'), (2, 'c d')`;

describe('derived data that is out of step with rows that are all there', () => {
  const folder = useTempFolder();

  const made = (...statements: string[]): string =>
    change(createDatabase(folder('app.db'), { sql: 'SELECT 1' }), ...statements);

  const states: [what: string, statements: string[], words: string, mend: string | undefined][] = [
    ['an index without a row', indexWithoutRow, 'index i', 'REINDEX "i"'],
    [
      'an index in another order',
      [
        `CREATE TABLE t (a); INSERT INTO t VALUES ('a'), ('B'), ('c'); CREATE INDEX i ON t (a COLLATE NOCASE)`,
        define('i', 'CREATE INDEX i ON t (a)'),
      ],
      'index i',
      'REINDEX "i"',
    ],
    [
      'a unique index with a value that is there twice',
      [
        `CREATE TABLE t (a); INSERT INTO t VALUES (1), (1); CREATE INDEX i ON t (a)`,
        define('i', 'CREATE UNIQUE INDEX i ON t (a)'),
      ],
      'index i',
      'REINDEX "i"',
    ],
    [
      'an index with more entries than rows',
      [
        `CREATE TABLE t (a); INSERT INTO t VALUES (1), (2), (3); CREATE INDEX i ON t (a)`,
        define('i', 'CREATE INDEX i ON t (a) WHERE a <> 2'),
        'DELETE FROM t WHERE rowid = 2',
        define('i', 'CREATE INDEX i ON t (a)'),
      ],
      'index i',
      'REINDEX "i"',
    ],
    [
      'a full-text index (FTS5) without a part',
      [fullText('fts5(body)'), 'DELETE FROM f_data WHERE id > 10'],
      'full-text index f',
      `INSERT INTO "f"("f") VALUES('rebuild')`,
    ],
    [
      'a full-text index (FTS5) of other words',
      [fullText('fts5(body)'), "UPDATE f_content SET c0 = 'x'"],
      'full-text index f',
      `INSERT INTO "f"("f") VALUES('rebuild')`,
    ],
    [
      'a full-text index (FTS5) over a table of the application',
      [
        `CREATE TABLE t (id INTEGER PRIMARY KEY, body); INSERT INTO t VALUES (1, 'a'), (2, 'b');
         CREATE VIRTUAL TABLE f USING fts5(body, content = 't', content_rowid = 'id'); INSERT INTO f (f) VALUES ('rebuild')`,
        'DELETE FROM f_data WHERE id > 10',
      ],
      'full-text index f',
      `INSERT INTO "f"("f") VALUES('rebuild')`,
    ],
    [
      'a full-text index (FTS4) without a part',
      [fullText('fts4(body)').replace('(rowid, body)', '(docid, body)'), 'DELETE FROM f_segdir'],
      'full-text index f',
      `INSERT INTO "f"("f") VALUES('rebuild')`,
    ],
    [
      'a text in a column of numbers',
      [`CREATE TABLE t (a); INSERT INTO t VALUES ('7')`, define('t', 'CREATE TABLE t (a INTEGER)')],
      'table t with its rules',
      undefined,
    ],
    [
      'a value of another type in a STRICT table',
      [
        `CREATE TABLE t (a); INSERT INTO t VALUES ('x')`,
        define('t', 'CREATE TABLE t (a INTEGER) STRICT'),
      ],
      'table t with its rules',
      undefined,
    ],
    [
      'no value where one has to be',
      [
        `CREATE TABLE t (a); INSERT INTO t VALUES (NULL)`,
        define('t', 'CREATE TABLE t (a NOT NULL)'),
      ],
      'table t with its rules',
      undefined,
    ],
  ];

  for (const [what, statements, words, mend] of states) {
    it(`${what} is backed up, verified, and restored for trial`, async () => {
      const path = made(...statements);
      const { path: copy, manifest } = await snapshot(path);
      assert.equal(manifest.verdict.status, 'partial', JSON.stringify(manifest.verdict));
      assert.equal(verdictWords(manifest.verdict), `rows complete, ${words} out of step`);
      assert.equal(manifest.verdict.outOfStep?.[0]?.mend, mend);
      assert.match(manifest.verdict.findings[0]?.message ?? '', /^Rows complete, but /);
      const verified = await verifyBackup(
        { path: copy, drill: true, folder: folder() },
        () => undefined,
      );
      assert.deepEqual(
        [verified.status, verified.outOfStep, verified.drill?.status],
        ['partial', manifest.verdict.outOfStep, 'ok'],
      );
      assert.deepEqual(manifestOf(copy).verdict.outOfStep, manifest.verdict.outOfStep);
      const [listed] = listBackups(folder('backups'));
      assert.deepEqual(
        [listed?.verified, listed?.outOfStep],
        ['partial', manifest.verdict.outOfStep],
      );
    });

    if (mend === undefined || what.includes('twice')) continue;
    it(`${what} is mended by what is said to mend it`, () => {
      const path = change(made(...statements), mend);
      assert.equal(checkDatabase(path, { access: 'private' }).status, 'ok');
    });
  }

  it('goes into a bundle, and over a live database', async () => {
    const path = made(...indexWithoutRow);
    const { manifest } = await bundleOf([path]);
    const { status, outOfStep } = manifest.verdict;
    assert.deepEqual([status, outOfStep?.map(({ name }) => name)], ['partial', ['i']]);
    const { path: backup } = await snapshot(path);
    const target = createDatabase(folder('live.db'));
    const items = [{ target }];
    const plan = await planRestore({ backup, items }, quiet);
    assert.deepEqual([plan.verified, plan.outOfStep?.map(({ name }) => name)], ['partial', ['i']]);
    await applyRestore(applyRequest(backup, target), quiet);
    assert.equal(valueOf(target, 'SELECT group_concat(a) FROM t NOT INDEXED'), '1,2,3');
  });

  it('counts the rows themselves, not the entries of the index', async () => {
    const path = made(...indexWithoutRow);
    assert.equal(valueOf(path, 'SELECT count(a) FROM t INDEXED BY i'), 2);
    const { manifest } = await snapshot(path);
    assert.deepEqual(manifest.tables, [{ name: 't', rows: 3 }]);
  });

  it('is told for each index, with more messages than SQLite gives at once', async () => {
    const path = made(
      `${itemsSql(500)}; CREATE TABLE u (a); INSERT INTO u VALUES (1), (1); CREATE INDEX j ON u (a)`,
      define('items_by_name', 'CREATE INDEX items_by_name ON items (name DESC)'),
      define('j', 'CREATE UNIQUE INDEX j ON u (a)'),
    );
    const { manifest } = await snapshot(path);
    assert.deepEqual(
      manifest.verdict.outOfStep?.map(({ name }) => name),
      ['j', 'items_by_name'],
    );
    assert.equal(manifest.verdict.findings.length, 2);
  });

  it('leaves a manifest that an older version reads: a field more, and none of another type', async () => {
    const { path: copy } = await snapshot(made(...indexWithoutRow));
    const { outOfStep, ...verdict } = manifestOf(copy).verdict;
    assert.equal(outOfStep?.length, 1);
    assert.deepEqual(Object.keys(verdict).sort(), ['checkedAt', 'findings', 'status']);
    const text = readFileSync(`${copy}.json`, 'utf8');
    const manifest = JSON.parse(text) as Manifest;
    Object.assign(manifest.verdict, {
      outOfStep: [{ what: 'what a later version knows', name: 'x' }],
    });
    writeFileSync(`${copy}.json`, JSON.stringify(manifest));
    assert.equal(
      verdictWords(manifestOf(copy).verdict),
      'rows complete, x out of step',
      'so do we read a later one',
    );
  });
});

describe('what looks derived and is damage', () => {
  const folder = useTempFolder();

  const refuses = async (what: RegExp, ...statements: string[]): Promise<void> => {
    const path = change(createDatabase(folder('app.db'), { sql: 'SELECT 1' }), ...statements);
    await assert.rejects(snapshot(path), (error: Error) => {
      assert.match(error.message, what);
      return true;
    });
    assert.ok(readdirSync(folder('backups')).every((name) => name.includes('.suspect')));
  };

  it('an index out of step beside a page that cannot be read', async () => {
    const path = change(
      createDatabase(folder('app.db'), { sql: itemsSql(500) }),
      ...indexWithoutRow,
    );
    overwrite(path, 10 * 4096, Buffer.alloc(4096, 0xa5));
    await assert.rejects(snapshot(path), { code: 'corrupt' });
  });

  it('a table WITHOUT ROWID in another order than that of its key', () =>
    refuses(
      /PRIMARY KEY order/,
      `CREATE TABLE t (k TEXT COLLATE NOCASE PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO t VALUES ('a', 1), ('B', 2), ('c', 3)`,
      define('t', 'CREATE TABLE t (k TEXT PRIMARY KEY, v) WITHOUT ROWID'),
    ));

  it('a full-text index of a format that its module cannot read', () =>
    refuses(/invalid fts5 file format/, fullText('fts5(body)'), 'UPDATE f_config SET v = 0'));

  it('a full-text index whose rows are gone, or were never kept', async () => {
    await refuses(/SQL logic error/, fullText('fts5(body)'), 'DROP TABLE f_content');
    await refuses(
      /cannot be built again/,
      `DROP TABLE f`,
      fullText("fts5(body, content='')"),
      'DELETE FROM f_data WHERE id > 10',
    );
  });

  it('a full-text index whose own tables are gone', () =>
    refuses(/f: vtable constructor failed/, fullText('fts5(body)'), 'DROP TABLE f_config'));

  it('an R*Tree, which holds its rows itself', async () => {
    const tree = `CREATE VIRTUAL TABLE r USING rtree(id, a, b); INSERT INTO r VALUES (1, 2, 3), (2, 3, 4)`;
    await refuses(/In RTree/, tree, 'UPDATE r_node SET data = zeroblob(length(data))');
    await refuses(/RTree/, 'UPDATE r_node SET data = zeroblob(10)');
    await refuses(/r_node/, 'DROP TABLE r_node');
  });

  it('is not taken for an index by the name of a table or an index', async () => {
    const name = 'x missing from index i';
    await refuses(
      /PRIMARY KEY order/,
      `CREATE TABLE "${name}" (k TEXT COLLATE NOCASE PRIMARY KEY, v) WITHOUT ROWID;
       INSERT INTO "${name}" VALUES ('a', 1), ('B', 2), ('c', 3); CREATE TABLE t (a); CREATE INDEX i ON t (a)`,
      define(name, `CREATE TABLE "${name}" (k TEXT PRIMARY KEY, v) WITHOUT ROWID`),
    );
  });
});

describe('a full-text index whose tokenizer only the application has', () => {
  const folder = useTempFolder();

  for (const module of ['fts4', 'fts5']) {
    it(`is a backup, called partial, and names it (${module})`, async () => {
      const path = change(
        createDatabase(folder('app.db'), { sql: 'SELECT 1' }),
        `CREATE VIRTUAL TABLE f USING ${module}(body); INSERT INTO f (body) VALUES ('a b')`,
        define('f', `CREATE VIRTUAL TABLE f USING ${module}(body, tokenize = app_words)`),
      );
      const { manifest } = await snapshot(path);
      assert.deepEqual(
        [manifest.verdict.status, manifest.verdict.outOfStep],
        ['partial', undefined],
      );
      assert.match(JSON.stringify(manifest.verdict.findings), /tokenizer: app_words/);
    });
  }
});
