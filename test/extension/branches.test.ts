import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import * as vscode from 'vscode';
import {
  inWorkspace,
  makeDatabase,
  removeLater,
  until,
  withSetting,
  writeFile,
} from './workspace.ts';

interface GitApi {
  openRepository: (root: vscode.Uri) => Promise<{ status: () => Promise<void> } | null>;
}

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

  it('bring their state of the databases back', async () => {
    const extension = vscode.extensions.getExtension<{ getAPI: (version: 1) => GitApi }>(
      'vscode.git',
    );
    assert.ok(extension);
    const api = (await extension.activate()).getAPI(1);
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
      await until(() => tables() === 0, 'the state of main is back');
      git('switch', '-q', 'feature');
      await repository.status();
      await until(() => tables() === 1, 'the state of feature is back');
    };
    await withSetting('branches', 'auto', follow, Global);
  });
});

/** What is remembered of branches, in the data folder. */
function recorded(): string[] {
  const data = process.env['XDG_DATA_HOME'] ?? join(homedir(), '.local/share');
  const folder = join(data, 'sqlite-backup', 'branches');
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((name) => name.endsWith('.json'));
  return names.map((name) => readFileSync(join(folder, name), 'utf8'));
}
