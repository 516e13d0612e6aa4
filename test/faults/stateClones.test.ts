import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createDatabase, generationsSql, valueOf, withDatabase } from '../support/databases.ts';
import { useMounts } from '../support/mounts.ts';
import { endProcessesAfterEach, isLinuxRoot, runCli, type Ended } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('baselines and copies for worktrees, where files can share their blocks,', function () {
  this.timeout(120_000);
  endProcessesAfterEach();
  const mounts = useMounts();
  const folder = useTempFolder();
  const inMount = (name: string): string => folder('mount', name);

  beforeEach(function () {
    if (!isLinuxRoot) this.skip(); // Only root on Linux may mount.
    mounts.mountWithClones('xfs', folder('image'), folder('mount'));
    mkdirSync(inMount('repo'));
  });

  const env = (): Record<string, string> => ({
    ...(process.env as Record<string, string>),
    SQLITE_BACKUP_CHECKPOINTS: inMount('cp'),
    XDG_DATA_HOME: inMount('data'),
    GIT_CONFIG_NOSYSTEM: '1',
    HOME: inMount('repo'),
  });
  const good = async (cwd: string, ...args: string[]): Promise<Ended> => {
    const ended = await runCli(args, { cwd, env: env() });
    assert.equal(ended.code, 0, ended.stderr);
    return ended;
  };
  const used = (): number => {
    execFileSync('sync', ['-f', inMount('')]);
    const text = execFileSync('df', ['-B1', '--output=used', inMount('')], { encoding: 'utf8' });
    return Number(text.split('\n')[1]);
  };
  /** Of 33 MB. */
  const make = (path: string): number => {
    createDatabase(path, { sql: `${generationsSql.replace('i < 1600', 'i < 8000')}` });
    const [pages, size] = ['page_count', 'page_size'].map((one) => valueOf(path, `PRAGMA ${one}`));
    return Number(pages) * Number(size);
  };

  it('take next to no space', async () => {
    const repo = inMount('repo');
    const database = `${repo}/app.db`;
    const sizeBytes = make(database);
    assert.ok(sizeBytes > 32e6, `${sizeBytes} bytes`);
    const git = (...args: string[]): void =>
      void execFileSync('git', ['-c', 'user.name=A', '-c', 'user.email=a@example.com', ...args], {
        ...{ cwd: repo, env: env(), stdio: 'pipe' },
      });
    git('init', '-q', '-b', 'main');
    writeFileSync(`${repo}/.gitignore`, '*.db*\n');
    git('add', '.gitignore');
    git('commit', '-qm', 'first');
    const before = used();
    await good(repo, 'checkpoint', 'app.db', '--baseline', 'seeded');
    withDatabase(database, (db) => db.exec('CREATE TABLE extra (a)'));
    await good(repo, 'restore', '--baseline', 'seeded', 'app.db', '--yes', '--discard');
    git('worktree', 'add', '-q', inMount('linked'), '-b', 'other');
    const { stdout } = await good(inMount('linked'), 'git', 'sync');
    assert.match(stdout, /app\.db: copied from the main worktree/);
    assert.equal(valueOf(inMount('linked/app.db'), 'PRAGMA integrity_check'), 'ok');
    const more = used() - before;
    assert.ok(more < sizeBytes / 4, `${more} of ${sizeBytes}`);
    // What is written to the one is not seen in the other.
    withDatabase(inMount('linked/app.db'), (db) => db.exec('CREATE TABLE here (a)'));
    const count = "SELECT count(*) FROM sqlite_schema WHERE name IN ('here', 'extra')";
    assert.deepEqual([valueOf(inMount('linked/app.db'), count), valueOf(database, count)], [1, 0]);
  });
});
