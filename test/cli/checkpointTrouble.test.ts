import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
} from 'node:fs';
import { join } from 'node:path';
import { createDatabase, valueOf, withDatabase } from '../support/databases.ts';
import { endProcessesAfterEach, holdOpen, runCli, type Ended } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';
import { itInPart } from '../support/operations.ts';

interface Listed {
  id: string;
  path: string;
  database: string;
  createdAt: string;
  trigger: { kind: string; text: string };
}
interface Taken {
  checkpoints: { id: string; path: string; database: string }[];
  unchanged: { id: string; database: string }[];
  failures: { code: string }[];
}

describe('checkpoints in trouble', function () {
  this.timeout(60_000);
  endProcessesAfterEach();
  const folder = useTempFolder();
  let database = '';
  const env = (): Record<string, string> => ({
    SQLITE_BACKUP_CHECKPOINTS: folder('cp'),
    XDG_DATA_HOME: folder('data'),
  });
  const cli = (args: string[], cwd = folder('work')): Promise<Ended> =>
    runCli(args, { cwd, env: env() });
  const checkpoint = async (path = 'app.db', cwd = folder('work')): Promise<Taken> =>
    JSON.parse((await cli(['checkpoint', path, '--json'], cwd)).stdout) as Taken;
  const list = async (args: string[] = [], cwd = folder('work')): Promise<Listed[]> => {
    const { stdout, stderr } = await cli(['list', '--checkpoints', ...args, '--json'], cwd);
    assert.equal(stderr, '');
    return (JSON.parse(stdout) as { checkpoints: Listed[] }).checkpoints;
  };
  const change = (sql: string, path = database): void =>
    withDatabase(path, (db) => {
      db.exec(sql);
    });
  const node = (code: string): string[] => ['--', process.execPath, '-e', code];
  const mark = "require('fs').writeFileSync('ran', '')";

  beforeEach(() => {
    mkdirSync(folder('work'));
    database = createDatabase(folder('work/app.db'), { rows: 100 });
  });

  it('names the real path of the database, whatever name it was asked for by', async () => {
    symlinkSync(folder('work'), folder('link'));
    await checkpoint('link/app.db', folder());
    const [one] = await list();
    assert.equal(one?.database, database);
  });

  itInPart(
    'belongs to a database that was moved with its workspace, through two moves',
    async () => {
      const [first] = (await checkpoint()).checkpoints;
      renameSync(folder('work'), folder('moved'));
      const found = await list(['--database', 'app.db'], folder('moved'));
      assert.deepEqual(
        found.map(({ id }) => id),
        [first?.id],
      );
      change('DELETE FROM items WHERE id = 1', folder('moved/app.db'));
      const second = await checkpoint('app.db', folder('moved'));
      assert.equal(second.checkpoints.length, 1);
      renameSync(folder('moved'), folder('again'));
      change('DELETE FROM items WHERE id = 2', folder('again/app.db'));
      await checkpoint('app.db', folder('again'));
      assert.equal((await list(['--database', 'app.db'], folder('again'))).length, 3);
      // Another database that comes to the old place is another one.
      mkdirSync(folder('work'));
      createDatabase(folder('work/other.db'));
      assert.equal((await list(['--database', 'other.db'])).length, 0);
      const restored = await cli(['restore', first?.id ?? '', 'app.db', '--yes'], folder('again'));
      assert.equal(restored.code, 0, restored.stderr);
      assert.equal(valueOf(folder('again/app.db'), 'SELECT count(*) FROM items'), 100);
    },
  );

  itInPart('is one for two workspaces that share a database', async () => {
    mkdirSync(folder('second'));
    symlinkSync(database, folder('second/app.db'));
    const [first] = (await checkpoint()).checkpoints;
    const second = await checkpoint('app.db', folder('second'));
    assert.deepEqual(second.unchanged, [{ database, id: first?.id }]);
    assert.equal((await list(['--database', 'app.db'], folder('second'))).length, 1);
  });

  itInPart('is taken again when the folder of all was deleted', async () => {
    const [first] = (await checkpoint()).checkpoints;
    rmSync(folder('cp'), { recursive: true });
    assert.deepEqual(await list(), []);
    const missing = await cli(['restore', first?.id ?? '', 'app.db', '--yes']);
    assert.match(missing.stderr, /There is no checkpoint/);
    assert.equal((await checkpoint()).checkpoints.length, 1);
  });

  itInPart(
    'asked for by many at once, each state is there once or more, and all of them are whole',
    async () => {
      const many = await Promise.all(Array.from({ length: 6 }, () => checkpoint()));
      assert.deepEqual(
        many.flatMap(({ failures }) => failures),
        [],
      );
      const stored = await list();
      for (const { id } of many.flatMap((one) => [...one.checkpoints, ...one.unchanged]))
        assert.ok(stored.some((one) => one.id === id));
      const verified = await cli(['verify', ...stored.map(({ path }) => path)]);
      assert.equal(verified.code, 0, verified.stderr);
      // Then nothing has changed.
      assert.equal((await checkpoint()).unchanged.length, 1);
    },
  );

  for (const [what, make] of [
    ['is held exclusively', () => holdOpen(database, 'BEGIN EXCLUSIVE')],
    ['is larger than any', () => truncateSync(database, 20_000_000_000)],
  ] as const) {
    it(`runs no command when a database ${what}, but unprotected`, async () => {
      await make();
      const refused = await cli(['run', ...node(mark)]);
      assert.equal(refused.code, 75, refused.stderr);
      assert.equal(existsSync(folder('work/ran')), false);
      assert.match(refused.stderr, /was not run, because there is no checkpoint/);
      const ended = await cli(['run', '--unprotected', ...node(`${mark}; process.exit(4)`)]);
      assert.deepEqual([ended.code, existsSync(folder('work/ran'))], [4, true]);
    });
  }

  it('is taken of the others when one is larger than the limit, and says how to raise it', async () => {
    createDatabase(folder('work/large.db'), { rows: 5000 });
    const limit = ['--max-size', String(statSync(database).size)];
    const small = await cli(['checkpoint', 'large.db', 'app.db', ...limit]);
    assert.equal(small.code, 1);
    assert.match(small.stdout, /checkpoint of .*app\.db/);
    assert.match(small.stderr, /large\.db has .*more than the limit of .*--max-size/s);
    const refused = await cli(['run', ...limit, ...node(mark)]);
    assert.deepEqual([refused.code, existsSync(folder('work/ran'))], [75, false]);
    assert.match(refused.stderr, /was not run, because there is no checkpoint of large\.db\./);
    assert.equal((await cli(['run', ...node(mark)])).code, 0);
  });

  it('tells of rows that are gone since the checkpoint, not since a backup', async () => {
    const driver = join(import.meta.dirname, '../../node_modules/better-sqlite3');
    const sql = `require(${JSON.stringify(driver)})('app.db').exec('DELETE FROM items')`;
    const { stderr } = await cli(['run', ...node(sql)]);
    assert.match(stderr, /app\.db: items had 100 rows at the checkpoint, now 0\n/);
  });
});
