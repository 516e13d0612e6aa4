import assert from 'node:assert/strict';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { planRestore, type RestorePlan } from '../../src/core/restore/plan.ts';
import { liveStateOf } from '../../src/core/sqlite/siblings.ts';
import {
  bytesOf,
  createDatabase,
  overwrite,
  snapshot,
  valueOf,
  withDatabase,
  writeBytes,
} from '../support/databases.ts';
import { endProcessesAfterEach, holdOpen, kill, start } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const django = (names: string[]): string =>
  `CREATE TABLE IF NOT EXISTS django_migrations (id INTEGER PRIMARY KEY, app, name, applied);
   DELETE FROM django_migrations;
   ${names.map((name) => `INSERT INTO django_migrations (app, name) VALUES ('shop', '${name}');`).join('')}`;

describe('the plan of a restore', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();
  let live = '';
  let backup = '';

  beforeEach(async () => {
    live = createDatabase(folder('app.db'), { journalMode: 'wal' });
    backup = (await snapshot(live)).path;
  });

  const plan = (changes: Partial<Parameters<typeof planRestore>[0]> = {}): Promise<RestorePlan> =>
    planRestore({ backup, items: [{ target: live }], ...changes }, { onProgress: () => undefined });
  const itemOf = ({ items }: RestorePlan): RestorePlan['items'][number] => {
    assert.ok(items[0]);
    return items[0];
  };
  const change = (sql: string): void => withDatabase(live, (db) => void db.exec(sql));

  it('says exactly what would be lost, brought back and changed', async () => {
    change(`DELETE FROM items WHERE id <= 7; INSERT INTO items (id, name) VALUES (500, 'a'), (501, 'b');
      UPDATE items SET name = name || '!' WHERE id BETWEEN 11 AND 15;
      CREATE TABLE only_live (a); INSERT INTO only_live VALUES (1), (2), (3)`);
    const { verified, kind, sizeBytes, findings, ...rest } = await plan();
    assert.deepEqual([verified, kind, findings], ['ok', 'snapshot', []]);
    assert.ok(sizeBytes > 0);
    const item = itemOf({ verified, kind, sizeBytes, findings, ...rest });
    assert.deepEqual(item.tables, [
      { name: 'items', lost: 2, gained: 7, changed: 5, compared: true },
      { name: 'only_live', lost: 3, gained: 0, changed: 0, compared: true, only: 'live' },
    ]);
    assert.equal(item.schema.same, false);
    assert.match(item.schema.diff, /^- CREATE TABLE only_live/);
    assert.equal(item.targetState, 'readable');
    assert.deepEqual(item.source.tables, [{ name: 'items', rows: 100 }]);
    assert.equal(item.source.journalMode, 'wal');
  });

  it('only reads: not a byte and not a name changes, whoever has the database open', async () => {
    const holder = await holdOpen(live, "INSERT INTO items (name) VALUES ('x')");
    for (const step of ['held', 'left by a killed program', 'closed']) {
      const before = [bytesOf(live), bytesOf(backup), readdirSync(folder())];
      await plan();
      assert.deepEqual([bytesOf(live), bytesOf(backup), readdirSync(folder())], before, step);
      if (step === 'held') {
        await kill(holder);
        rmSync(`${live}-shm`);
      } else {
        change('SELECT 1 FROM items');
      }
    }
  });

  for (const [state, make] of [
    ['missing', () => rmSync(live)],
    ['empty', () => writeFileSync(live, '')],
    ['not-a-database', () => writeFileSync(live, 'text, and more of it')],
    ['damaged', () => overwrite(live, 18, Buffer.from([0, 0]))],
    ['damaged', () => overwrite(live, 100, Buffer.alloc(3000, 0xee))],
  ] as const) {
    it(`works when the live file is ${state}, and says so`, async () => {
      make();
      const item = itemOf(await plan());
      assert.equal(item.targetState, state);
      assert.equal(item.targetExists, state !== 'missing');
      assert.deepEqual(item.tables, []);
      assert.equal(item.migrations.verdict, 'unknown');
      if (state !== 'missing') assert.ok(item.targetReason);
    });
  }

  it('compares what it can of a live database of which one table is damaged', async () => {
    change('CREATE TABLE empty (a); CREATE TABLE other (a); INSERT INTO other VALUES (1), (2)');
    change('PRAGMA wal_checkpoint(TRUNCATE)');
    const root = valueOf(live, "SELECT rootpage FROM sqlite_schema WHERE name = 'items'");
    overwrite(live, (Number(root) - 1) * 4096, Buffer.alloc(100, 0xee));
    const { targetState, targetReason, tables, notCompared } = itemOf(await plan());
    assert.equal(targetState, 'damaged');
    assert.equal(targetReason, 'Some of its tables are damaged and could not be compared.');
    assert.deepEqual(tables, [
      { name: 'empty', lost: 0, gained: 0, changed: 0, compared: true, only: 'live' },
      { name: 'items', lost: 0, gained: 0, changed: 0, compared: false },
      { name: 'other', lost: 2, gained: 0, changed: 0, compared: true, only: 'live' },
    ]);
    assert.deepEqual(notCompared, [{ name: 'items', reason: 'damaged in the live database' }]);
  });

  it('reads a database that was stopped in the middle of a transaction from a copy', async () => {
    change('PRAGMA journal_mode = delete');
    const { child } = await start('hotJournal.ts', live);
    await kill(child);
    const before = bytesOf(live);
    const item = itemOf(await plan());
    assert.equal(item.targetState, 'readable');
    assert.deepEqual(item.tables, [
      { name: 'items', lost: 0, gained: 0, changed: 0, compared: true },
    ]);
    assert.deepEqual(item.siblings, ['-journal']);
    assert.deepEqual(bytesOf(live), before);
  });

  it('has the damage of a backup as its verdict, and compares nothing then', async () => {
    overwrite(backup, 5000, Buffer.from('damage'));
    const made = await plan();
    assert.equal(made.verified, 'damaged');
    assert.deepEqual(itemOf(made).tables, []);
    // The manifest does not know of it.
    assert.equal((await plan({ trustManifest: true })).verified, 'ok');
  });

  it('names who has the database open', async function () {
    if (process.platform !== 'linux') this.skip(); // Elsewhere other programs have to be asked.
    const { pid } = await holdOpen(live, 'SELECT count(*) FROM items');
    assert.deepEqual(itemOf(await plan()).holders, [{ pid, name: 'node' }]);
  });

  it('has a word for the state of the live database that reading does not change, and writing does', async () => {
    const words = [liveStateOf(live)];
    await plan();
    await snapshot(live);
    assert.deepEqual([liveStateOf(live)], words);
    const look = (): void => void words.push(liveStateOf(live));
    const holder = await holdOpen(live, "INSERT INTO items (name) VALUES ('x')");
    look();
    await kill(holder);
    change("INSERT INTO items (name) VALUES ('y')");
    look();
    rmSync(live);
    look();
    writeBytes(live, 'x');
    look();
    assert.equal(new Set(words).size, 5);
  });

  describe('says of the migrations', () => {
    const verdictFor = async (
      ofBackup: string,
      ofLive: string,
    ): Promise<[verdict: string, words: string]> => {
      change(ofBackup);
      backup = (await snapshot(live)).path;
      change(ofLive);
      const { verdict, words } = itemOf(await plan()).migrations;
      return [verdict, words];
    };

    it('that the backup is behind, and by how many', async () => {
      const [verdict, words] = await verdictFor(
        django(['1', '2']),
        django(['1', '2', '3', '4', '5']),
      );
      assert.equal(verdict, 'behind');
      assert.match(
        words,
        /^The backup is 3 migrations behind: run your migrations after the restore, or start the matching build \(Django: shop\.2 in the backup, shop\.5 live\)\.$/,
      );
    });

    it('that it is ahead', async () => {
      const [verdict, words] = await verdictFor(django(['1', '2']), django(['1']));
      assert.equal(verdict, 'ahead');
      assert.match(
        words,
        /^The backup is 1 migration ahead of the live database: do not start an older build on it/,
      );
    });

    it('that they are the same, or differ, or that there are none', async () => {
      assert.equal((await verdictFor('SELECT 1', 'SELECT 1'))[0], 'unknown');
      assert.equal((await verdictFor(django(['1']), 'SELECT 1'))[0], 'same');
      assert.equal((await verdictFor(django(['1']), django(['2'])))[0], 'different');
    });

    it('what user_version says where no tool does', async () => {
      const [verdict] = await verdictFor('PRAGMA user_version = 3', 'PRAGMA user_version = 5');
      assert.equal(verdict, 'behind');
      const [other] = await verdictFor('PRAGMA user_version = 10', 'PRAGMA user_version = 9');
      assert.equal(other, 'ahead');
    });
  });
});
