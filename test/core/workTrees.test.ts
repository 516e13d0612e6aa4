import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { checkpointsFolder } from '../../src/core/checkpoint/store.ts';
import { headIn } from '../../src/core/snapshot/gitHead.ts';
import { syncBranches } from '../../src/core/states/branches.ts';
import { whileAlone } from '../../src/core/states/branchRecord.ts';
import { workTreeOf } from '../../src/core/states/repository.ts';
import { copyFromMainTo } from '../../src/core/states/worktrees.ts';
import { inProcess, takingInto } from '../support/checkpoints.ts';
import { useDataFolder } from '../support/dataFolders.ts';
import { createDatabase } from '../support/databases.ts';
import { whileDisturbed } from '../support/disturbance.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('a work tree', () => {
  const folder = useTempFolder();
  useDataFolder(() => folder('data'));
  const { PATH } = process.env;
  afterEach(() => {
    process.env['PATH'] = PATH;
  });
  const git = (...args: string[]): string =>
    execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.org', ...args], {
      cwd: folder('work'),
      encoding: 'utf8',
      stdio: 'pipe',
    });

  beforeEach(() => {
    mkdirSync(folder('work'));
    git('init', '-q', '-b', 'main');
    mkdirSync(folder('bin'));
  });

  it('has the branch that git says, however git keeps that', () => {
    git('commit', '-q', '--allow-empty', '-m', 'x');
    const saysAsGit = (expected: string | undefined): void => {
      let said: string | undefined;
      try {
        said = git('symbolic-ref', '-q', 'HEAD').trim().replace('refs/heads/', '');
      } catch {
        // Detached.
      }
      assert.deepEqual([said, workTreeOf(folder('work')).branch], [expected, expected]);
    };
    saysAsGit('main');
    git('switch', '-qc', 'a/b-c');
    saysAsGit('a/b-c');
    git('symbolic-ref', 'refs/heads/other-name', 'refs/heads/main');
    git('switch', '-q', 'other-name');
    saysAsGit('main');
    git('pack-refs', '--all');
    saysAsGit('main');
    git('switch', '-q', '--detach');
    saysAsGit(undefined);
    git('switch', '-q', '--orphan', 'unborn');
    saysAsGit('unborn');
    git('worktree', 'add', '-q', '-b', 'linked', '../linked', 'main');
    assert.equal(workTreeOf(folder('linked')).branch, 'linked');
    git('switch', '-q', 'main');
    git('commit', '-q', '--allow-empty', '-m', 'y');
    // As old versions of git made it.
    rmSync(folder('work/.git/HEAD'));
    symlinkSync('refs/heads/main', folder('work/.git/HEAD'));
    saysAsGit('main');
    // As where git keeps references in tables.
    const head = folder('work/.git/HEAD');
    rmSync(head);
    writeFileSync(head, 'ref: refs/heads/.invalid\n');
    assert.equal(headIn(folder('work/.git')), undefined);
    rmSync(head);
    assert.throws(() => workTreeOf(folder('work')), { code: 'source-missing' });
  });

  it('is looked at again when another process was waited for', async () => {
    git('commit', '-q', '--allow-empty', '-m', 'x');
    const request = { in: folder('work'), how: 'keep', copies: false } as const;
    const taking = takingInto(checkpointsFolder(undefined));
    const sync = (): ReturnType<typeof syncBranches> =>
      syncBranches({ ...request, taking }, inProcess);
    await sync();
    const top = workTreeOf(folder('work')).top;
    let waiting: ReturnType<typeof sync> | undefined;
    await whileAlone(
      top,
      () => undefined,
      () => {
        waiting = sync();
        git('switch', '-qc', 'feature');
        return Promise.resolve();
      },
    );
    assert.equal((await waiting)?.to, 'feature');
  });

  it('is not said to be none when git is not there, is too old, or fails', () => {
    assert.throws(() => workTreeOf(folder('bin')), { code: 'source-missing' });
    assert.throws(() => workTreeOf(folder('gone')), { code: 'source-missing' });
    process.env['PATH'] = folder('bin');
    assert.throws(() => workTreeOf(folder('work')), {
      code: 'feature-missing',
      message: /^git is not installed/,
    });
    // What git 2.30 says to an option that it does not know.
    writeFileSync(folder('bin/git'), '#!/bin/sh\necho "--path-format=absolute"\necho .git\n', {
      mode: 0o755,
    });
    assert.throws(() => workTreeOf(folder('work')), {
      code: 'feature-missing',
      message: /too old/,
    });
    process.env['PATH'] = PATH;
    writeFileSync(folder('work/.git/config'), 'no line of a configuration');
    assert.throws(() => workTreeOf(folder('work')), {
      code: 'io-error',
      message: /^git failed for .*work: fatal: bad config line 1/,
    });
  });

  it('has no folder of a database that could not be copied into it', async () => {
    writeFileSync(folder('work/.gitignore'), '*.db\n');
    git('add', '.');
    git('commit', '-qm', 'first');
    mkdirSync(folder('work/data/deep'), { recursive: true });
    createDatabase(folder('work/data/deep/app.db'), { rows: 3 });
    git('worktree', 'add', '-q', folder('linked'), '-b', 'other');
    const request = { in: folder('linked'), taking: takingInto(checkpointsFolder(undefined)) };
    const copy = (): ReturnType<typeof copyFromMainTo> => copyFromMainTo(request, inProcess);
    const [failed] = await whileDisturbed(
      folder('linked'),
      ({ call, name }) => {
        if (call === 'link' && name.endsWith('app.db'))
          throw Object.assign(new Error('injected'), { code: 'EIO', syscall: 'link' });
      },
      copy,
    );
    assert.deepEqual([failed?.path, failed?.error?.code], ['data/deep/app.db', 'io-error']);
    assert.ok(!existsSync(folder('linked/data')));
    assert.deepEqual(await copy(), [{ path: 'data/deep/app.db' }]);
    assert.ok(existsSync(folder('linked/data/deep/app.db')));
  });
});
