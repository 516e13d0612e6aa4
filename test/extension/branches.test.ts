import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import * as vscode from 'vscode';
import {
  inWorkspace,
  makeDatabase,
  type RefreshResult,
  removeLater,
  run,
  until,
  withSetting,
  writeFile,
} from './workspace.ts';
import { itInPart } from '../support/operations.ts';

interface GitApi {
  openRepository: (root: vscode.Uri) => Promise<{ status: () => Promise<void> } | null>;
}

interface Copied {
  copied: string[];
  failures: unknown[];
}

const tableCount = "SELECT count(*) FROM sqlite_schema WHERE name = 'here'";

const { Global } = vscode.ConfigurationTarget;

function query(path: string, sql: string): unknown {
  const db = new Database(inWorkspace(path));
  try {
    return db.prepare(sql).pluck().get();
  } finally {
    db.close();
  }
}

function change(path: string, sql: string): void {
  const db = new Database(inWorkspace(path));
  db.exec(sql);
  db.close();
}

describe('Branches', () => {
  const git = (...args: string[]): void =>
    void execFileSync('git', ['-c', 'user.name=A', '-c', 'user.email=a@example.com', ...args], {
      cwd: inWorkspace('repository'),
      stdio: 'pipe',
    });

  before(() => {
    removeLater('repository');
    mkdirSync(inWorkspace('repository'));
    makeDatabase('repository/app.db');
    writeFile('repository/.gitignore', '*.db*\n');
    git('init', '-q', '-b', 'main');
    git('add', '.');
    git('commit', '-qm', 'first');
  });

  /** Told by what is remembered: to open the database again and again would keep it from being replaced. */
  const isOf = (branch: string): boolean =>
    recorded().some(
      (text) => text.includes('/repository"') && text.includes(`"branch":"${branch}","others":{}`),
    );

  it('bring their state of the databases back', async () => {
    const api = await gitApi();
    const follow = async (): Promise<void> => {
      const repository = await api.openRepository(vscode.Uri.file(inWorkspace('repository')));
      assert.ok(repository);
      const tables = (): unknown =>
        query('repository/app.db', "SELECT count(*) FROM sqlite_schema WHERE name = 'extra'");
      const kept = (branch: string): boolean =>
        recorded().some((text) => text.includes('/repository"') && text.includes(`"${branch}"`));
      await until(() => kept('main'), 'main is remembered');
      git('switch', '-qc', 'feature');
      await repository.status();
      await until(() => kept('feature'), 'the state is that of feature');
      change('repository/app.db', 'CREATE TABLE extra (a)');
      git('switch', '-q', 'main');
      await repository.status();
      await until(() => isOf('main'), 'the state of main is back');
      assert.equal(tables(), 0);
      git('switch', '-q', 'feature');
      await repository.status();
      await until(() => isOf('feature'), 'the state of feature is back');
      assert.equal(tables(), 1);
    };
    await withSetting('branches', 'auto', follow, Global);
    const answer = async (): Promise<void> => {
      const repository = await api.openRepository(vscode.Uri.file(inWorkspace('repository')));
      assert.ok(repository);
      const rows = (): unknown =>
        query('repository/app.db', "SELECT count(*) FROM sqlite_schema WHERE name = 'asked'");
      const isKept = (): boolean =>
        recorded().some(
          (text) => text.includes('/repository"') && text.includes('"app.db":"feature"'),
        );
      change('repository/app.db', 'CREATE TABLE asked (a)');
      await vscode.commands.executeCommand('notifications.clearAll');
      git('switch', '-q', 'main');
      await repository.status();
      await until(isKept, 'the state of feature is kept');
      assert.equal(rows(), 1, 'nothing comes back before the answer');
      await until(async () => {
        await vscode.commands.executeCommand('notification.acceptPrimaryAction');
        return isOf('main');
      }, 'the state of main is back');
      assert.equal(rows(), 0);
    };
    await withSetting('branches', 'ask', answer, Global);
  });

  itInPart(
    'say which are own, shared or missing in a linked worktree, and copy what is missing',
    async () => {
      removeLater('.git');
      for (const path of ['main/data', 'linked']) {
        removeLater(path);
        mkdirSync(inWorkspace(path), { recursive: true });
      }
      const inMain = (...args: string[]): void =>
        void execFileSync('git', ['-c', 'user.name=A', '-c', 'user.email=a@example.com', ...args], {
          cwd: inWorkspace('main'),
          stdio: 'pipe',
        });
      inMain('init', '-q', '-b', 'main');
      writeFile('main/.gitignore', '*.db*\n');
      inMain('add', '.');
      inMain('commit', '-qm', 'first');
      makeDatabase('main/tree-main.db');
      inMain('worktree', 'add', '-q', inWorkspace('linked'), '-b', 'other');
      // The folder of the window becomes the linked one, with all that is in it.
      const link = readFileSync(inWorkspace('linked/.git'), 'utf8');
      rmSync(inWorkspace('linked'), { recursive: true });
      writeFile('.git', link);
      inMain('worktree', 'repair', inWorkspace('.'));
      writeFile('.gitignore', '*.db*\n');
      removeLater('.gitignore');
      removeLater('tree-main.db');
      makeDatabase('tree-own.db');
      removeLater('tree-own.db');
      const elsewhere = mkdtempSync(join(tmpdir(), 'sqlite-backup-shared-'));
      const shared = new Database(join(elsewhere, 'tree-shared.db'));
      shared.exec('CREATE TABLE t (a)');
      shared.close();
      symlinkSync(join(elsewhere, 'tree-shared.db'), inWorkspace('tree-shared.db'));
      removeLater('tree-shared.db');
      const kinds = async (): Promise<unknown[]> => {
        const { databases, missing } = await run<RefreshResult>('refresh');
        const kindOf = (name: string): unknown =>
          databases.find(({ path }) => path === name)?.worktree;
        return [kindOf('tree-own.db'), kindOf('tree-shared.db'), kindOf('tree-main.db'), missing];
      };
      try {
        assert.deepEqual(await kinds(), ['own', 'shared', undefined, ['tree-main.db']]);
        const { copied, failures } = await run<Copied>('copyToWorktree');
        assert.deepEqual([copied, failures], [['tree-main.db'], []]);
        assert.deepEqual(await kinds(), ['own', 'shared', 'own', []]);
        change('tree-main.db', 'CREATE TABLE here (a)');
        assert.equal(query('main/tree-main.db', tableCount), 0);
        assert.deepEqual((await run<Copied>('copyToWorktree')).copied, []);
        assert.equal(query('tree-main.db', tableCount), 1);
      } finally {
        // Where it has found the repository, the Git extension would go on asking git in a folder that is none any more.
        const root = vscode.Uri.file(inWorkspace('.'));
        await (await gitApi()).openRepository(root);
        await vscode.commands.executeCommand('git.close', root);
        rmSync(inWorkspace('.git'));
        rmSync(elsewhere, { recursive: true });
        await run('refresh');
      }
    },
  );
});

/** What is remembered of branches, in the data folder. */
function recorded(): string[] {
  const data = process.env['XDG_DATA_HOME'] ?? join(homedir(), '.local/share');
  const folder = join(data, 'sqlite-backup', 'branches');
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((name) => name.endsWith('.json'));
  return names.map((name) => readFileSync(join(folder, name), 'utf8'));
}

async function gitApi(): Promise<GitApi> {
  const extension = vscode.extensions.getExtension<{ getAPI: (version: 1) => GitApi }>(
    'vscode.git',
  );
  assert.ok(extension);
  return (await extension.activate()).getAPI(1);
}
