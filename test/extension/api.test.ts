import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import * as vscode from 'vscode';
import type { Api, TakenBackup } from '../../src/api.d.ts';
import { itInPart } from '../support/operations.ts';
import {
  inWorkspace,
  makeDatabase,
  manifestOf,
  removeLater,
  run,
  uriOf,
  withSetting,
} from './workspace.ts';

describe('the API', () => {
  let api: Api;
  const taken: TakenBackup[] = [];

  before(async () => {
    const extension = vscode.extensions.getExtension<Api>('sqlite-backup.sqlite-backup');
    assert.ok(extension);
    api = await extension.activate();
    assert.equal(api.apiVersion, 1);
    api.onDidBackUp((one) => taken.push(one));
    makeDatabase('data/used.db', 20);
    removeLater('api-backups');
    await run('refresh');
  });

  it('rejects nothing that can go wrong with a database', async () => {
    const { checkpoints, failures } = await api.checkpoint([uriOf('data/none.db')]);
    assert.deepEqual([checkpoints, failures.map(({ code }) => code)], [[], ['source-missing']]);
    assert.deepEqual(await api.verify([]), { results: [] });
  });

  it('knows the databases, and takes checkpoints with a reason', async () => {
    const [uri] = api.databases.filter(({ fsPath }) => fsPath === inWorkspace('data/used.db'));
    assert.ok(uri);
    const first = await api.checkpoint([uri], { reason: 'before the import' });
    const path = first.checkpoints[0]?.path ?? '';
    const { cause } = manifestOf(path) as { cause?: { kind: string; text?: string } };
    assert.deepEqual(cause, { kind: 'manual', text: 'before the import' });
    assert.equal((await api.checkpoint([uri])).unchanged.length, 1);
    assert.equal((await api.checkpoint([uri], { force: true })).checkpoints.length, 1);
    assert.ok(taken.some((one) => one.kind === 'checkpoint' && one.path.fsPath === path));
  });

  itInPart('backs up, bundles and verifies', async () => {
    await withSetting('backupsFolder', 'api-backups', async () => {
      const { backups, failures } = await api.backUp([uriOf('data/used.db')]);
      assert.deepEqual(failures, []);
      const path = backups[0]?.path ?? '';
      assert.ok(taken.some((one) => one.kind === 'backup' && one.path.fsPath === path));
      const bundle = await api.bundle([uriOf('data/used.db')], { name: 'by the API' });
      assert.ok(existsSync(bundle.path ?? ''), JSON.stringify(bundle));
      const uris = [path, bundle.path ?? ''].map((one) => vscode.Uri.file(one));
      const { results } = await api.verify(uris);
      assert.deepEqual(
        results.map(({ status }) => status),
        ['ok', 'ok'],
      );
    });
  });
});
