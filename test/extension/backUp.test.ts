import assert from 'node:assert/strict';
import { fork, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import Database from 'better-sqlite3';
import * as vscode from 'vscode';
import {
  inWorkspace,
  makeDatabase,
  removeLater,
  run,
  uriOf,
  useBackupsFolder,
  workspaceFolder,
  writeFile,
  type BackUpResult,
} from './workspace.ts';
import { itInPart } from '../support/operations.ts';

const folder = 'kept';

describe('Back Up', () => {
  before(() => {
    removeLater(folder, '.vscode');
    return useBackupsFolder(folder);
  });
  after(() => useBackupsFolder(undefined));

  it('reports a missing file and leaves nothing', async () => {
    const result = await run<BackUpResult>('backUp', uriOf('data/none.db'));
    assert.deepEqual(
      result.failures.map(({ code }) => code),
      ['source-missing'],
    );
    assert.equal(existsSync(inWorkspace(folder)), false);
  });

  itInPart('reports text that is named like a database, and backs up the others', async () => {
    writeFile('data/notes.db', 'just some notes');
    const result = await run<BackUpResult>('backUp', [
      uriOf('data/notes.db'),
      uriOf('data/sessions.db'),
    ]);
    assert.deepEqual(
      result.failures.map(({ code }) => code),
      ['not-a-database'],
    );
    assert.deepEqual(
      result.backups.map(({ verified }) => verified),
      ['ok'],
    );
  });

  itInPart('names the program that has a database locked', async () => {
    makeDatabase('data/locked.db');
    const locker = await lock('data/locked.db');
    try {
      const { failures } = await run<BackUpResult>('backUp', uriOf('data/locked.db'));
      assert.equal(failures[0]?.code, 'source-busy');
      if (process.platform === 'linux') {
        assert.match(failures[0].message, new RegExp(`pid ${locker.pid}\\)`));
      }
    } finally {
      locker.kill();
    }
  });

  itInPart('is cancelled while it waits for a lock', async () => {
    makeDatabase('data/waiting.db');
    const before = new Set(readdirSync(inWorkspace(folder)));
    const locker = await lock('data/waiting.db');
    try {
      const running = run<BackUpResult>('backUp', uriOf('data/waiting.db'));
      await new Promise((settle) => setTimeout(settle, 500));
      const cancelledAt = performance.now();
      await run('cancel');
      const { failures } = await running;
      assert.deepEqual(
        failures.map(({ code }) => code),
        ['cancelled'],
      );
      assert.ok(performance.now() - cancelledAt < 2000, 'cancelling took too long');
      assert.deepEqual(new Set(readdirSync(inWorkspace(folder))), before);
    } finally {
      locker.kill();
    }
  });

  it('writes a verified snapshot with its manifest, and changes nothing in the database', async () => {
    const source = inWorkspace('data/sessions.db');
    const before = sha256(source);
    const { backups, failures } = await run<BackUpResult>('backUp', uriOf('data/sessions.db'));
    assert.deepEqual(failures, []);
    const [backup] = backups;
    assert.ok(backup);
    assert.equal(dirname(backup.path), inWorkspace(folder));
    assert.match(basename(backup.path), /^sessions_\d{8}_\d{6}Z(-\d+)?\.db$/);
    assert.equal(backup.verified, 'ok');
    assert.equal(backup.sha256, sha256(backup.path));
    assert.equal(sha256(source), before);
    const manifest = JSON.parse(readFileSync(`${backup.path}.json`, 'utf8')) as Record<
      string,
      unknown
    >;
    assert.equal(manifest['sha256'], backup.sha256);
    assert.equal(manifest['trigger'], 'manual');
    const { id, ...where } = manifest['source'] as Record<string, string>;
    assert.match(id ?? '', /^[0-9a-f]{32}$/);
    assert.deepEqual(where, {
      path: 'data/sessions.db',
      workspace: basename(workspaceFolder().uri.fsPath),
    });
    if (process.platform !== 'win32') assert.equal(statSync(backup.path).mode & 0o777, 0o600);
  });

  it('takes what is in the WAL of a database that is being written', async () => {
    makeDatabase('data/live.db');
    const db = new Database(inWorkspace('data/live.db'));
    db.pragma('journal_mode = wal');
    db.pragma('wal_autocheckpoint = 0');
    db.exec("INSERT INTO t (text) VALUES ('only in the WAL')");
    try {
      const { backups } = await run<BackUpResult>('backUp', uriOf('data/live.db'));
      const copy = new Database(backups[0]?.path, { readonly: true });
      assert.equal(copy.prepare('SELECT count(*) FROM t').pluck().get(), 11);
      copy.close();
    } finally {
      db.close();
    }
  });

  it('takes rows of the view, several of them, and each database once', async () => {
    const row = { kind: 'database', uri: uriOf('data/sessions.db') };
    const rows = [row, { kind: 'database', uri: uriOf('data/app.db') }, row];
    const { backups } = await run<BackUpResult>('backUp', row, rows);
    assert.deepEqual(backups.map(({ database }) => basename(database)).sort(), [
      'app.db',
      'sessions.db',
    ]);
  });

  itInPart('keeps two backups of the same second apart', async () => {
    const [one, two] = await Promise.all([
      run<BackUpResult>('backUp', uriOf('data/sessions.db')),
      run<BackUpResult>('backUp', uriOf('data/sessions.db')),
    ]);
    assert.ok(one.backups[0] && two.backups[0]);
    assert.notEqual(one.backups[0].path, two.backups[0].path);
  });

  it('serves other extensions through its API', async () => {
    const extension = vscode.extensions.getExtension<{
      apiVersion: number;
      backUp(uris: vscode.Uri[]): Thenable<BackUpResult>;
    }>('sqlite-backup.sqlite-backup');
    const api = await extension?.activate();
    assert.equal(api?.apiVersion, 1);
    const result = await api?.backUp([uriOf('data/sessions.db')]);
    assert.equal(result?.backups[0]?.verified, 'ok');
  });
});

describe('Back Up Last Database', () => {
  before(() => useBackupsFolder(folder));
  after(() => useBackupsFolder(undefined));

  it('backs up the database that was backed up last', async () => {
    await run('backUp', uriOf('data/app.db'));
    const { backups } = await run<BackUpResult>('quickBackUp');
    assert.deepEqual(
      backups.map(({ database }) => basename(database)),
      ['app.db'],
    );
  });
});

/** Locks a database exclusively from another process, and resolves when the lock is held. */
async function lock(path: string): Promise<ChildProcess> {
  const script = resolve(__dirname, '../../test/support/lockDatabase.ts');
  const child = fork(script, [inWorkspace(path)], {
    execArgv: ['--experimental-strip-types'],
    env: { ...process.env, ELECTRON_RUN_AS_NODE: '1' },
  });
  await new Promise((settle) => child.once('message', settle));
  return child;
}

function sha256(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}
