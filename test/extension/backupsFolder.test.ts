import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import {
  inWorkspace,
  makeDatabase,
  removeLater,
  run,
  uriOf,
  useBackupsFolder,
  writeFile,
  type BackUpResult,
  type RefreshResult,
} from './workspace.ts';
import { itInPart } from '../support/operations.ts';

describe('the backups folder', () => {
  after(() => useBackupsFolder(undefined));

  const folderOfBackup = async (): Promise<string> => {
    const { backups, failures } = await run<BackUpResult>('backUp', uriOf('data/sessions.db'));
    assert.deepEqual(failures, []);
    return dirname(backups[0]?.path ?? '');
  };

  it('is BACKUPS_DIR of .env, and the setting goes before it', async () => {
    removeLater('from-env', 'from-setting');
    writeFile('.env', 'OTHER=1\nBACKUPS_DIR="from-env"\n');
    await useBackupsFolder(undefined);
    assert.equal(await folderOfBackup(), inWorkspace('from-env'));
    await useBackupsFolder('${workspaceFolder}/from-setting');
    assert.equal(await folderOfBackup(), inWorkspace('from-setting'));
  });

  it('is named in the error when it cannot be a folder', async () => {
    writeFile('a-file', 'not a folder');
    await useBackupsFolder('a-file');
    const { failures } = await run<BackUpResult>('backUp', uriOf('data/sessions.db'));
    assert.equal(failures[0]?.code, 'access');
    assert.ok(failures[0].message.includes(inWorkspace('a-file')), failures[0].message);
  });

  it('is not looked into when a link of the workspace leads outside, until the person agrees', async () => {
    const outside = mkdtempSync(join(tmpdir(), 'sqlite-backup-outside-'));
    removeLater('led-outside', 'led-inside');
    const listed = async (): Promise<number> => {
      const { databases } = await run<RefreshResult>('refresh');
      return databases.find(({ path }) => path === 'data/sessions.db')?.backups.length ?? -1;
    };
    try {
      await useBackupsFolder('led-inside');
      await folderOfBackup();
      assert.equal(await listed(), 1);
      cpSync(inWorkspace('led-inside'), outside, { recursive: true });
      symlinkSync(outside, inWorkspace('led-outside'), 'junction');
      await useBackupsFolder('led-outside');
      assert.equal(await listed(), 0);
    } finally {
      rmSync(outside, { recursive: true });
    }
  });

  itInPart('may be the workspace folder itself: backups never become databases', async () => {
    makeDatabase('own.db');
    await useBackupsFolder('.');
    const { backups } = await run<BackUpResult>('backUp', uriOf('own.db'));
    const path = backups[0]?.path ?? '';
    removeLater(basename(path), `${basename(path)}.json`);
    assert.ok(existsSync(path));
    const { databases } = await run<RefreshResult>('refresh');
    const own = databases.find((database) => database.path === 'own.db');
    assert.deepEqual(own?.backups, [path]);
    assert.ok(databases.every((database) => !path.endsWith(database.path)));
  });
});
