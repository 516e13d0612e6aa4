import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { takeCheckpoints } from '../../src/core/checkpoint/checkpoint.ts';
import { checkpointsFolder, storedIn } from '../../src/core/checkpoint/store.ts';
import type { KeepOut, RestoreHooks } from '../../src/core/job.ts';
import { keepBaseline, restoreBaseline } from '../../src/core/states/baseline.ts';
import { cleanUpBranches, syncBranches, type Synced } from '../../src/core/states/branches.ts';
import { branchStatus } from '../../src/core/states/branchStatus.ts';
import { label } from '../../src/core/states/kept.ts';
import { inProcess, takingInto } from '../support/checkpoints.ts';
import { useDataFolder } from '../support/dataFolders.ts';
import { createDatabase, overwrite, valueOf, withDatabase } from '../support/databases.ts';
import { whileDisturbed } from '../support/disturbance.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('the names of states', function () {
  this.timeout(30_000);
  const folder = useTempFolder();
  useDataFolder(() => folder('data'));
  const taking = (): ReturnType<typeof takingInto> => takingInto(checkpointsFolder(undefined));
  const stored = (): ReturnType<typeof storedIn> => storedIn(checkpointsFolder(undefined));

  describe('of branches', () => {
    const work = (...names: string[]): string => folder('work', ...names);
    const git = (in_: string, ...args: string[]): string =>
      execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.org', ...args], {
        cwd: in_,
        encoding: 'utf8',
        stdio: 'pipe',
      });
    const init = (path: string): void => {
      mkdirSync(path, { recursive: true });
      git(path, 'init', '-q', '-b', 'main');
      writeFileSync(`${path}/.gitignore`, '*.db\n');
      git(path, 'add', '.');
      git(path, 'commit', '-qm', 'first');
    };
    const sync = (hooks: RestoreHooks = inProcess, in_ = work()): Promise<Synced> =>
      syncBranches({ in: in_, how: 'restore', copies: false, taking: taking() }, hooks);
    const extend = (path: string): void =>
      withDatabase(path, (db) => {
        db.exec('CREATE TABLE extra (a)');
      });
    const isExtended = (path: string): boolean =>
      valueOf(path, "SELECT count(*) FROM sqlite_schema WHERE name = 'extra'") === 1;
    const both = (): boolean[] => ['a.db', 'b.db'].map((name) => isExtended(work(name)));

    /** Two databases, which have a table more on `feature`; git is back on `main`, and no sync was made since. */
    beforeEach(async () => {
      init(work());
      for (const name of ['a.db', 'b.db']) createDatabase(work(name), { rows: 10 });
      await sync();
      git(work(), 'switch', '-qc', 'feature');
      await sync();
      for (const name of ['a.db', 'b.db']) extend(work(name));
      git(work(), 'switch', '-q', 'main');
    });

    it('stay with their states when a database is replaced and what follows fails', async () => {
      let hasFailed = false;
      const { databases } = await whileDisturbed(
        work(),
        ({ call, name }) => {
          if (hasFailed || call !== 'rm' || !name.endsWith('/before')) return;
          hasFailed = true;
          throw Object.assign(new Error('EIO: injected'), { code: 'EIO', syscall: 'unlink' });
        },
        sync,
      );
      assert.deepEqual(
        databases.map(({ outcome }) => outcome),
        ['failed', 'restored'],
      );
      assert.deepEqual(both(), [false, false]);
      assert.equal((await sync()).state, 'same');
      git(work(), 'switch', '-q', 'feature');
      await sync();
      assert.deepEqual(both(), [true, true]);
      git(work(), 'switch', '-q', 'main');
      await sync();
      assert.deepEqual(both(), [false, false]);
    });

    it('bring the one back that had the name last, where a killed run has left it to two', async () => {
      await sync();
      const a = work('a.db');
      const [, older] = stored().filter(({ manifest }) => manifest.livePath === a);
      const [newer] = stored().filter(
        ({ manifest: { livePath, branches } }) =>
          livePath === a && branches?.some(({ name }) => name === 'feature'),
      );
      assert.ok(older !== undefined && newer !== undefined && older.path !== newer.path);
      const at = new Date(Date.now() + 1000).toISOString();
      label(older, ({ branches = [] }) => ({
        branches: [...branches, { name: 'feature', copy: '', at }],
      }));
      git(work(), 'switch', '-q', 'feature');
      await sync();
      assert.deepEqual(both(), [false, true]);
    });

    it('of another repository, or of a removed worktree, in the folder are none of this one', async () => {
      await sync();
      const names = ['inner', 'tree'];
      init(work('inner'));
      git(work(), 'worktree', 'add', '-q', work('tree'), '-b', 'of-tree');
      for (const name of names) {
        createDatabase(work(name, 'c.db'), { rows: 3 });
        await sync(inProcess, work(name));
        git(work(name), 'switch', '-qc', `of-${name}-too`);
        await sync(inProcess, work(name));
      }
      const named = (): string[] =>
        stored().flatMap(({ manifest: { branches = [] } }) => branches.map(({ name }) => name));
      assert.ok(named().length > 3);
      // Git has pruned what its folder was.
      mkdirSync(work('broken'));
      createDatabase(work('broken/d.db'), { rows: 3 });
      writeFileSync(work('broken/.git'), 'gitdir: /nowhere\n');
      const before = named();
      assert.deepEqual(cleanUpBranches({ in: work() }), []);
      assert.deepEqual(named(), before);

      rmSync(work('inner/c.db'));
      git(work(), 'worktree', 'remove', '--force', work('tree'));
      const { databases } = branchStatus({ in: work() });
      assert.deepEqual(databases.map(({ path }) => path).sort(), ['a.db', 'b.db']);
      for (const branch of ['of-tree', 'feature']) {
        git(work(), 'switch', '-q', branch);
        for (const { path, outcome, error } of (await sync()).databases)
          assert.ok(['a.db', 'b.db'].includes(path), `${path} ${outcome} ${error?.message}`);
      }
      assert.deepEqual(readdirSync(work('inner')).sort(), ['.git', '.gitignore']);
    });

    it('that come while those of deleted branches go, stay', async () => {
      await sync();
      git(work(), 'branch', '-qD', 'feature');
      const [one] = stored().filter(({ manifest: { branches = [] } }) =>
        branches.some(({ name }) => name === 'feature'),
      );
      assert.ok(one !== undefined);
      let hasCome = false;
      await whileDisturbed(
        checkpointsFolder(undefined),
        () => {
          if (hasCome) return;
          hasCome = true;
          label(one, ({ branches = [] }) => ({
            branches: [...branches, { name: 'main', copy: '', at: new Date().toISOString() }],
          }));
        },
        () => Promise.resolve(cleanUpBranches({ in: work() })),
      );
      const now = stored().find(({ path }) => path === one.path)?.manifest.branches;
      assert.deepEqual(
        now?.map(({ name }) => name),
        ['main'],
      );
    });
  });

  describe('of baselines', () => {
    const database = (): string => folder('app.db');
    const request = (name: string): Parameters<typeof keepBaseline>[0] => ({
      ...{ name, replace: true, taking: taking() },
      databases: [{ database: database(), recordAs: { path: 'app.db' } }],
    });
    const restore = (name: string, hooks = inProcess): ReturnType<typeof restoreBaseline> =>
      restoreBaseline(
        {
          ...{ name, discard: true, taking: taking() },
          items: [{ target: database(), recordAs: { path: 'app.db' } }],
        },
        hooks,
      );
    const namesOf = (): (string | undefined)[] =>
      stored().map(({ manifest }) => manifest.baseline?.name);

    beforeEach(() => {
      createDatabase(database(), { rows: 10 });
    });

    it('are kept when the same state gets another one', async () => {
      for (const name of ['seeded', 'also']) await keepBaseline(request(name), inProcess);
      withDatabase(database(), (db) => db.exec('DELETE FROM items'));
      for (const name of ['seeded', 'also']) assert.equal((await restore(name)).target, database());
      // And no copy more for a name that it has.
      await keepBaseline(request('also'), inProcess);
      assert.equal(namesOf().filter((name) => name !== undefined).length, 2);
    });

    it('are given to a new checkpoint where the file of the old one is damaged', async () => {
      const [first] = (
        await takeCheckpoints({ ...request('seeded'), ...taking(), force: false }, inProcess)
      ).checkpoints;
      assert.ok(first !== undefined);
      chmodSync(first.path, 0o600);
      overwrite(first.path, statSync(first.path).size - 8, Buffer.from('damaged!'));
      await keepBaseline(request('seeded'), inProcess);
      assert.deepEqual(namesOf(), ['seeded', undefined]);
      withDatabase(database(), (db) => db.exec('DELETE FROM items'));
      await restore('seeded');
      assert.equal(valueOf(database(), 'SELECT count(*) FROM items'), 10);
    });

    it('leave a state pinned that was pinned before it got one', async () => {
      const { checkpoints } = await takeCheckpoints(
        { ...request('seeded'), ...taking(), force: false },
        inProcess,
      );
      for (const one of checkpoints) label(one, () => ({ pinned: true }));
      const changeAndName = async (): Promise<void> => {
        await keepBaseline(request('seeded'), inProcess);
        withDatabase(database(), (db) => db.exec('INSERT INTO items (name) VALUES (1)'));
      };
      await changeAndName();
      await restore('seeded');
      withDatabase(database(), (db) => db.exec('DELETE FROM items'));
      for (let states = 0; states < 2; states++) await changeAndName();
      assert.deepEqual(
        stored().map(({ manifest: { pinned, baseline } }) => [pinned, baseline?.name]),
        [
          [true, 'seeded'],
          [undefined, undefined],
          [true, undefined],
        ],
      );
    });

    it('are given to none when one of the databases cannot be saved', async () => {
      const databases = [database(), folder('gone.db')].map((one) => ({
        ...{ database: one, recordAs: { path: basename(one) } },
      }));
      const both = { ...request('seeded'), databases, replace: false };
      await assert.rejects(keepBaseline(both, inProcess), {
        code: 'source-missing',
        message: /^No database has the baseline "seeded" yet: .*gone\.db does not exist\.$/,
      });
      assert.deepEqual(namesOf(), [undefined]);
      createDatabase(folder('gone.db'), { rows: 3 });
      await keepBaseline(both, inProcess);
      assert.deepEqual(namesOf(), ['seeded', 'seeded']);
    });

    it('are those of the newest state when two processes give one at the same time', async () => {
      // The first has its copy, and the second comes and goes before that has a name.
      const beforePublish = async (): Promise<void> => {
        withDatabase(database(), (db) => db.exec('DELETE FROM items WHERE id > 5'));
        await keepBaseline(request('seeded'), inProcess);
      };
      await keepBaseline(request('seeded'), { ...inProcess, beforePublish });
      assert.deepEqual(namesOf(), ['seeded', undefined]);
      withDatabase(database(), (db) => db.exec('DELETE FROM items'));
      await restore('seeded');
      assert.equal(valueOf(database(), 'SELECT count(*) FROM items'), 5);
    });

    it('do not come back to a state that has lost its own while it was put back', async () => {
      await keepBaseline(request('seeded'), inProcess);
      withDatabase(database(), (db) => db.exec('DELETE FROM items WHERE id > 5'));
      const keepOut: KeepOut = async (paths) => {
        await keepBaseline(request('seeded'), inProcess);
        return inProcess.keepOut(paths);
      };
      await restore('seeded', { ...inProcess, keepOut });
      assert.deepEqual(namesOf(), ['seeded', undefined]);
    });
  });
});
