import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { createDatabase, valueOf, withDatabase } from '../support/databases.ts';
import { itInPart, itThorough } from '../support/operations.ts';
import { endProcessesAfterEach, run, runCli, type Ended } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const count = 'SELECT count(*) FROM items';

describe('databases that follow the branch, in trouble', function () {
  this.timeout(120_000);
  endProcessesAfterEach();
  const folder = useTempFolder();
  const repo = (...names: string[]): string => folder('repo', ...names);
  const environment = (): Record<string, string> => ({
    ...(process.env as Record<string, string>),
    SQLITE_BACKUP_CHECKPOINTS: folder('cp'),
    XDG_DATA_HOME: folder('data'),
    HOME: folder('home'),
    GIT_CONFIG_NOSYSTEM: '1',
  });
  const gitIn = (cwd: string, ...args: string[]): string =>
    execFileSync('git', ['-c', 'protocol.file.allow=always', ...args], {
      ...{ cwd, env: environment(), encoding: 'utf8' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  const git = (...args: string[]): string => gitIn(repo(), ...args);
  const gitWith = (env: Record<string, string>, ...args: string[]): Promise<Ended> =>
    run(['git', ...args], { cwd: repo(), env: { ...environment(), ...env } });
  const goodIn = async (cwd: string, ...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await runCli(args, { cwd, env: environment() });
    assert.equal(code, 0, stderr);
    return stdout;
  };
  const good = (...args: string[]): Promise<string> => goodIn(repo(), ...args);
  const json = async (...args: string[]): Promise<Record<string, unknown>> => {
    const text = await good(...args, '--json');
    assert.match(text, /^\{.*\}\n$/, args.join(' '));
    return JSON.parse(text) as Record<string, unknown>;
  };
  const change = (path: string, sql: string): void => withDatabase(path, (db) => void db.exec(sql));
  const tables = (path: string): unknown =>
    valueOf(
      path,
      `SELECT group_concat(name) FROM (SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name)`,
    );

  const init = (path: string): void => {
    mkdirSync(path);
    gitIn(path, 'init', '-q');
    writeFileSync(join(path, '.gitignore'), '*.db*\n');
    gitIn(path, 'add', '.');
    gitIn(path, 'commit', '-qm', 'one');
  };

  beforeEach(() => {
    mkdirSync(folder('home'));
    writeFileSync(
      folder('home/.gitconfig'),
      '[user]\nname = A\nemail = a@example.com\n[init]\ndefaultBranch = main\n[core]\nautocrlf = false\n',
    );
    init(repo());
    createDatabase(repo('app.db'), { rows: 10 });
  });

  itInPart('answer each action with one JSON object', async () => {
    const path = repo('.git/hooks/post-checkout');
    assert.deepEqual(await json('git', 'install'), { how: 'installed', path });
    assert.deepEqual(await json('git', 'install'), { how: 'there', path });
    const { hasHook, branch } = await json('git', 'status');
    assert.deepEqual([hasHook, branch], [true, 'main']);
    assert.deepEqual((await json('git', 'sync'))['databases'], []);
    assert.deepEqual(await json('git', 'cleanup'), { removed: [] });
    assert.deepEqual(await json('git', 'uninstall'), { removed: true });
    assert.deepEqual(await json('git', 'uninstall'), { removed: false });
    git('config', 'core.hooksPath', '.husky/_');
    const byHand = await json('git', 'install');
    assert.deepEqual([byHand['how'], byHand['manager']], ['by-hand', 'husky']);
    assert.equal((await json('git', 'status'))['hasHook'], false);
    // A person has added the line.
    mkdirSync(repo('.husky'));
    writeFileSync(repo('.husky/post-checkout'), `${String(byHand['line'])}\n`);
    assert.equal((await json('git', 'status'))['hasHook'], true);
  });

  itInPart('keep both names when a database is renamed on a branch, and lose no row', async () => {
    await good('git', 'install');
    git('switch', '-qc', 'renamed');
    renameSync(repo('app.db'), repo('shop.db'));
    change(repo('shop.db'), 'CREATE TABLE extra (a); DELETE FROM items WHERE id > 4');
    git('switch', '-q', 'main');
    assert.equal(valueOf(repo('app.db'), count), 10);
    change(repo('app.db'), 'DELETE FROM items WHERE id > 7');
    git('switch', '-q', 'renamed');
    assert.deepEqual(
      [tables(repo('shop.db')), valueOf(repo('shop.db'), count)],
      ['extra,items', 4],
    );
    git('switch', '-q', 'main');
    assert.deepEqual([tables(repo('app.db')), valueOf(repo('app.db'), count)], ['items', 7]);
  });

  itInPart('belong to a submodule where they lie in one', async () => {
    init(folder('library'));
    git('submodule', '--quiet', 'add', folder('library'), 'library');
    git('commit', '-qm', 'a submodule');
    const inner = repo('library');
    createDatabase(join(inner, 'inner.db'), { rows: 3 });
    await good('git', 'install');
    git('switch', '-qc', 'feature');
    change(repo('app.db'), 'CREATE TABLE extra (a)');
    change(join(inner, 'inner.db'), 'CREATE TABLE extra (a)');
    git('switch', '-q', '--recurse-submodules', 'main');
    // The branch of the outer one says nothing of it.
    assert.deepEqual(
      [tables(repo('app.db')), tables(join(inner, 'inner.db'))],
      ['items', 'extra,items'],
    );
    // By its own hook it follows its own branch.
    gitIn(inner, 'switch', '-qC', 'main');
    const hook = repo('.git/modules/library/hooks/post-checkout');
    assert.match(await goodIn(inner, 'git', 'install'), /Installed in/);
    assert.match(readFileSync(hook, 'utf8'), /git sync --hook/);
    gitIn(inner, 'switch', '-qc', 'other');
    change(join(inner, 'inner.db'), 'DROP TABLE extra; DELETE FROM items');
    gitIn(inner, 'switch', '-q', 'main');
    assert.deepEqual(
      [tables(join(inner, 'inner.db')), valueOf(join(inner, 'inner.db'), count)],
      ['extra,items', 3],
    );
    assert.equal(tables(repo('app.db')), 'items');
    assert.match(await goodIn(inner, 'git', 'status'), /On branch main[^]*own +inner\.db/);
  });

  itInPart('come back with a stash of all files, which takes them along', async () => {
    await good('git', 'install');
    change(repo('app.db'), 'CREATE TABLE stashed (a)');
    writeFileSync(repo('new.txt'), 'new');
    git('stash', '--quiet', '--include-untracked');
    assert.equal(tables(repo('app.db')), 'items,stashed', 'git ignores it');
    git('stash', 'pop', '--quiet');
    git('stash', '--quiet', '--all');
    assert.equal(existsSync(repo('app.db')), false);
    git('switch', '-qc', 'feature');
    git('switch', '-q', 'main');
    git('stash', 'pop', '--quiet');
    assert.equal(tables(repo('app.db')), 'items,stashed');
    // `stash branch` switches.
    writeFileSync(repo('.gitignore'), '*.db*\n*.tmp\n');
    git('stash', '--quiet');
    git('stash', 'branch', 'of-stash');
    assert.match(await good('git', 'status'), /On branch of-stash[^]*app\.db +state of of-stash/);
  });

  it('do not stop git: no Node on PATH, a command line that is gone, fails or is killed', async () => {
    await good('git', 'install');
    const hook = repo('.git/hooks/post-checkout');
    const text = readFileSync(hook, 'utf8');
    const programs = folder('programs');
    mkdirSync(programs);
    // What git itself needs, and nothing else.
    for (const name of ['git', 'sh', 'env'])
      symlinkSync(
        execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim(),
        join(programs, name),
      );
    const PATH = programs;
    const helper = (name: string, script: string): string => {
      writeFileSync(folder(name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
      return folder(name);
    };
    const withNode = (node: string): void =>
      writeFileSync(hook, text.replace(/node='[^']*'/, `node='${node}'`));
    let switches = 0;
    const switchTo = async (branch: string): Promise<string> => {
      const { code, stderr } = await gitWith({ PATH }, 'switch', branch);
      assert.equal(code, 0, stderr);
      assert.equal(git('branch', '--show-current').trim(), branch);
      switches += 1;
      return stderr;
    };
    git('switch', '-qc', 'feature');
    change(repo('app.db'), 'CREATE TABLE extra (a)');
    // The hook knows where its Node is, with no Node on PATH.
    assert.match(await switchTo('main'), /app\.db: now the state of main/);
    assert.equal(tables(repo('app.db')), 'items');
    for (const node of [
      folder('nowhere'),
      helper('fails', 'echo "no good" >&2; exit 3'),
      helper('killed', 'kill -9 $$'),
    ]) {
      withNode(node);
      await switchTo(switches % 2 === 1 ? 'feature' : 'main');
      assert.equal(tables(repo('app.db')), 'items', node);
    }
    writeFileSync(hook, text);
    git('switch', '-q', 'main');
    git('switch', '-q', 'feature');
    assert.equal(tables(repo('app.db')), 'extra,items');
    assert.ok(!PATH.split(delimiter).includes(dirname(process.execPath)));
  });

  it('do not hide that an own hook fails', async () => {
    const own = '#!/bin/sh\necho own >&2\nexit 7\n';
    writeFileSync(repo('.git/hooks/post-checkout'), own, { mode: 0o755 });
    const alone = await gitWith({}, 'switch', '-c', 'a');
    await good('git', 'install');
    const both = await gitWith({}, 'switch', '-c', 'b');
    assert.deepEqual([both.code, /own/.test(both.stderr)], [alone.code, /own/.test(alone.stderr)]);
    assert.equal(git('branch', '--show-current').trim(), 'b');
  });

  itThorough(
    'stay as they are in a rebase of 200 commits, and the hook costs it little',
    async () => {
      await good('git', 'install');
      git('switch', '-qc', 'feature');
      for (let n = 0; n < 200; n++) {
        writeFileSync(repo(`file-${n}`), String(n));
        git('add', '.');
        git('commit', '-qm', `feature ${n}`);
      }
      change(repo('app.db'), 'CREATE TABLE extra (a)');
      git('switch', '-q', 'main');
      git('commit', '-q', '--allow-empty', '-m', 'main');
      git('switch', '-q', 'feature');
      const before = readFileSync(repo('app.db'));
      const kept = (): Promise<string> => good('list', '--checkpoints');
      const checkpoints = await kept();
      git('rebase', '-q', 'main');
      git('rebase', '-q', '--exec', 'true', 'HEAD~200');
      assert.ok(before.equals(readFileSync(repo('app.db'))));
      assert.equal(await kept(), checkpoints);
      assert.match(await good('git', 'status'), /On branch feature[^]*app\.db +state of feature/);
    },
  );
});
