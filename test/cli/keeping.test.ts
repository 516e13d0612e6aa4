import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { createDatabase, snapshot, withDatabase } from '../support/databases.ts';
import { itInPart } from '../support/operations.ts';
import { runCli, type Ended } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const json = <T>({ stdout }: Ended): T => JSON.parse(stdout) as T;

interface Decision {
  path: string;
  reasons: string[];
}

describe('the command line, keeping backups in order', () => {
  const folder = useTempFolder();
  let paths: string[] = [];

  beforeEach(async () => {
    const database = createDatabase(folder('app.db'));
    paths = [];
    for (let n = 0; n < 3; n++) paths.push((await snapshot(database)).path);
    writeFileSync(folder('backups/notes.txt'), 'mine');
  });

  itInPart('says with 2 what is missing or wrong', async () => {
    for (const args of [
      ['prune', '--to', folder('backups')],
      ['prune', '--to', folder('backups'), '--keep-last', '0'],
      ['prune', '--to', folder('backups'), '--keep-last', '-1'],
      ['prune', '--keep-last', '1'],
      ['pin'],
      ['release'],
      ['adopt', folder('app.db')],
      ['note', folder('x')],
      ['compare', folder('app.db')],
    ]) {
      assert.equal((await runCli(args)).code, 2, args.join(' '));
    }
    assert.equal(readdirSync(folder('backups')).length, 7);
  });

  it('prunes only when it is not a dry run, with the manifests, and says why', async () => {
    const prune = (...args: string[]): Promise<Ended> =>
      runCli(['prune', '--to', folder('backups'), '--keep-last', '1', '--json', ...args]);
    const dry = json<{ keep: Decision[]; remove: Decision[]; removed: string[] }>(
      await prune('--dry-run'),
    );
    assert.deepEqual(dry.removed, []);
    assert.equal(readdirSync(folder('backups')).length, 7);
    const ended = await prune();
    const done = json<typeof dry>(ended);
    assert.equal(ended.code, 0);
    assert.deepEqual(done.removed.sort(), [paths[0], paths[1]].sort());
    assert.deepEqual(done.keep, [
      { path: paths[2], reasons: ['newest good backup', 'backup 1 of the newest 1'] },
    ]);
    assert.equal(readdirSync(folder('backups')).length, 3);
    assert.ok(existsSync(folder('backups/notes.txt')));
  });

  it('pins against pruning, unpins, and writes notes', async () => {
    const [oldest = ''] = paths;
    const pinned = await runCli(['pin', oldest, '--json']);
    assert.deepEqual(json(pinned), { path: oldest, pinned: true, note: '' });
    const noted = await runCli(['note', oldest, 'before 0042', '--json']);
    assert.deepEqual(json(noted), { path: oldest, pinned: true, note: 'before 0042' });
    await runCli(['prune', '--to', folder('backups'), '--keep-last', '1']);
    assert.ok(existsSync(oldest));
    assert.deepEqual(json(await runCli(['unpin', oldest, '--json'])), {
      path: oldest,
      pinned: false,
      note: 'before 0042',
    });
  });

  it('changes no file of others', async () => {
    const foreign = createDatabase(folder('backups/corescope-backup-1700000000.db'));
    const { code, stderr } = await runCli(['pin', foreign]);
    assert.equal(code, 1);
    assert.match(stderr, /not made by SQLite Backup/);
    assert.ok(!existsSync(`${foreign}.json`));
  });

  it('compares, with numbers and without values', async () => {
    withDatabase(folder('app.db'), (db) =>
      db.exec("DELETE FROM items WHERE id = 1; UPDATE items SET name = 'secret' WHERE id = 2"),
    );
    const ended = await runCli(['compare', folder('app.db'), paths[0] ?? '', '--json']);
    assert.deepEqual(json(ended), {
      schema: { same: true, diff: '' },
      tables: [{ name: 'items', onlyLeft: 0, onlyRight: 1, changed: 1, compared: true }],
      notCompared: [],
    });
    assert.doesNotMatch(ended.stdout, /secret/);
  });

  it('says which tables only one side has, and what it did not compare', async () => {
    const live = folder('app.db');
    withDatabase(live, (db) =>
      db.exec('CREATE TABLE empty (a); CREATE TABLE one (a); INSERT INTO one VALUES (1)'),
    );
    const lines = async (...args: string[]): Promise<string[]> => {
      const { code, stdout, stderr } = await runCli(['compare', ...args]);
      assert.equal(code, 0, stderr);
      return stdout.trim().split('\n').slice(-4);
    };
    const [backup = ''] = paths;
    assert.deepEqual((await lines(live, backup)).slice(1), [
      'empty: a table only left, 0 rows',
      'one: a table only left, 1 row',
      '1 of 3 tables hold the same rows.',
    ]);
    assert.deepEqual(await lines(backup, live, '--deadline', '0.0001'), [
      '0 of 3 tables hold the same rows.',
      'not compared: empty: the time ran out',
      'not compared: items: the time ran out',
      'not compared: one: the time ran out',
    ]);
  });

  it('verifies what a pattern names, manifests left out', async () => {
    const names = readdirSync(folder('backups'))
      .filter((name) => name.startsWith('app'))
      .map((name) => folder('backups', name));
    const ended = await runCli(['verify', ...names, '--json']);
    assert.equal(ended.code, 0);
    const { results } = json<{ results: { status: string }[] }>(ended);
    assert.deepEqual(
      results.map(({ status }) => status),
      ['ok', 'ok', 'ok'],
    );
  });

  it('gives up on a folder that can never be made', async function () {
    if (process.platform !== 'linux') this.skip(); // /proc is there only.
    const { code, stderr } = await runCli(['back-up', folder('app.db'), '--to', '/proc/backups']);
    assert.equal(code, 1);
    assert.match(stderr, /\/proc\/backups/);
  });

  it('keeps the backups of two databases of one name apart, from wherever it is run', async () => {
    for (const name of ['a', 'b']) {
      mkdirSync(folder(name));
      createDatabase(folder(name, 'app.db'), { rows: 5 });
    }
    const to = ['--to', folder('bk')];
    const databases = [folder('a/app.db'), folder('b/app.db')];
    assert.equal((await runCli(['back-up', ...databases, ...to])).code, 0);
    const { code, stdout } = await runCli(['prune', ...to, '--keep-last', '1', '--json'], {
      cwd: '/',
    });
    assert.equal(code, 0);
    assert.deepEqual((JSON.parse(stdout) as { removed: string[] }).removed, []);
    assert.equal(readdirSync(folder('bk')).length, 4);
  });

  itInPart(
    'goes on without a data folder, prunes nothing that it does not know, and takes a word for it',
    async () => {
      writeFileSync(folder('no folder'), '');
      const to = ['--to', folder('bk')];
      const { code, stderr } = await runCli(['back-up', folder('app.db'), ...to], {
        env: { XDG_DATA_HOME: folder('no folder') },
      });
      assert.equal(code, 0);
      assert.match(stderr, /retention never removes this backup: .*XDG_DATA_HOME/);
      const old = readdirSync(folder('bk')).map((name) => folder('bk', name));
      await snapshot(folder('app.db'), { folder: folder('bk') });
      assert.match((await runCli(['prune', ...to, '--keep-last', '1'])).stdout, /kept 2\.$/m);
      const { stdout } = await runCli(['adopt', folder('app.db'), ...old]);
      assert.match(stdout, /^1 backup counts as a backup of .*app\.db from now on\.$/m);
      assert.match((await runCli(['prune', ...to, '--keep-last', '1'])).stdout, /kept 1\.$/m);
    },
  );

  it('tells of rows that are gone, keeps the backup before, and releases it', async () => {
    const users = createDatabase(folder('users.db'), { sql: 'CREATE TABLE users (name)' });
    const rows = (sql: string): void => withDatabase(users, (db) => void db.exec(sql));
    rows(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
      INSERT INTO users SELECT i FROM n`);
    const to = ['--to', folder('bk')];
    const { path: full } = await snapshot(users, { folder: folder('bk') });
    rows('DELETE FROM users');
    const { code, stderr } = await runCli(['back-up', users, ...to]);
    assert.equal(code, 0);
    assert.match(stderr, /users had 5,000 rows at the last backup, now 0\./);
    assert.match(stderr, /sqlite-backup release BACKUP/);
    const { path: last } = await snapshot(users, { folder: folder('bk') });
    const pruned = await runCli(['prune', ...to, '--keep-last', '1']);
    assert.match(pruned.stdout, /last backup before rows of users were lost/);
    assert.ok(existsSync(full));
    assert.match((await runCli(['release', full])).stdout, /^Released: users\./);
    const undone = await runCli(['release', last, '--undo', '--json']);
    assert.deepEqual(json(undone), { path: last, undo: true, tables: ['users'] });
  });
});
