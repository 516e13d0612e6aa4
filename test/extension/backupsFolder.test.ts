import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { basename, dirname } from 'node:path';
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

  it('may be the workspace folder itself: backups never become databases', async () => {
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
