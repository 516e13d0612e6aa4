import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import {
  makeDatabase,
  removeLater,
  run,
  uriOf,
  useBackupsFolder,
  withSetting,
  type BackUpResult,
} from './workspace.ts';
import { itInPart } from '../support/operations.ts';

interface Manifest {
  method: string;
  cut?: { label: string; members: number };
  verdict: { status: string };
  tables: { name: string; rows?: number }[];
}

const manifestOf = (path = ''): Manifest =>
  JSON.parse(readFileSync(`${path}.json`, 'utf8')) as Manifest;

describe('the engine behind the commands', () => {
  before(() => {
    removeLater('engine');
    return useBackupsFolder('engine');
  });
  after(() => useBackupsFolder(undefined));

  itInPart('refuses a database above the limit for sizes, and says the limit', async () => {
    makeDatabase('data/large.db', 100_000);
    await withSetting('maxSize', 0.001, async () => {
      const { failures, backups } = await run<BackUpResult>('backUp', uriOf('data/large.db'));
      assert.deepEqual(backups, []);
      assert.equal(failures[0]?.code, 'too-large');
      assert.match(failures[0].message, /more than the limit of 1\.0 MB/);
    });
  });

  itInPart('backs up all databases at one instant, and says so in each manifest', async () => {
    const { backups, failures, cut } = await run<BackUpResult>('backUpAll');
    assert.deepEqual(failures, []);
    assert.ok(backups.length >= 2);
    assert.equal(cut, 'one-instant');
    for (const { path } of backups) {
      assert.deepEqual(manifestOf(path).cut, { label: 'one-instant', members: backups.length });
    }
  });

  itInPart('compacts when the setting says so', async () => {
    const exact = await run<BackUpResult>('backUp', uriOf('data/sessions.db'));
    assert.equal(manifestOf(exact.backups[0]?.path).method, 'exact');
    await withSetting('method', 'compact', async () => {
      const { backups } = await run<BackUpResult>('backUp', uriOf('data/sessions.db'));
      assert.equal(manifestOf(backups[0]?.path).method, 'compact');
      assert.equal(backups[0]?.verified, 'ok');
    });
  });

  itInPart('counts rows when it verifies, and claims nothing when it does not', async () => {
    const verified = await run<BackUpResult>('backUp', uriOf('data/sessions.db'));
    assert.deepEqual(manifestOf(verified.backups[0]?.path).tables, [
      { name: 'sessions', rows: 500 },
    ]);
    await withSetting('verifyAfterBackup', false, async () => {
      const { backups } = await run<BackUpResult>('backUp', uriOf('data/sessions.db'));
      assert.equal(backups[0]?.verified, 'unchecked');
      assert.deepEqual(manifestOf(backups[0]?.path).tables, [{ name: 'sessions' }]);
    });
  });
});
