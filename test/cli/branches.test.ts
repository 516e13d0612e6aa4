import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  globSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { createDatabase, valueOf, withDatabase } from '../support/databases.ts';
import {
  endProcessesAfterEach,
  holdOpen,
  kill,
  run as runProgram,
  runCli,
  type Ended,
} from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';
import { itInPart, itWhere } from '../support/operations.ts';

const count = 'SELECT count(*) FROM items';

describe('databases that follow the branch', function () {
  this.timeout(120_000);
  endProcessesAfterEach();
  const folder = useTempFolder();
  const repo = (...names: string[]): string => folder('repo', ...names);
  const environment = (): NodeJS.ProcessEnv => ({
    ...process.env,
    SQLITE_BACKUP_CHECKPOINTS: folder('cp'),
    XDG_DATA_HOME: folder('data'),
    HOME: folder('home'),
    GIT_CONFIG_NOSYSTEM: '1',
  });
  const gitIn = (cwd: string, args: string[], env = environment()): string =>
    execFileSync('git', args, { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  const git = (...args: string[]): string => gitIn(repo(), args);
  const cliIn = (cwd: string, ...args: string[]): Promise<Ended> =>
    runCli(args, { cwd, env: environment() as Record<string, string> });
  const cli = (...args: string[]): Promise<Ended> => cliIn(repo(), ...args);
  const good = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await cli(...args);
    assert.equal(code, 0, stderr);
    return stdout;
  };
  const change = (name: string, sql: string): void =>
    withDatabase(repo(name), (db) => {
      db.exec(sql);
    });
  const run = (...args: string[]): Promise<Ended> =>
    runProgram(['git', ...args], { cwd: repo(), env: environment() as Record<string, string> });
  const tables = (path: string): unknown =>
    valueOf(
      path,
      `SELECT group_concat(name) FROM (SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name)`,
    );

  beforeEach(() => {
    mkdirSync(folder('home'));
    mkdirSync(repo());
    writeFileSync(
      folder('home/.gitconfig'),
      '[user]\nname = A\nemail = a@example.com\n[init]\ndefaultBranch = main\n[core]\nautocrlf = false\n',
    );
    git('init', '-q');
    writeFileSync(repo('.gitignore'), '*.db*\n');
    git('add', '.');
    git('commit', '-qm', 'one');
    createDatabase(repo('app.db'), { rows: 10 });
  });

  /** Of every file: kind, mode and content. */
  const bytesOf = (root: string): Record<string, string> =>
    Object.fromEntries(
      globSync('**', { cwd: root })
        .sort()
        .map((name) => {
          const stats = lstatSync(join(root, name));
          const content = stats.isSymbolicLink()
            ? readlinkSync(join(root, name))
            : stats.isFile()
              ? readFileSync(join(root, name), 'latin1')
              : '';
          return [name, `${stats.mode.toString(8)} ${content}`];
        }),
    );

  describe('the hook', () => {
    const own = '#!/bin/sh\nset -e\necho own >>"$(git rev-parse --git-dir)/ran"\nexit 0';
    const setUps: Record<string, () => void> = {
      plain: () => undefined,
      'no folder for hooks': () => rmSync(repo('.git/hooks'), { recursive: true }),
      'an own hook': () => writeFileSync(repo('.git/hooks/post-checkout'), own, { mode: 0o755 }),
      'core.hooksPath': () => void git('config', 'core.hooksPath', 'hooks'),
      husky: () => void git('config', 'core.hooksPath', '.husky/_'),
      lefthook: () => writeFileSync(repo('lefthook.yml'), 'pre-commit:\n'),
      'a hook in Python': () =>
        writeFileSync(repo('.git/hooks/post-checkout'), '#!/usr/bin/env python3\n', {
          mode: 0o755,
        }),
      'a link': () => {
        writeFileSync(repo('hook.sh'), own);
        chmodSync(repo('hook.sh'), 0o755);
        symlinkSync('../../hook.sh', repo('.git/hooks/post-checkout'));
      },
    };
    const managed = ['core.hooksPath', 'husky', 'lefthook', 'a hook in Python', 'a link'];
    for (const [name, setUp] of Object.entries(setUps))
      itWhere(name === 'plain')(`is taken away without a trace: ${name}`, async () => {
        setUp();
        const before = bytesOf(repo('.git'));
        const said = await good('git', 'install');
        if (managed.includes(name)) {
          assert.match(
            said,
            /Nothing was changed: [^]*Add this line[^]*sqlite-backup git sync --hook "\$1" "\$2" "\$3"/,
          );
          assert.deepEqual(bytesOf(repo('.git')), before);
        } else assert.match(said, /Installed in/);
        if (name === 'plain') await good('git', 'install');
        await good('git', 'uninstall');
        assert.deepEqual(bytesOf(repo('.git')), before);
      });

    itInPart('is taken away without a trace: a linked worktree', async () => {
      git('worktree', 'add', '-q', folder('linked'), '-b', 'other');
      const before = bytesOf(repo('.git'));
      assert.equal((await cliIn(folder('linked'), 'git', 'install')).code, 0);
      assert.notDeepEqual(bytesOf(repo('.git')), before);
      assert.equal((await cliIn(folder('linked'), 'git', 'uninstall')).code, 0);
      assert.deepEqual(bytesOf(repo('.git')), before);
    });

    it('runs before an own one, and stops neither that nor git', async () => {
      setUps['an own hook']?.();
      await good('git', 'install');
      git('switch', '-qc', 'feature');
      assert.equal(readFileSync(repo('.git/ran'), 'utf8'), 'own\n');
      assert.match(
        await good('git', 'status'),
        /On branch feature\n.*follow[^]*own.*state of feature/,
      );
      // Neither Node nor the command line is found.
      const hook = readFileSync(repo('.git/hooks/post-checkout'), 'utf8');
      writeFileSync(repo('.git/hooks/post-checkout'), hook.replace(/node='/, "node='/nowhere"));
      git('switch', '-q', 'main');
      // The data folder cannot be used.
      writeFileSync(repo('.git/hooks/post-checkout'), hook);
      writeFileSync(folder('file'), '');
      gitIn(repo(), ['switch', '-q', 'feature'], {
        ...environment(),
        XDG_DATA_HOME: folder('file'),
      });
      assert.equal(readFileSync(repo('.git/ran'), 'utf8'), 'own\n'.repeat(3));
    });

    it('needs a work tree', async () => {
      gitIn(folder(), ['init', '-q', '--bare', 'bare.git']);
      const { code, stderr } = await cliIn(folder('bare.git'), 'git', 'install');
      assert.deepEqual([code, /in no work tree/.test(stderr)], [1, true]);
    });

    it('is not made where a file has the name of its folder, and says so', async () => {
      rmSync(repo('.git/hooks'), { recursive: true, force: true });
      writeFileSync(repo('.git/hooks'), 'mine');
      const { code, stderr } = await cliIn(repo(), 'git', 'install');
      assert.equal(code, 1);
      assert.match(stderr, /hooks is not a folder/);
      assert.equal(readFileSync(repo('.git/hooks'), 'utf8'), 'mine');
    });
  });

  it('are those of the branch after each switch, and each switch can be undone', async () => {
    await good('git', 'install');
    git('switch', '-qc', 'feature/a-b');
    change('app.db', 'CREATE TABLE extra (a); DELETE FROM items WHERE id > 4');
    git('switch', '-q', 'main');
    assert.deepEqual([tables(repo('app.db')), valueOf(repo('app.db'), count)], ['items', 10]);
    change('app.db', 'DELETE FROM items WHERE id > 9');
    const { stderr } = await run('switch', 'feature/a-b');
    assert.deepEqual([tables(repo('app.db')), valueOf(repo('app.db'), count)], ['extra,items', 4]);
    const [, undo = ''] =
      /undo: sqlite-backup restore ([0-9a-f]+) app\.db --yes/.exec(stderr) ?? [];
    await good('restore', undo, 'app.db', '--yes');
    assert.deepEqual([tables(repo('app.db')), valueOf(repo('app.db'), count)], ['items', 9]);
  });

  itInPart(
    'stay where the migrations are the same, where there is no state yet, and on a detached head',
    async () => {
      await good('git', 'install');
      const said = await run('switch', '-c', 'feature');
      assert.match(
        said.stderr,
        /app\.db: left as it is, because feature has no state yet; .* kept as/,
      );
      change('app.db', 'DELETE FROM items WHERE id > 5');
      assert.match((await run('switch', 'main')).stderr, /main has the same migrations/);
      assert.equal(valueOf(repo('app.db'), count), 5);
      change('app.db', 'CREATE TABLE extra (a)');
      git('switch', '-q', '--detach', 'feature');
      assert.equal(tables(repo('app.db')), 'extra,items');
      git('switch', '-q', 'main');
      assert.equal(tables(repo('app.db')), 'extra,items');
      // A checkout of a file is no switch.
      writeFileSync(repo('.gitignore'), '*.db*\n*.tmp\n');
      git('checkout', '-q', '--', '.gitignore');
      assert.equal(tables(repo('app.db')), 'extra,items');
    },
  );

  itInPart('wait for the program that has them open', async () => {
    await good('git', 'install');
    git('switch', '-qc', 'feature');
    change('app.db', 'CREATE TABLE extra (a)');
    const program = await holdOpen(repo('app.db'), 'INSERT INTO extra VALUES (1)');
    const { code, stderr } = await run('switch', 'main');
    assert.equal(code, 0);
    assert.match(stderr, /still the state of feature: .*app\.db is open in .*git sync/s);
    assert.equal(tables(repo('app.db')), 'extra,items');
    await kill(program);
    mkdirSync(repo('below'));
    const { stdout } = await cliIn(repo('below'), 'git', 'sync');
    assert.match(
      stdout,
      /app\.db: now the state of main \(undo: sqlite-backup restore \w+ \.\.\/app\.db --yes/,
    );
    assert.equal(tables(repo('app.db')), 'items');
    git('switch', '-q', 'feature');
    assert.equal(valueOf(repo('app.db'), 'SELECT count(*) FROM extra'), 1);
  });

  itInPart('are left alone during a rebase and a bisect', async () => {
    await good('git', 'install');
    git('switch', '-qc', 'feature');
    for (let n = 0; n < 5; n++) git('commit', '-q', '--allow-empty', '-m', `feature ${n}`);
    change('app.db', 'CREATE TABLE extra (a)');
    git('switch', '-q', 'main');
    git('commit', '-q', '--allow-empty', '-m', 'main');
    git('switch', '-q', 'feature');
    const before = readFileSync(repo('app.db'));
    git('rebase', '-q', 'main');
    git('bisect', 'start', '-q', 'HEAD', 'HEAD~4');
    git('bisect', 'good');
    git('bisect', 'reset');
    assert.ok(before.equals(readFileSync(repo('app.db'))));
    assert.match(await good('git', 'status'), /app\.db +state of feature/);
  });

  itInPart('tell branches with any name apart, and forget deleted ones', async () => {
    const long = `x/${'y'.repeat(90)}/${'z'.repeat(90)}é`;
    const names = ['Feature', 'feature', long, `it's-$(id)`];
    await good('git', 'install');
    for (const [index, name] of names.entries()) {
      git('switch', '-qc', name);
      change('app.db', `CREATE TABLE t${index} (a)`);
    }
    for (const [index, name] of names.entries()) {
      git('switch', '-q', name);
      const expected = [...names.keys()].slice(0, index + 1).map((n) => `t${n}`);
      assert.equal(tables(repo('app.db')), ['items', ...expected].join());
    }
    git('branch', '-qD', 'Feature');
    assert.match(
      await good('git', 'cleanup'),
      /^app\.db: the state of the deleted branch Feature is an ordinary checkpoint now/,
    );
    assert.doesNotMatch(await good('git', 'status'), /Feature/);
    git('switch', '-q', 'feature');
    assert.equal(tables(repo('app.db')), 'items,t0,t1');
  });

  it('are not those that git tracks, of submodules, or behind a link', async () => {
    createDatabase(repo('tracked.db'));
    git('add', '-f', 'tracked.db');
    git('commit', '-qm', 'tracked');
    createDatabase(folder('shared.db'));
    symlinkSync(folder('shared.db'), repo('shared.db'));
    mkdirSync(repo('inner'));
    gitIn(repo('inner'), ['init', '-q']);
    createDatabase(repo('inner/inner.db'));
    const { databases } = JSON.parse(await good('git', 'status', '--json')) as {
      databases: { path: string; kind: string }[];
    };
    assert.deepEqual(databases.map(({ path, kind }) => `${path} ${kind}`).sort(), [
      'app.db own',
      'shared.db shared',
      'tracked.db tracked',
    ]);
    // Git itself brings a file back that it tracks, and that is no switch.
    await good('git', 'install');
    const rows = valueOf(repo('tracked.db'), count);
    for (const name of ['tracked.db', 'app.db']) change(name, 'DELETE FROM items');
    git('checkout', '-q', '--', 'tracked.db');
    assert.deepEqual(
      ['tracked.db', 'app.db'].map((name) => valueOf(repo(name), count)),
      [rows, 0],
    );
  });

  it('are copied into a new worktree, and never over a file', async () => {
    createDatabase(repo('data.db'), { rows: 3 });
    mkdirSync(repo('deep/er'), { recursive: true });
    createDatabase(repo('deep/er/b.db'), { rows: 4 });
    writeFileSync(repo('.gitignore'), '*.db\n*.db-*\n!data.db\n');
    git('commit', '-qam', 'ignored');
    change('app.db', 'PRAGMA journal_mode = wal');
    await holdOpen(repo('app.db'), 'DELETE FROM items WHERE id > 6');
    await good('git', 'install');
    git('worktree', 'add', '-q', folder('linked'), '-b', 'other');
    const linked = folder('linked');
    assert.equal(valueOf(join(linked, 'app.db'), count), 6);
    assert.equal(valueOf(join(linked, 'app.db'), 'PRAGMA journal_mode'), 'wal');
    assert.equal(valueOf(join(linked, 'deep/er/b.db'), count), 4);
    // Git does not ignore it.
    assert.equal(existsSync(join(linked, 'data.db')), false);
    // A later sync adds what is missing.
    rmSync(join(linked, 'deep/er/b.db'));
    withDatabase(join(linked, 'app.db'), (db) => db.exec('DELETE FROM items'));
    const status = await cliIn(linked, 'git', 'status');
    assert.match(status.stdout, /own +app\.db[^]*none +deep\/er\/b\.db +only in the main worktree/);
    assert.equal((await cliIn(linked, 'git', 'sync')).code, 0);
    assert.equal(valueOf(join(linked, 'deep/er/b.db'), count), 4);
    assert.equal(valueOf(join(linked, 'app.db'), count), 0);
    assert.equal(valueOf(repo('app.db'), count), 6);
    assert.equal(dirname(join(linked, 'app.db')), linked);
  });
});
