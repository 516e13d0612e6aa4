import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import Database from 'better-sqlite3';
import * as vscode from 'vscode';
import {
  auditLines,
  backUp,
  editManifest,
  inWorkspace,
  makeDatabase,
  manifestOf,
  removeLater,
  rowOf,
  run,
  uriOf,
  useBackupsFolder,
  workspaceFolder,
  type RefreshResult,
} from './workspace.ts';
import { itInPart } from '../support/operations.ts';

describe('keeping backups', () => {
  before(() => {
    removeLater('kept-in-order');
    return useBackupsFolder('kept-in-order');
  });
  after(() => useBackupsFolder(undefined));

  it('verifies several, and keeps the verdict of a damaged one', async () => {
    const [good, bad] = [await backUp('data/sessions.db'), await backUp('data/sessions.db')];
    const bytes = readFileSync(bad);
    bytes.writeUInt8(bytes.readUInt8(5000) ^ 1, 5000);
    writeFileSync(bad, bytes);
    const { results } = await run<{ results: { path: string; status: string }[] }>(
      'verify',
      rowOf(good),
      [rowOf(good), rowOf(bad)],
    );
    assert.deepEqual(
      results.map(({ status }) => status),
      ['ok', 'damaged'],
    );
    assert.equal(manifestOf(bad).verdict.status, 'damaged');
    assert.equal(manifestOf(good).verdict.status, 'ok');
  });

  it('proves that a backup can be restored', async () => {
    const path = await backUp('data/app.db');
    const { results } = await run<{ results: { drill?: string }[] }>(
      'proveRestorable',
      rowOf(path),
    );
    assert.deepEqual(
      results.map(({ drill }) => drill),
      ['ok'],
    );
    assert.equal(manifestOf(path).drill?.status, 'ok');
  });

  itInPart('pins, unpins and annotates, several at once where that makes sense', async () => {
    const [one, two] = [await backUp('data/sessions.db'), await backUp('data/sessions.db')];
    await run('pin', rowOf(one), [rowOf(one), rowOf(two)]);
    assert.deepEqual([manifestOf(one).pinned, manifestOf(two).pinned], [true, true]);
    await run('unpin', rowOf(one), [rowOf(one)]);
    assert.deepEqual([manifestOf(one).pinned, manifestOf(two).pinned], [undefined, true]);
    await run('note', rowOf(one), 'before <b>0042</b>');
    assert.equal(manifestOf(one).note, 'before <b>0042</b>');
  });

  itInPart(
    'tells of rows that are gone, and releases the table once a person says so',
    async () => {
      makeDatabase('data/users.db', 5000);
      const before = await backUp('data/users.db');
      const db = new Database(inWorkspace('data/users.db'));
      db.exec('DELETE FROM t');
      db.close();
      const after = await backUp('data/users.db');
      const { losses } = manifestOf(after) as { losses?: { table: string; now: number }[] };
      assert.deepEqual(
        losses?.map(({ table, now }) => [table, now]),
        [['t', 0]],
      );
      assert.deepEqual(await run('release', rowOf(before), undefined, ['t']), { tables: ['t'] });
      const { released } = manifestOf(after) as { released?: { table: string }[] };
      assert.equal(released?.[0]?.table, 't');
    },
  );

  itInPart(
    'counts a backup of an older version as one of a database, when a person says so',
    async () => {
      const [old, path] = [await backUp('data/sessions.db'), await backUp('data/sessions.db')];
      editManifest(old, ({ source: { path: name, workspace }, ...rest }) => ({
        ...rest,
        source: { path: name, workspace },
      }));
      const { backups } = await run<{ backups: string[] }>(
        'setDatabase',
        rowOf(old),
        [rowOf(old)],
        uriOf('data/sessions.db'),
      );
      assert.deepEqual(backups, [old]);
      assert.equal(manifestOf(old).source.id, manifestOf(path).source.id);
    },
  );

  it('renames a backup with its manifest, to a bare and free name only', async () => {
    const path = await backUp('data/sessions.db');
    const other = await backUp('data/sessions.db');
    for (const name of ['../out.db', 'a/b.db', 'CON.db', 'x.db ', basename(other)]) {
      assert.equal(await run('rename', rowOf(path), name), undefined, name);
      assert.ok(existsSync(path), name);
    }
    const renamed = await run<{ path: string }>('rename', rowOf(path), 'before-migration.db');
    assert.equal(basename(renamed.path), 'before-migration.db');
    assert.ok(existsSync(`${renamed.path}.json`));
    assert.ok(!existsSync(path) && !existsSync(`${path}.json`));
  });

  itInPart('saves a copy, and overwrites nothing', async () => {
    const path = await backUp('data/sessions.db');
    const to = vscode.Uri.file(inWorkspace('kept-in-order/copy-of-it.sqlite'));
    assert.deepEqual(await run('saveCopyAs', rowOf(path), to), { path: to.fsPath });
    assert.deepEqual(readFileSync(to.fsPath), readFileSync(path));
    writeFileSync(to.fsPath, 'precious');
    assert.equal(await run('saveCopyAs', rowOf(path), to), undefined);
    assert.equal(readFileSync(to.fsPath, 'utf8'), 'precious');
  });

  itInPart('hands out a private read-only copy, never the backup itself', async () => {
    const path = await backUp('data/sessions.db');
    const { path: opened } = await run<{ path: string }>('openReadOnly', rowOf(path));
    assert.notEqual(opened, path);
    assert.deepEqual(readFileSync(opened), readFileSync(path));
    if (process.platform !== 'win32') assert.equal(statSync(opened).mode & 0o222, 0);
    await vscode.commands.executeCommand('workbench.action.closeAllEditors');
  });

  it('copies paths and checksums', async () => {
    const path = await backUp('data/sessions.db');
    assert.equal(await run('copyPath', rowOf(path)), path);
    const sum = await run<string>('copySha256', rowOf(path));
    assert.match(sum, /^[0-9a-f]{64}$/);
  });

  itInPart('compares a backup with the live database, exactly', async () => {
    makeDatabase('data/compared.db', 100);
    const path = await backUp('data/compared.db');
    const db = new Database(inWorkspace('data/compared.db'));
    db.exec(
      "DELETE FROM t WHERE id <= 3; UPDATE t SET text = 'new' WHERE id = 10; INSERT INTO t (text) VALUES ('more')",
    );
    db.exec('CREATE TABLE added (x)');
    db.close();
    const { schema, tables } = await run<{
      schema: { same: boolean };
      tables: { name: string; onlyLeft: number; onlyRight: number; changed: number }[];
    }>('compareWithLive', rowOf(path));
    assert.equal(schema.same, false);
    const difference = tables.find(({ name }) => name === 't');
    assert.deepEqual([difference?.onlyLeft, difference?.onlyRight, difference?.changed], [1, 3, 1]);
    const texts = vscode.workspace.textDocuments.map((document) => document.getText());
    assert.ok(
      texts.some((text) => /^Backup: .*\nLive: /.test(text) && /^t\s+3\s+1\s+1$/m.test(text)),
      'the numbers are shown',
    );
    assert.ok(
      texts.some((text) => text.includes('\nTables only in the live database:\n  added: 0 rows\n')),
      'the table of one side is shown',
    );
    assert.ok(
      texts.some((text) =>
        text.includes('\nSchema only in the live database:\n  CREATE TABLE added (x)'),
      ),
      'in the same tab',
    );
    await vscode.commands.executeCommand('workbench.action.closeAllEditors');
  });

  itInPart('compares two selected backups, the older one on the left', async () => {
    makeDatabase('data/twice.db', 50);
    const older = await backUp('data/twice.db');
    const db = new Database(inWorkspace('data/twice.db'));
    db.exec('DELETE FROM t WHERE id <= 2');
    db.close();
    const newer = await backUp('data/twice.db');
    editManifest(older, (manifest) => ({ ...manifest, createdAt: '2026-01-01T00:00:00.000Z' }));
    await run('refresh');
    const uris = [vscode.Uri.file(newer), vscode.Uri.file(older)];
    const { tables } = await run<{
      tables: { name: string; onlyLeft: number; onlyRight: number; changed: number }[];
    }>('compareSelected', uris[0], uris);
    assert.deepEqual(tables, [
      { name: 't', onlyLeft: 2, onlyRight: 0, changed: 0, compared: true },
    ]);
    const texts = vscode.workspace.textDocuments.map((document) => document.getText());
    assert.ok(texts.some((text) => text.startsWith('Older: ') && text.includes(basename(older))));
    await vscode.commands.executeCommand('workbench.action.closeAllEditors');
  });

  itInPart(
    'leaves one line for each thing done in the audit log, without home folders',
    async () => {
      const path = await backUp('data/sessions.db');
      await run('backUp', uriOf('data/none.db'));
      const lines = await auditLines();
      const [done, failed] = lines.slice(-2);
      assert.deepEqual(
        [done?.['what'], done?.['backup'], done?.['trigger'], done?.['result']],
        ['backup', path, 'manual', 'ok'],
      );
      assert.deepEqual([failed?.['what'], failed?.['result']], ['backup', 'source-missing']);
    },
  );

  itInPart('lists a database whose file is gone with its backups', async () => {
    makeDatabase('data/leaving.db');
    const path = await backUp('data/leaving.db');
    await vscode.workspace.fs.delete(uriOf('data/leaving.db'));
    const { databases, gone } = await run<RefreshResult>('refresh');
    assert.ok(!databases.some((one) => one.path === 'data/leaving.db'));
    assert.deepEqual(gone.find((one) => one.path === 'data/leaving.db')?.backups, [path]);
    assert.equal(manifestOf(path).source.workspace, basename(workspaceFolder().uri.fsPath));
  });
});
