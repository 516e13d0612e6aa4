import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { planPruning, removeBackups } from '../../src/core/catalog/keeping.ts';
import { release } from '../../src/core/catalog/release.ts';
import { findLosses, lossText } from '../../src/core/manifest/loss.ts';
import type { TableFacts } from '../../src/core/manifest/manifest.ts';
import { bundleOf } from '../support/bundles.ts';
import {
  createDatabase,
  manifestOf,
  snapshot,
  withDatabase,
  writeBytes,
} from '../support/databases.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const tables = (rows: Record<string, number | undefined>): { tables: TableFacts[] } => ({
  tables: Object.entries(rows).map(([name, count]) =>
    count === undefined ? { name } : { name, rows: count },
  ),
});
const lost = (before: Record<string, number | undefined>, now: Record<string, number>): string[] =>
  findLosses(tables(before), tables(now)).map(({ table }) => table);

describe('a loss of rows', () => {
  it('is not seen where the rows were not counted, before or now', () => {
    assert.deepEqual(findLosses({}, tables({ users: 0 })), []);
    assert.deepEqual(findLosses(tables({ users: 5 }), {}), []);
    assert.deepEqual(lost({ users: undefined }, {}), []);
    assert.deepEqual(findLosses(tables({ users: 5 }), tables({ users: undefined })), []);
  });

  it('is not seen where not all tables are listed', () => {
    assert.deepEqual(findLosses(tables({ users: 5 }), { ...tables({}), tablesOmitted: 3 }), []);
  });

  for (const [what, before, now, isLoss] of [
    ['an emptied table', 1, 0, true],
    ['a table that was empty', 0, 0, false],
    ['a fall by half', 10, 5, false],
    ['a fall by more than half', 10, 4, true],
    ['a fall by a thousand rows and more than a tenth', 9000, 8000, false],
    ['a fall by more than a thousand rows and more than a tenth', 9000, 7999, true],
    ['a fall by more than a thousand rows and a tenth', 20_000, 18_000, false],
    ['a fall by more than a thousand rows and little more than a tenth', 20_000, 17_999, true],
    ['a fall by less than a tenth', 1_000_000, 950_000, false],
    ['a rise', 5, 5000, false],
  ] as const) {
    it(`is${isLoss ? '' : ' not'} ${what}: ${before} to ${now}`, () => {
      assert.deepEqual(lost({ users: before }, { users: now }), isLoss ? ['users'] : []);
    });
  }

  it('is a table that is gone or has another name, which is said so', () => {
    const [loss] = findLosses(tables({ users: 5000 }), tables({ people: 5000 }));
    assert.deepEqual(loss, { table: 'users', before: 5000 });
    assert.equal(
      lossText(loss),
      'users had 5,000 rows at the last backup; the table was deleted or renamed',
    );
    assert.deepEqual(lost({ empty: 0 }, {}), []);
  });

  it('is not a name with other capitals', () => {
    assert.deepEqual(lost({ Users: 5, ÄRGER: 5 }, { USERS: 5, ÄRGER: 5 }), []);
    assert.deepEqual(lost({ ä: 5 }, { Ä: 5 }), ['ä']);
  });

  it('is not what full-text and r-tree modules merge, but is the text that they keep', () => {
    const before = {
      notes_data: 900,
      notes_idx: 800,
      notes_content: 500,
      notes_docsize: 500,
      notes_config: 1,
    };
    const merged = { ...before, notes_data: 3, notes_idx: 1, notes_config: 0 };
    assert.deepEqual(lost(before, merged), []);
    assert.deepEqual(lost(before, { ...merged, notes_content: 0 }), ['notes_content']);
    // Only a name that looks alike.
    assert.deepEqual(lost({ sensor_data: 900 }, { sensor_data: 3 }), ['sensor_data']);
    const box = { box_node: 50, box_parent: 49, box_rowid: 900 };
    assert.deepEqual(lost(box, { box_node: 1, box_parent: 0, box_rowid: 900 }), []);
    assert.deepEqual(lost(box, { box_node: 1, box_parent: 0, box_rowid: 1 }), ['box_rowid']);
  });

  describe('between two backups', () => {
    const folder = useTempFolder();
    let app = '';
    const run = (sql: string): void => {
      withDatabase(app, (db) => db.exec(sql));
    };

    beforeEach(() => {
      app = createDatabase(folder('app.db'), {
        sql: `CREATE TABLE users (name); CREATE TABLE queue (job);
          WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO users SELECT i FROM n;
          INSERT INTO queue VALUES (1), (2)`,
      });
    });

    it('is in the manifest of the one after it, and later ones tell it again', async () => {
      const { manifest: before } = await snapshot(app);
      assert.equal(before.losses, undefined);
      run('DELETE FROM users');
      const { manifest } = await snapshot(app);
      const id = before.source.id ?? '';
      const [loss, ...rest] = manifest.losses ?? [];
      assert.deepEqual(rest, []);
      assert.deepEqual(loss, {
        ...{ database: id, table: 'users', before: 5000, now: 0 },
        ...{ since: before.createdAt, at: manifest.createdAt },
      });
      assert.equal(lossText(loss), 'users had 5,000 rows at the last backup, now 0');
      run('DROP TABLE queue');
      const { manifest: later } = await snapshot(app);
      assert.deepEqual(
        later.losses?.map(({ table, at }) => [table, at]),
        [
          ['users', manifest.createdAt],
          ['queue', later.createdAt],
        ],
      );
    });

    it('is seen from a snapshot to a bundle and back, by the identity', async () => {
      await snapshot(app);
      run('DELETE FROM users');
      const { manifest: bundle } = await bundleOf([app]);
      assert.deepEqual(
        bundle.losses?.map(({ table }) => table),
        ['users'],
      );
      run('DELETE FROM queue');
      const { manifest } = await snapshot(app, { recordAs: { path: 'other name.db' } });
      assert.deepEqual(
        manifest.losses?.map(({ table }) => table),
        ['users', 'queue'],
      );
    });

    it('is not seen between two databases of one name', async () => {
      await snapshot(app);
      const other = createDatabase(folder('other.db'), { sql: 'CREATE TABLE users (name)' });
      const { manifest } = await snapshot(other);
      assert.equal(manifest.losses, undefined);
    });

    it('is seen over backups whose rows were not counted', async () => {
      const { manifest: before } = await snapshot(app);
      await snapshot(app, { verify: false });
      run('DELETE FROM users');
      const { manifest: uncounted } = await snapshot(app, { verify: false });
      assert.equal(uncounted.losses, undefined);
      const { manifest } = await snapshot(app);
      assert.equal(manifest.losses?.[0]?.since, before.createdAt);
    });

    it('is compared with the newest backup before it, also when that is dated in the future', async () => {
      await snapshot(app);
      run('INSERT INTO queue SELECT name FROM users');
      const { path: ahead } = await snapshot(app);
      const text = readFileSync(`${ahead}.json`, 'utf8').replace(
        /"createdAt": "2/,
        '"createdAt": "3',
      );
      writeBytes(`${ahead}.json`, text);
      run('DELETE FROM queue WHERE rowid > 2');
      const { manifest } = await snapshot(app);
      assert.deepEqual(
        manifest.losses?.map(({ table, before }) => [table, before]),
        [['queue', 5002]],
      );
    });

    it('of a table that a person has released is not told again, until that is taken back', async () => {
      const { path: first } = await snapshot(app);
      run('DELETE FROM users; DELETE FROM queue');
      await snapshot(app);
      // By the name of the backup that stays because of it.
      assert.deepEqual(
        release({ backup: first, tables: ['QUEUE'] }).map(({ table }) => table),
        ['queue'],
      );
      assert.throws(() => release({ backup: first, tables: ['queue'] }), /not released yet/);
      run('INSERT INTO queue VALUES (1), (2)');
      await snapshot(app);
      run('DELETE FROM queue');
      const { path, manifest } = await snapshot(app);
      assert.deepEqual(
        manifest.losses?.map(({ table }) => table),
        ['users'],
      );
      assert.deepEqual(manifest.released, [{ database: manifest.source.id, table: 'queue' }]);
      assert.deepEqual(
        release({ backup: path, undo: true }).map(({ table }) => table),
        ['queue'],
      );
      run('INSERT INTO queue VALUES (1)');
      await snapshot(app);
      run('DROP TABLE queue');
      const { manifest: last } = await snapshot(app);
      assert.deepEqual(last.losses?.map(({ table }) => table).sort(), ['queue', 'users']);
    });

    it('keeps the backup before it from being pruned, until it is released', async () => {
      const { path: full } = await snapshot(app);
      run('DELETE FROM users');
      const taken: string[] = [];
      for (let n = 0; n < 5; n++) taken.push((await snapshot(app)).path);
      const prune = (): string[] => {
        const { remove } = planPruning(folder('backups'), { keepLast: 2 }, new Date());
        const paths = remove.map(({ path }) => path);
        return removeBackups(folder('backups'), paths).removed;
      };
      // What told of it first goes as well; the later ones tell it again.
      assert.deepEqual(prune().sort(), taken.slice(0, 3).sort());
      assert.deepEqual(prune(), []);
      await snapshot(app);
      assert.deepEqual(prune(), taken.slice(3, 4));
      release({ backup: taken[4] ?? '' });
      assert.deepEqual(prune(), [full]);
      await snapshot(app);
      assert.deepEqual(prune(), taken.slice(4));
    });

    it('cannot be released where there is none, or in a file of others', async () => {
      const { path } = await snapshot(app);
      assert.throws(() => release({ backup: path }), { code: 'bad-name' });
      assert.throws(() => release({ backup: path, undo: true }), { code: 'bad-name' });
      assert.throws(() => release({ backup: app }), { code: 'access' });
    });

    it('is told by a backup without a count as well, once it is known', async () => {
      await snapshot(app);
      run('DELETE FROM users');
      await snapshot(app);
      const { path } = await snapshot(app, { verify: false });
      assert.equal(manifestOf(path).losses?.length, 1);
    });
  });
});
