import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type Check, checkDatabase } from '../../src/core/sqlite/check.ts';
import {
  createDatabase,
  features,
  overwrite,
  snapshot,
  withDatabase,
} from '../support/databases.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const wordsSql = `CREATE TABLE words (id INTEGER PRIMARY KEY, word TEXT, text TEXT);
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900)
  INSERT INTO words SELECT i, 'word ' || i, printf('%.*c', i, 'x') FROM n;
  CREATE INDEX sorted ON words (word);
  CREATE TABLE gone (a); INSERT INTO gone VALUES (zeroblob(60000)); DROP TABLE gone;`;

/** Gives the index an order that only the application knows, so that SQLite's check of the whole file cannot run. */
function sortedBy(path: string, order: string): string {
  withDatabase(path, (db) => {
    db.unsafeMode();
    db.pragma('writable_schema = on');
    db.prepare("UPDATE sqlite_schema SET sql = ? WHERE name = 'sorted'").run(
      `CREATE INDEX sorted ON words (${order})`,
    );
  });
  return path;
}

describe('what SQLite cannot check without a collation of the application', () => {
  const folder = useTempFolder();

  const made = (pragmas: string[] = [], sql = ''): string =>
    sortedBy(
      createDatabase(folder('app.db'), { pragmas, sql: `${sql};${wordsSql}` }),
      'word COLLATE app_order',
    );
  const check = (path: string): Check => checkDatabase(path, { access: 'read-only' });
  const valueIn = (path: string, sql: string): number =>
    withDatabase(path, (db) => Number(db.prepare(sql).pluck().get()), { readonly: true });
  const pageOf = (path: string, name: string, type: string): number =>
    valueIn(
      path,
      `SELECT max(pageno) FROM dbstat WHERE name = '${name}' AND pagetype = '${type}' AND pageno NOT IN
        (SELECT rootpage FROM sqlite_schema)`,
    );
  const trash = (path: string, page: number, byte: number, pageSize = 4096): void =>
    overwrite(path, (page - 1) * pageSize, Buffer.alloc(pageSize, byte));
  const word = (value: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return bytes;
  };
  /** The database as it is, with this finding. */
  const expectDamage = async (path: string, finding: RegExp): Promise<void> => {
    const { status, findings } = check(path);
    assert.equal(status, 'damaged', JSON.stringify(findings));
    assert.match(findings[0]?.message ?? '', finding);
    await assert.rejects(snapshot(path), { code: 'corrupt' });
  };

  for (const pageSize of [512, 4096, 65536]) {
    for (const autoVacuum of [0, 2]) {
      it(`is whole in pages of ${pageSize} bytes with auto_vacuum ${autoVacuum}`, () => {
        const path = made([`page_size = ${pageSize}`, `auto_vacuum = ${autoVacuum}`]);
        const { status, findings } = check(path);
        assert.deepEqual(
          [status, findings.map(({ code }) => code)],
          ['partial', ['not-fully-checkable', 'table-not-checkable']],
        );
      });
    }
  }

  for (const [what, sql] of features) {
    it(`is whole beside ${what}`, () => {
      assert.equal(check(made([], sql)).status, 'partial');
    });
  }

  for (const byte of [0, 0x0a, 0xa5, 0xff]) {
    it(`has an index with a page of bytes ${byte}`, () => {
      const path = made();
      trash(path, pageOf(path, 'sorted', 'leaf'), byte);
      return expectDamage(path, /page \d+ of sorted cannot be read/);
    });
  }

  it('has a table with a page of bytes', () => {
    const path = made();
    trash(path, pageOf(path, 'words', 'leaf'), 0xa5);
    return expectDamage(path, /words|malformed/);
  });

  it('has a free list whose first page is trashed', () => {
    const path = made();
    trash(path, readFileSync(path).readUInt32BE(32), 0xa5);
    return expectDamage(path, /free list/);
  });

  it('has a free list of another length than is recorded', () => {
    const path = made();
    overwrite(path, 36, word(3));
    return expectDamage(path, /the free list has \d+ pages, but 3 are recorded/);
  });

  it('has a free page that is in use', () => {
    const path = made();
    const trunk = readFileSync(path).readUInt32BE(32);
    overwrite(path, (trunk - 1) * 4096 + 8, word(pageOf(path, 'sorted', 'leaf')));
    return expectDamage(path, /which is in use/);
  });

  it('has a free page twice', () => {
    const path = made();
    const bytes = readFileSync(path);
    const at = (bytes.readUInt32BE(32) - 1) * 4096 + 8;
    overwrite(path, at + 4, word(bytes.readUInt32BE(at)));
    return expectDamage(path, /in it twice/);
  });

  it('has a free list that leads in a circle', () => {
    const path = made();
    const trunk = readFileSync(path).readUInt32BE(32);
    overwrite(path, (trunk - 1) * 4096, word(trunk));
    return expectDamage(path, /in it twice/);
  });

  it('has a page that is neither free nor in use', () => {
    const path = made();
    overwrite(path, 32, Buffer.alloc(8));
    return expectDamage(path, /neither in use nor free/);
  });

  it('has a page that is used twice', () => {
    const path = made();
    const root = valueIn(path, "SELECT rootpage FROM sqlite_schema WHERE name = 'sorted'");
    const bytes = readFileSync(path);
    // The rightmost page of the index becomes its first as well.
    const at = (root - 1) * 4096;
    overwrite(path, at + bytes.readUInt16BE(at + 12), bytes.subarray(at + 8, at + 12));
    return expectDamage(path, /used twice/);
  });

  it('has an index whose pages lead in a circle', () => {
    const path = made();
    const root = valueIn(path, "SELECT rootpage FROM sqlite_schema WHERE name = 'sorted'");
    overwrite(path, (root - 1) * 4096 + 8, word(root));
    return expectDamage(path, /used twice|malformed/);
  });

  it('has an index with a page of a table in it, and a table with a page of an index', async () => {
    const path = made();
    const bytes = readFileSync(path);
    const [leaf, row] = [pageOf(path, 'sorted', 'leaf'), pageOf(path, 'words', 'leaf')];
    const pageAt = (page: number): Buffer => bytes.subarray((page - 1) * 4096, page * 4096);
    overwrite(path, (leaf - 1) * 4096, pageAt(row));
    await expectDamage(path, /page \d+ is not of the kind/);
  });

  it('has a table whose rows are out of order', () => {
    const path = made([], 'CREATE TABLE before (a)');
    const bytes = readFileSync(path);
    const at = (pageOf(path, 'words', 'leaf') - 1) * 4096;
    // The last two cells of a page change places.
    const cells = at + 8 + 2 * (bytes.readUInt16BE(at + 3) - 2);
    const [first, second] = [
      bytes.subarray(cells, cells + 2),
      bytes.subarray(cells + 2, cells + 4),
    ];
    overwrite(path, cells, Buffer.concat([second, first]));
    return expectDamage(path, /words: rows are out of order/);
  });

  it('has an index with another number of entries than its table has rows: out of step', async () => {
    const path = made();
    const root = valueIn(path, "SELECT rootpage FROM sqlite_schema WHERE name = 'sorted'");
    const leaf = pageOf(path, 'sorted', 'leaf');
    assert.ok(root !== leaf);
    const at = (leaf - 1) * 4096 + 3;
    const count = readFileSync(path).readUInt16BE(at);
    overwrite(path, at, Buffer.from([(count - 1) >> 8, (count - 1) & 0xff]));
    const { manifest } = await snapshot(path);
    assert.deepEqual(
      [manifest.verdict.status, manifest.verdict.outOfStep?.map(({ name }) => name)],
      ['partial', ['sorted']],
    );
  });

  it('is looked at as a whole by SQLite where only a function is missing', () => {
    const path = createDatabase(folder('app.db'), { sql: wordsSql });
    sortedBy(path, 'app_function(word)');
    assert.equal(check(path).status, 'partial');
    trash(path, readFileSync(path).readUInt32BE(32), 0xa5);
    return expectDamage(path, /Freelist/);
  });
});
