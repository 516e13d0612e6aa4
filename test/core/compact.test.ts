import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { verifySnapshot } from '../../src/core/verify/verifySnapshot.ts';
import { WorkerClient } from '../../src/worker/client.ts';
import {
  autoVacuums,
  bytesOf,
  contentOf,
  createDatabase,
  createGenerations,
  createForeign,
  createWithForeignCollation,
  encodings,
  features,
  generationsIn,
  itemsSql,
  overwrite,
  pageSizes,
  requestFor,
  siblingsBeside,
  snapshot,
  valueOf,
  withDatabase,
} from '../support/databases.ts';
import { endProcessesAfterEach, holdOpen, start, workerEntry } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const compact = (path: string): ReturnType<typeof snapshot> =>
  snapshot(path, { method: 'compact' });

describe('a compact snapshot', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();
  const backups = (): string[] | undefined =>
    existsSync(folder('backups')) ? readdirSync(folder('backups')) : undefined;

  /** Compacts, and insists on the same rows, a good verdict now and later, and an untouched source. */
  const keepsAll = async (path: string): Promise<string> => {
    const before = bytesOf(path);
    const { path: copy, manifest } = await compact(path);
    assert.deepEqual(
      [manifest.method, manifest.verdict],
      ['compact', { ...manifest.verdict, status: 'ok', findings: [] }],
    );
    assert.deepEqual(contentOf(copy), contentOf(path));
    assert.deepEqual(bytesOf(path), before);
    assert.deepEqual(
      verifySnapshot(copy, () => undefined),
      { path: copy, status: 'ok', findings: [] },
    );
    assert.equal(manifest.sizeBytes, statSync(copy).size);
    return copy;
  };

  for (const pageSize of pageSizes) {
    it(`has the rows and the page size of a database with pages of ${pageSize} bytes`, async () => {
      const path = createDatabase(folder('app.db'), { pragmas: [`page_size = ${pageSize}`] });
      assert.equal(valueOf(await keepsAll(path), 'PRAGMA page_size'), pageSize);
    });
  }

  for (const encoding of encodings) {
    for (const autoVacuum of autoVacuums) {
      it(`has the rows of a database in ${encoding} with auto_vacuum ${autoVacuum}, and both settings`, async () => {
        const pragmas = [`encoding = '${encoding}'`, `auto_vacuum = ${autoVacuum}`];
        const copy = await keepsAll(createDatabase(folder('app.db'), { pragmas }));
        assert.equal(valueOf(copy, 'PRAGMA encoding'), encoding);
        assert.equal(valueOf(copy, 'PRAGMA auto_vacuum'), autoVacuum);
      });
    }
  }

  for (const [what, sql] of features) {
    it(`keeps ${what}`, async () => {
      await keepsAll(createDatabase(folder('app.db'), { sql }));
    });
  }

  it('keeps user_version and application_id', async () => {
    const pragmas = ['user_version = -7', 'application_id = 1196444487'];
    const { path, manifest } = await compact(createDatabase(folder('app.db'), { pragmas }));
    const { userVersion, applicationId } = manifest.facts;
    assert.deepEqual([userVersion, applicationId], [-7, 1196444487]);
    assert.equal(valueOf(path, 'PRAGMA user_version'), -7);
    assert.equal(valueOf(path, 'PRAGMA application_id'), 1196444487);
  });

  it('keeps rowids with gaps of tables without INTEGER PRIMARY KEY, by which other tables point to them', async () => {
    const path = createDatabase(folder('app.db'), {
      sql: `CREATE TABLE notes (body TEXT);
        INSERT INTO notes (rowid, body) VALUES (5, 'cheese'), (70, 'bread'), (900, 'wine');
        CREATE VIRTUAL TABLE f USING fts5(body, content = notes);
        INSERT INTO f (f) VALUES ('rebuild')`,
    });
    const { path: copy } = await compact(path);
    const rowids = 'SELECT group_concat(rowid) FROM (SELECT rowid FROM notes ORDER BY 1)';
    assert.equal(valueOf(copy, rowids), '5,70,900');
    assert.equal(valueOf(copy, `SELECT body FROM f WHERE f MATCH 'wine'`), 'wine');
    withDatabase(copy, (db) => db.exec(`INSERT INTO f (f, rank) VALUES ('integrity-check', 1)`));
  });

  it('does not contain what was deleted, which an exact one does', async () => {
    const path = createDatabase(folder('app.db'), {
      sql: `${itemsSql(3000)}; CREATE TABLE t (a TEXT);
        INSERT INTO t VALUES ('kept'), ('a deleted secret'); DELETE FROM t WHERE a <> 'kept';
        DELETE FROM items WHERE id > 10`,
    });
    const [small, full] = [await compact(path), await snapshot(path)];
    assert.ok(readFileSync(full.path).includes('deleted secret'));
    assert.ok(!readFileSync(small.path).includes('deleted secret'));
    assert.ok(small.manifest.sizeBytes * 5 < full.manifest.sizeBytes, 'and it is smaller');
    assert.deepEqual(contentOf(small.path), contentOf(full.path));
  });

  it('of a WAL database has what is in the WAL, stands alone, records the mode and changes nothing', async () => {
    const path = createDatabase(folder('app.db'), { journalMode: 'wal' });
    await holdOpen(path, 'PRAGMA wal_autocheckpoint = 0', 'DELETE FROM items WHERE id > 7');
    const before = bytesOf(path);
    const { path: copy, manifest } = await compact(path);
    assert.deepEqual(bytesOf(path), before);
    assert.equal(manifest.facts.journalMode, 'wal');
    assert.equal(valueOf(copy, 'SELECT count(*) FROM items'), 7);
    assert.equal(readFileSync(copy).readUInt8(18), 1, 'rollback mode');
    assert.deepEqual(siblingsBeside(copy), []);
    assert.equal(verifySnapshot(copy, () => undefined).status, 'ok');
  });

  const missing: [what: string, make: (path: string) => string, reason: RegExp][] = [
    ['a collation of an index', (path) => createWithForeignCollation(path), /app_order/],
    [
      'a function of an index',
      (path) =>
        createForeign(
          path,
          'CREATE TABLE f (a); CREATE INDEX g ON f (app_function(a)); INSERT INTO f VALUES (1)',
          '',
          '',
        ),
      /app_function/,
    ],
  ];
  for (const [what, make, reason] of missing) {
    it(`is refused when ${what} is missing, offers exact, and leaves nothing`, async () => {
      const path = make(folder('app.db'));
      const before = bytesOf(path);
      await assert.rejects(compact(path), (error: Error & { code?: string; hint?: string }) => {
        assert.equal(error.code, 'feature-missing', error.message);
        assert.match(error.message, reason);
        assert.ok(error.message.includes(path));
        assert.match(error.hint ?? '', /exact/);
        return true;
      });
      assert.equal(backups(), undefined, 'not even an empty file');
      assert.deepEqual(bytesOf(path), before);
      assert.equal((await snapshot(path)).manifest.verdict.status, 'partial', 'as it promised');
    });
  }

  const needed: [what: string, sql: string, name: string, definition: string, reason: RegExp][] = [
    [
      'a function of a stored column',
      'CREATE TABLE f (a, b AS (app_function(a)) STORED); INSERT INTO f VALUES (1)',
      '',
      '',
      /app_function/,
    ],
    [
      'a function of a CHECK',
      'CREATE TABLE f (a, CHECK (app_function(a) > 0)); INSERT INTO f VALUES (1)',
      '',
      '',
      /app_function/,
    ],
    [
      'a module',
      `CREATE VIRTUAL TABLE f USING fts5(a); INSERT INTO f VALUES ('x')`,
      'f',
      'CREATE VIRTUAL TABLE f USING app_module(a)',
      /app_module/,
    ],
  ];
  for (const [what, sql, name, definition, reason] of needed) {
    it(`says so, and is no ok, when ${what} is missing`, async () => {
      const path = createForeign(folder('app.db'), sql, name, definition);
      const outcome = await compact(path).catch((error: unknown) => error);
      if (outcome instanceof Error) {
        assert.equal(Reflect.get(outcome, 'code'), 'feature-missing', outcome.message);
        assert.match(outcome.message, reason);
        assert.equal(backups(), undefined);
        return;
      }
      const { manifest, path: copy } = outcome as Awaited<ReturnType<typeof compact>>;
      assert.equal(valueOf(copy, 'SELECT count(*) FROM plain'), 1);
      assert.equal(manifest.verdict.status, 'partial');
      assert.match(JSON.stringify(manifest.verdict.findings), reason);
    });
  }

  for (const index of ['with an index', 'without an index'] as const) {
    it(`of a database ${index} that lost rows to damage is not called good`, async () => {
      const sql = `${itemsSql(3000)}; ${index === 'with an index' ? '' : 'DROP INDEX items_by_name'}`;
      const path = createDatabase(folder('app.db'), { sql });
      forgetPage(path, 'items');
      assert.ok(Number(valueOf(path, 'SELECT count(*) FROM items NOT INDEXED')) < 3000);
      await assert.rejects(snapshot(path), { code: 'corrupt' }, 'exact finds it');
      const outcome = await compact(path).then(
        ({ manifest }) => manifest.verdict.status,
        (error: unknown) => String(Reflect.get(error as Error, 'code')),
      );
      assert.notEqual(outcome, 'ok');
    });
  }

  it('is of one generation while another process commits', async () => {
    const path = createGenerations(folder('app.db'), 'wal');
    await start('writer.ts', path, '2');
    const worker = new WorkerClient({ entry: workerEntry });
    const seen: number[] = [];
    for (let n = 0; n < 5; n++) {
      const request = requestFor(path, { method: 'compact', busyTimeoutMs: 5000 });
      const { path: copy, manifest } = await worker.call('backUp', request);
      assert.equal(manifest.verdict.status, 'ok');
      assert.match(generationsIn(copy), /^\d+$/, 'one generation everywhere');
      seen.push(Number(generationsIn(copy)));
    }
    assert.deepEqual(
      seen,
      seen.toSorted((a, b) => a - b),
    );
    assert.ok((seen.at(-1) ?? 0) > (seen[0] ?? 0), `${seen.join()}: the writer went on`);
  });

  it('fails as busy under an exclusive lock, and leaves nothing', async () => {
    const path = createDatabase(folder('app.db'));
    await holdOpen(path, 'BEGIN EXCLUSIVE');
    await assert.rejects(compact(path), { code: 'source-busy' });
    assert.equal(backups(), undefined);
  });
});

/** Makes the root of a table of several pages forget one of them: a hole that only a check of this very file can see. */
function forgetPage(path: string, table: string): void {
  const root = Number(valueOf(path, `SELECT rootpage FROM sqlite_schema WHERE name = '${table}'`));
  const offset = (root - 1) * 4096;
  const bytes = readFileSync(path);
  assert.equal(bytes.readUInt8(offset), 5, 'an interior page');
  const cells = Buffer.alloc(2);
  cells.writeUInt16BE(bytes.readUInt16BE(offset + 3) - 1);
  overwrite(path, offset + 3, cells);
}
