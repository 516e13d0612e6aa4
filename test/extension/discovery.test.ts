import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import * as vscode from 'vscode';
import { databaseExtensions } from '../../src/core/sqlite/header.ts';
import type { Api } from '../../src/extension.ts';
import {
  backUp,
  inWorkspace,
  makeDatabase,
  removeLater,
  run,
  until,
  useBackupsFolder,
  withSetting,
  writeFile,
  type RefreshResult,
} from './workspace.ts';
import { itInPart } from '../support/operations.ts';

describe('discovery', () => {
  const paths = async (): Promise<string[]> =>
    (await run<RefreshResult>('refresh')).databases.map(({ path }) => path);

  it('finds the databases of the workspace with their journal modes', async () => {
    const { databases } = await run<RefreshResult>('refresh');
    const modes = new Map(databases.map(({ path, journalMode }) => [path, journalMode]));
    assert.equal(modes.get('data/app.db'), 'wal');
    assert.equal(modes.get('data/sessions.db'), 'rollback');
  });

  it('offers each extension, and no file that only has the name of a database', async () => {
    const names = databaseExtensions.map((one) => `data/named${one}`);
    for (const name of names) makeDatabase(name);
    writeFile('data/text.db', 'text');
    writeFile('data/empty.db', '');
    const found = await paths();
    for (const name of names) assert.ok(found.includes(name), name);
    assert.ok(!found.includes('data/text.db'));
    assert.ok(!found.includes('data/empty.db'));
  });

  it('offers what is a database by content and has no extension', async () => {
    makeDatabase('data/Cookies');
    makeDatabase('data/travel-journal');
    writeFile('data/README', 'x'.repeat(1024));
    const found = await paths();
    assert.ok(found.includes('data/Cookies'));
    assert.ok(found.includes('data/travel-journal'));
    assert.ok(!found.includes('data/README'));
  });

  itInPart('keeps other databases by content apart until they have a backup', async () => {
    await useBackupsFolder('of-others');
    removeLater('of-others');
    makeDatabase('data/map.tiles');
    makeDatabase('data/UPPER.DB');
    mkdirSync(inWorkspace('node_modules/other'), { recursive: true });
    makeDatabase('node_modules/other/x.dat');
    const before = await run<RefreshResult>('refresh');
    assert.deepEqual(before.others, ['data/UPPER.DB', 'data/map.tiles']);
    const backup = await backUp('data/map.tiles');
    const after = await run<RefreshResult>('refresh');
    assert.deepEqual(after.others, ['data/UPPER.DB']);
    const shown = after.databases.find(({ path }) => path === 'data/map.tiles');
    assert.deepEqual(shown?.backups, [backup]);
    assert.ok(!after.gone.some(({ path }) => path === 'data/map.tiles'));
    await useBackupsFolder(undefined);
  });

  itInPart('looks at no content where the settings exclude it', async () => {
    for (const folder of ['data/hidden', 'data/left-out']) {
      mkdirSync(inWorkspace(folder));
      removeLater(folder);
    }
    makeDatabase('data/hidden/x.dat');
    makeDatabase('data/left-out/x.dat');
    const others = async (): Promise<string[]> => (await run<RefreshResult>('refresh')).others;
    const all = await others();
    assert.ok(all.includes('data/hidden/x.dat') && all.includes('data/left-out/x.dat'));
    const files = vscode.workspace.getConfiguration('files');
    await files.update('exclude', { '**/hidden': true }, vscode.ConfigurationTarget.Workspace);
    await withSetting('exclude', ['**/left-out/**'], async () => {
      const left = await others();
      assert.ok(!left.includes('data/hidden/x.dat'));
      assert.ok(!left.includes('data/left-out/x.dat'));
    });
    await files.update('exclude', undefined, vscode.ConfigurationTarget.Workspace);
  });

  itInPart(
    'notices a database by content that a program makes, and that it is deleted',
    async () => {
      const extension = vscode.extensions.getExtension<Api>('sqlite-backup.sqlite-backup');
      const api = await extension?.activate();
      assert.ok(api);
      const isShown = (): boolean => api.databases.some(({ fsPath }) => /fresh$/.test(fsPath));
      await paths();
      makeDatabase('data/fresh');
      await until(isShown, 'it is shown');
      rmSync(inWorkspace('data/fresh'));
      await until(() => !isShown(), 'it is not shown any more');
    },
  );

  it('finds databases that git ignores, and none in node_modules', async () => {
    removeLater('node_modules');
    mkdirSync(inWorkspace('node_modules/some'), { recursive: true });
    writeFile('.gitignore', '*.db\n');
    makeDatabase('node_modules/some/cache.db');
    makeDatabase('data/ignored.db');
    const found = await paths();
    assert.ok(found.includes('data/ignored.db'));
    assert.ok(!found.includes('node_modules/some/cache.db'));
  });

  it('never lists siblings', async () => {
    writeFile('data/app.db-journal.db-wal', 'SQLite format 3\0');
    const found = await paths();
    assert.ok(found.every((path) => !/\.db-(wal|shm|journal)$/.test(path)));
  });
});
