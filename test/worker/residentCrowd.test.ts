import assert from 'node:assert/strict';
import type { CheckpointRequest } from '../../src/core/checkpoint/checkpoint.ts';
import { checkpointsFolder, storedIn } from '../../src/core/checkpoint/store.ts';
import { ResidentClient } from '../../src/worker/residentClient.ts';
import { readAddress } from '../../src/worker/residentProtocol.ts';
import { useDataFolder } from '../support/dataFolders.ts';
import { createDatabase, withDatabase } from '../support/databases.ts';
import { isAlive, waitUntil, workerEntry } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('the resident worker in a crowd', function () {
  this.timeout(60_000);
  const folder = useTempFolder();
  useDataFolder(() => folder('data'));

  it('asked 100 times at once, keeps each state once and answers all', async () => {
    const database = createDatabase(folder('app.db'), { rows: 20 });
    const client = new ResidentClient({ entry: workerEntry, idleMs: 500 });
    const request: CheckpointRequest = {
      databases: [{ database, recordAs: { path: 'app.db' } }],
      ...{ cause: { kind: 'manual' }, trigger: 'manual', force: false },
      ...{ busyTimeoutMs: 5000, largestBytes: 1e9, largestTotalBytes: 1e9, toolVersion: '0' },
    };
    const crowd = async (): Promise<number> => {
      const all = await Promise.all(
        Array.from({ length: 100 }, () => client.call('checkpoint', request)),
      );
      assert.ok(
        all.every(({ checkpoints, unchanged }) => checkpoints.length + unchanged.length === 1),
      );
      return all.flatMap(({ checkpoints }) => checkpoints).length;
    };
    try {
      assert.equal(await crowd(), 1);
      withDatabase(database, (db) => db.exec('DELETE FROM items WHERE id > 10'));
      assert.equal(await crowd(), 1);
      assert.equal(storedIn(checkpointsFolder(undefined)).length, 2);
    } finally {
      const pid = readAddress()?.pid;
      client.dispose();
      if (pid !== undefined) await waitUntil(() => !isAlive(pid), 'it has ended', 30_000);
    }
  });
});
