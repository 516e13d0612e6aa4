import assert from 'node:assert/strict';
import { WorkerClient } from '../../src/worker/client.ts';
import { bundleRequest } from '../support/bundles.ts';
import { createLarge, requestFor, sha256 } from '../support/databases.ts';
import { itWhere } from '../support/operations.ts';
import { endProcessesAfterEach, holdOpen, workerEntry } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('the thread for digests', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();
  const worker = new WorkerClient({ entry: workerEntry });
  const large = (name: string): string => createLarge(folder(name), 40, 'wal');

  for (const verify of [true, false]) {
    itWhere(verify)(
      `has the hash of a large database, ${verify ? '' : 'not '}verified`,
      async () => {
        const path = large('app.db');
        await holdOpen(path, 'CREATE TABLE more (a)', 'INSERT INTO more VALUES (zeroblob(50000))');
        const { path: copy, manifest } = await worker.call('backUp', requestFor(path, { verify }));
        assert.equal(manifest.sha256, sha256(copy));
        assert.equal(manifest.verdict.status, verify ? 'ok' : 'unchecked');
      },
    );
  }

  it('has those of the databases of a bundle', async () => {
    const request = bundleRequest([large('a.db'), large('b.db')], { compression: 'store' });
    const { bundle, failures } = await worker.call('bundle', request);
    assert.deepEqual(failures, []);
    const path = bundle?.path ?? '';
    const folderOf = folder('backups');
    const verdict = await worker.call('verify', { path, drill: false, folder: folderOf });
    assert.equal(verdict.status, 'ok');
  });
});
