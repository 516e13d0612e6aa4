import assert from 'node:assert/strict';
import { existsSync, mkdirSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { answers } from '../../src/core/files/answering.ts';
import { Catalogs } from '../../src/editor/catalogs.ts';
import { WorkerClient } from '../../src/worker/client.ts';
import { createDatabase, snapshot } from '../support/databases.ts';
import { useHangingDisk } from '../support/hangingDisk.ts';
import { workerEntry } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('a backups folder that hangs', function () {
  const disk = useHangingDisk();
  const folder = useTempFolder();

  beforeEach(async () => {
    await snapshot(createDatabase(folder('app.db')), { folder: folder('real') });
    mkdirSync(folder('backups'));
    disk.mount(folder('real'), folder('backups'));
  });

  it('is named, however often it is looked at, holds up no other work, and is listed when it answers', async () => {
    const errors: unknown[] = [];
    const worker = new WorkerClient({ entry: workerEntry });
    const again = Promise.withResolvers<void>();
    const catalogs = new Catalogs(
      worker,
      { error: (_text, error) => errors.push(error) },
      again.resolve,
    );
    assert.equal((await catalogs.list(folder('backups'))).length, 1);
    disk.hang();
    // More often than this process has threads for files.
    for (let looks = 0; looks < 8; looks++)
      assert.deepEqual(await catalogs.list(folder('backups')), []);
    assert.match(catalogs.problemOf(folder('backups')) ?? '', /backups does not answer/);
    assert.equal(errors.length, 1, 'it is told once');
    assert.ok((await stat(folder('app.db'))).size > 0);
    assert.equal(await answers(folder('real')), true);
    const { databases } = await worker.call('inspect', { paths: [folder('app.db')] });
    assert.equal(databases.length, 1);
    await assert.rejects(worker.call('list', { folder: folder('backups') }), {
      code: 'deadline',
      message: /does not answer\. Nothing was changed/,
    });

    disk.goOn();
    await again.promise;
    assert.equal((await catalogs.list(folder('backups'))).length, 1);
    assert.equal(catalogs.problemOf(folder('backups')), undefined);
    assert.ok(existsSync(folder('backups')));
  });
});
