import assert from 'node:assert/strict';
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import * as vscode from 'vscode';

/** What the commands Back Up and Back Up Last Database return. */
export interface BackUpResult {
  backups: {
    database: string;
    path: string;
    sizeBytes: number;
    sha256: string;
    verified: string;
  }[];
  failures: { database: string; code: string; message: string }[];
  cut?: string;
  retention?: { removed: string[]; problems: string[] };
  cancelled: boolean;
}

export interface RefreshResult {
  gone: { path: string; backups: string[] }[];
  databases: {
    path: string;
    sizeBytes: number;
    journalMode: string;
    backups: string[];
    litestream?: { hasProgram?: boolean };
    attention?: string;
    worktree?: string;
  }[];
  others: string[];
  missing: string[];
}

export function workspaceFolder(): vscode.WorkspaceFolder {
  const [folder] = vscode.workspace.workspaceFolders ?? [];
  assert.ok(folder, 'the window has no folder');
  return folder;
}

/** The absolute path of `path` in the workspace. */
export function inWorkspace(path: string): string {
  return join(workspaceFolder().uri.fsPath, path);
}

export function uriOf(path: string): vscode.Uri {
  return vscode.Uri.file(inWorkspace(path));
}

export async function run<T>(command: string, ...args: unknown[]): Promise<T> {
  return await vscode.commands.executeCommand<T>(`sqliteBackup.${command}`, ...args);
}

/** Sets the backups folder as a person would in the workspace's settings; undefined takes it away again. */
export async function useBackupsFolder(value: string | undefined): Promise<void> {
  await vscode.workspace
    .getConfiguration('sqliteBackup')
    .update('backupsFolder', value, vscode.ConfigurationTarget.Workspace);
}

/** Runs `use` while a setting has a value, in the workspace's settings unless `target` says otherwise. */
export async function withSetting<T>(
  key: string,
  value: unknown,
  use: () => Promise<T>,
  target = vscode.ConfigurationTarget.Workspace,
): Promise<T> {
  const update = (to: unknown): Thenable<void> =>
    vscode.workspace.getConfiguration('sqliteBackup').update(key, to, target);
  await update(value);
  try {
    return await use();
  } finally {
    await update(undefined);
  }
}

export interface Manifest {
  sha256: string;
  method: string;
  createdAt: string;
  source: { path: string; workspace: string; id?: string };
  pinned?: boolean;
  note?: string;
  drill?: { status: string };
  verdict: { status: string };
}

/** The row of a backup as a view hands it to a command. */
export interface SnapshotRow {
  kind: 'snapshot';
  entry: {
    path: string;
    createdAt: string;
    sizeBytes: number;
    verified: string;
    foreign: boolean;
    /** What the list knows of its manifest; without it, it is not ours to change. */
    kept?: { sha256: string; method: string; pinned: boolean; note?: string };
    stamp: string;
  };
}

export const manifestOf = (path: string): Manifest =>
  JSON.parse(readFileSync(`${path}.json`, 'utf8')) as Manifest;

/** Writes a manifest as a test wants it. */
export function editManifest(path: string, change: (manifest: Manifest) => Manifest): void {
  writeFileSync(`${path}.json`, JSON.stringify(change(manifestOf(path))));
}

export function rowOf(path: string): SnapshotRow {
  const { sha256, method, pinned = false, note } = manifestOf(path);
  const { size: sizeBytes } = statSync(path);
  const entry = {
    path,
    createdAt: new Date().toISOString(),
    sizeBytes,
    verified: 'ok',
    foreign: false,
    kept: { sha256, method, pinned, ...(note !== undefined && { note }) },
    stamp: '',
  };
  return { kind: 'snapshot', entry };
}

/** What the audit log has, oldest first. */
export async function auditLines(): Promise<Record<string, unknown>[]> {
  const extension = vscode.extensions.getExtension<{ auditLog: string }>(
    'sqlite-backup.sqlite-backup',
  );
  const { auditLog = '' } = (await extension?.activate()) ?? {};
  return readFileSync(auditLog, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** Asks again and again; fails when the answer stays no. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
): Promise<void> {
  for (let waited = 0; !(await condition()); waited += 50) {
    assert.ok(waited < 15_000, `waited in vain until ${what}`);
    await new Promise((wake) => setTimeout(wake, 50));
  }
}

/** Backs up one database and returns the path of the backup. */
export async function backUp(database: string): Promise<string> {
  const { backups } = await run<BackUpResult>('backUp', uriOf(database));
  assert.ok(backups[0]);
  return backups[0].path;
}

/** Makes a database with `rows` rows and removes it, with its siblings, when the suite is over. */
export function makeDatabase(path: string, rows = 10): void {
  const db = new Database(inWorkspace(path));
  db.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT)');
  const insert = db.prepare('INSERT INTO t (text) VALUES (?)');
  db.transaction(() => {
    for (let row = 0; row < rows; row++) insert.run(`row ${row}`);
  })();
  db.close();
  removeLater(path, `${path}-wal`, `${path}-shm`, `${path}-journal`);
}

export function writeFile(path: string, text: string): void {
  writeFileSync(inWorkspace(path), text);
  removeLater(path);
}

export function removeLater(...paths: string[]): void {
  for (const path of paths) leftovers.add(path);
}

const leftovers = new Set<string>();

after(() => {
  for (const path of leftovers) rmSync(inWorkspace(path), { recursive: true, force: true });
});
