import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { restOf } from '../../src/cli/watch.ts';
import { storedIn } from '../../src/core/checkpoint/store.ts';
import type { KeepOut } from '../../src/core/job.ts';
import { keepBaseline } from '../../src/core/states/baseline.ts';
import { syncBranches, type Synced } from '../../src/core/states/branches.ts';
import { inProcess, takingInto } from '../support/checkpoints.ts';
import { useDataFolder } from '../support/dataFolders.ts';
import { createDatabase, valueOf, withDatabase } from '../support/databases.ts';
import { endProcessesAfterEach, fixture, run } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('states of databases in doubt', function () {
  this.timeout(30_000);
  const folder = useTempFolder();
  endProcessesAfterEach();
  useDataFolder(() => folder('data'));
  const taking = (checkpoints = folder('cp')): ReturnType<typeof takingInto> =>
    takingInto(checkpoints);

  describe('of a branch', () => {
    const work = (...names: string[]): string => folder('work', ...names);
    const git = (...args: string[]): string =>
      execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.org', ...args], {
        cwd: work(),
        encoding: 'utf8',
      });
    const sync = (checkpoints?: string, hooks = inProcess): Promise<Synced> =>
      syncBranches(
        { in: work(), how: 'restore', copies: true, taking: taking(checkpoints) },
        hooks,
      );
    const extra = "SELECT count(*) FROM sqlite_schema WHERE name = 'extra'";
    const change = (sql: string): void =>
      withDatabase(work('app.db'), (db) => {
        db.exec(sql);
      });

    beforeEach(() => {
      mkdirSync(work());
      git('init', '-q', '-b', 'main');
      writeFileSync(work('.gitignore'), '*.db\n');
      git('add', '.');
      git('commit', '-qm', 'first');
      createDatabase(work('app.db'), { rows: 10 });
    });

    it('come back where the folder of checkpoints is a link', async () => {
      mkdirSync(folder('elsewhere'));
      symlinkSync(folder('elsewhere'), folder('link'));
      assert.equal((await sync(folder('link'))).state, 'first');
      git('switch', '-qc', 'feature');
      const [first] = (await sync(folder('link'))).databases;
      assert.deepEqual([first?.outcome, typeof first?.kept], ['none', 'string']);
      change('CREATE TABLE added (a)');
      git('switch', '-q', 'main');
      const [second] = (await sync(folder('link'))).databases;
      assert.equal(second?.outcome, 'restored');
      assert.equal(
        valueOf(work('app.db'), "SELECT count(*) FROM sqlite_schema WHERE name = 'added'"),
        0,
      );
    });

    it('come back although a program comes by in the middle, and what it writes is kept', async () => {
      await sync();
      git('switch', '-qc', 'feature');
      await sync();
      change('CREATE TABLE extra (a)');
      git('switch', '-q', 'main');
      let visits = 0;
      const keepOut: KeepOut = (paths) => {
        visits += 1;
        // It is at work while the state is staged, then it is gone.
        if (visits === 1) change('INSERT INTO extra VALUES (1)');
        const outcomes = paths.map(() => (visits === 2 ? ('busy' as const) : ('held' as const)));
        return Promise.resolve({ outcomes, letGo: () => Promise.resolve() });
      };
      const [back] = (await sync(undefined, { ...inProcess, keepOut })).databases;
      assert.deepEqual([back?.outcome, visits], ['restored', 3]);
      assert.equal(valueOf(work('app.db'), extra), 0);
      git('switch', '-q', 'feature');
      assert.equal((await sync()).databases[0]?.outcome, 'restored');
      assert.equal(valueOf(work('app.db'), 'SELECT count(*) FROM extra'), 1);
    });

    it('stay those of the branch before under a program that comes back each time', async () => {
      await sync();
      git('switch', '-qc', 'feature');
      await sync();
      change('CREATE TABLE extra (a)');
      git('switch', '-q', 'main');
      const keepOut: KeepOut = (paths) =>
        Promise.resolve({
          outcomes: paths.map(() => 'busy' as const),
          letGo: () => Promise.resolve(),
        });
      const [left] = (await sync(undefined, { ...inProcess, keepOut })).databases;
      assert.deepEqual([left?.outcome, left?.error?.code], ['held', 'target-in-use']);
      assert.equal((await sync()).databases[0]?.outcome, 'restored');
    });

    it('are those of the new branch after a process that was killed as soon as the first was back', async () => {
      await sync();
      git('switch', '-qc', 'feature');
      await sync();
      change('CREATE TABLE extra (a)');
      git('switch', '-q', 'main');
      // The lock is let go of right after the database has been replaced.
      const killed = run([process.execPath, fixture('killedSync.ts'), work(), folder('cp')]);
      assert.equal((await killed).signal, 'SIGKILL');
      assert.equal(valueOf(work('app.db'), extra), 0);
      await sync();
      git('switch', '-q', 'feature');
      assert.equal((await sync()).databases[0]?.outcome, 'restored');
      assert.equal(valueOf(work('app.db'), extra), 1);
    });

    it('are those of the branch before after a process that was killed when the first had got its second name', async () => {
      await sync();
      git('switch', '-qc', 'feature');
      await sync();
      change('CREATE TABLE extra (a)');
      git('switch', '-q', 'main');
      const args = [fixture('killedSync.ts'), work(), folder('cp'), 'before'];
      assert.equal((await run([process.execPath, ...args])).signal, 'SIGKILL');
      assert.equal(statSync(work('app.db')).nlink, 2);
      assert.equal((await sync()).databases[0]?.outcome, 'restored');
      assert.equal(valueOf(work('app.db'), extra), 0);
      git('switch', '-q', 'feature');
      assert.equal((await sync()).databases[0]?.outcome, 'restored');
      assert.equal(valueOf(work('app.db'), extra), 1);
    });

    it('are kept out of by a process that is asked for as often as there are databases, and in time', async () => {
      createDatabase(work('second.db'), { rows: 10 });
      await sync();
      git('switch', '-qc', 'feature');
      await sync();
      change('CREATE TABLE extra (a)');
      withDatabase(work('second.db'), (db) => db.exec('CREATE TABLE extra (a)'));
      git('switch', '-q', 'main');
      const events: string[] = [];
      await sync(undefined, {
        ...inProcess,
        onKeepOutSoon: () => events.push('soon'),
        keepOut: (paths) => {
          events.push('now');
          return inProcess.keepOut(paths);
        },
      });
      assert.deepEqual(events, ['soon', 'now', 'soon', 'now']);
    });

    it('keep their names when two processes see the same switch', async () => {
      await sync();
      git('switch', '-qc', 'feature');
      await sync();
      change('CREATE TABLE extra (a)');
      git('switch', '-q', 'main');
      let other: Promise<Synced> | undefined;
      const keepOut: KeepOut = (paths) =>
        Promise.resolve({
          outcomes: paths.map(() => 'held' as const),
          letGo: () => {
            // What lies there is of main already, and what is remembered still says feature.
            other = sync();
            return Promise.resolve();
          },
        });
      assert.equal(
        (await sync(undefined, { ...inProcess, keepOut })).databases[0]?.outcome,
        'restored',
      );
      assert.equal((await other)?.state, 'same');
      git('switch', '-q', 'feature');
      assert.equal((await sync()).databases[0]?.outcome, 'restored');
      assert.equal(valueOf(work('app.db'), extra), 1);
    });

    it('are left alone when the branch that they were to follow is no longer checked out', async () => {
      await sync();
      git('switch', '-qc', 'feature');
      await sync();
      change('CREATE TABLE extra (a)');
      git('switch', '-q', 'main');
      const request = { in: work(), how: 'restore' as const, copies: false, taking: taking() };
      const late = await syncBranches({ ...request, onlyTo: 'feature' }, inProcess);
      assert.deepEqual([late.state, late.databases], ['moved', []]);
      const now = await syncBranches({ ...request, onlyTo: 'main' }, inProcess);
      assert.equal(now.databases[0]?.outcome, 'restored');
    });

    it('are not taken for those of the branch of now when what is remembered cannot be read', async () => {
      await sync();
      git('switch', '-qc', 'feature');
      const records = folder('data/sqlite-backup/branches');
      const [name = ''] = readdirSync(records);
      // A folder cannot be read as a file, whoever asks.
      rmSync(join(records, name));
      mkdirSync(join(records, name));
      await assert.rejects(sync(), { name: 'BackupError' });
    });
  });

  it('are baselines only when all that were asked for are good', async () => {
    for (const name of ['a.db', 'b.db']) createDatabase(folder(name), { rows: 2000 });
    const handle = openSync(folder('b.db'), 'r+');
    writeSync(handle, Buffer.alloc(4096, 0x5a), 0, 4096, 3 * 4096);
    closeSync(handle);
    const databases = ['a.db', 'b.db'].map((name) => ({
      ...{ database: folder(name), recordAs: { path: name } },
    }));
    await assert.rejects(
      keepBaseline({ name: 'seed', databases, replace: false, taking: taking() }, inProcess),
      { code: 'backup-damaged' },
    );
    const named = storedIn(folder('cp')).filter(({ manifest }) => manifest.baseline !== undefined);
    assert.deepEqual(named, []);
  });

  it('are watched on when the clock goes back', () => {
    const everyMs = 900_000;
    assert.equal(restOf(everyMs, 1e12, 1e12 - 7_200_000), 0);
    assert.equal(restOf(everyMs, 1e12, 1e12 + everyMs), 0);
    assert.equal(restOf(everyMs, 1e12, 1e12), 30_000);
    assert.equal(restOf(everyMs, 1e12, 1e12 + everyMs - 5), 5);
  });
});
