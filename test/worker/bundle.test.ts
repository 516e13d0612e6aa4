import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import type { Progress } from '../../src/core/job.ts';
import { WorkerClient } from '../../src/worker/client.ts';
import { bundleOf, bundleRequest } from '../support/bundles.ts';
import { createDatabase, pagesOf, valueOf } from '../support/databases.ts';
import { itInPart, itWhere } from '../support/operations.ts';
import { endProcessesAfterEach, workerEntry } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const worker = new WorkerClient({ entry: workerEntry });

describe('the worker, bundles', function () {
  this.timeout(30_000);
  endProcessesAfterEach();
  const folder = useTempFolder();
  /** About 30 MB: long enough to be in the midst of it. */
  const large = (name: string): string =>
    createDatabase(folder(name), {
      journalMode: 'wal',
      sql: `CREATE TABLE items (data BLOB);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)
        INSERT INTO items SELECT randomblob(500000) FROM n`,
    });

  const share = ({ doneBytes, totalBytes }: Progress): number => doneBytes / totalBytes;
  for (const [what, isMoment] of [
    ['while it is copied', ({ phase }) => phase === 'copy'],
    ['while it is checked', ({ phase }) => phase === 'check'],
    ['while it is packed', (one) => one.phase === 'copy' && share(one) > 0.6],
    ['while it is read back', ({ phase }) => phase === 'hash'],
  ] satisfies [string, (progress: Progress) => boolean][]) {
    itWhere(what.endsWith('packed'))(
      `cancelled ${what} leaves nothing, and lets the databases go`,
      async () => {
        const paths = [large('a.db'), large('b.db')];
        const controller = new AbortController();
        let wasThere = false;
        const onProgress = (progress: Progress): void => {
          if (!isMoment(progress)) return;
          wasThere = true;
          controller.abort();
        };
        const call = { signal: controller.signal, onProgress };
        await assert.rejects(worker.call('bundle', bundleRequest(paths), call), {
          code: 'cancelled',
        });
        assert.ok(wasThere);
        assert.ok(!existsSync(folder('backups')));
        assert.equal(valueOf(paths[0] ?? '', 'SELECT count(*) FROM items'), 60);
      },
    );
  }

  itInPart('cancelled while it is extracted leaves nothing', async () => {
    const { path } = await bundleOf([large('a.db')], { compression: 'store' });
    const controller = new AbortController();
    const call = { signal: controller.signal, onProgress: () => controller.abort() };
    await assert.rejects(
      worker.call('extract', { bundle: path, folder: folder('out/deep') }, call),
      {
        code: 'cancelled',
      },
    );
    assert.ok(!existsSync(folder('out')));
  });

  it('bundles, lists, looks in, verifies and takes out, each in a process', async () => {
    const database = createDatabase(folder('app.db'));
    const { bundle } = await worker.call('bundle', bundleRequest([database]));
    const path = bundle?.path ?? '';
    const {
      entries: [entry],
    } = await worker.call('list', { folder: folder('backups'), members: true });
    assert.deepEqual([entry?.path, entry?.kind], [path, 'bundle']);
    const members = await worker.call('members', { path });
    assert.deepEqual(
      members.map(({ name }) => name),
      entry?.bundle?.members?.map(({ name }) => name),
    );
    const verdict = await worker.call('verify', { path, drill: true, folder: folder() });
    assert.deepEqual([verdict.status, verdict.drill?.status], ['ok', 'ok']);
    const { note } = await worker.call('remark', { path, remark: { note: 'x' } });
    assert.equal(note, 'x');
    const params = {
      bundle: path,
      member: 'app.db',
      folder: folder('look'),
      name: 'x.db',
      readOnly: true,
    };
    const file = await worker.call('extractMember', params);
    assert.equal(pagesOf(file.path), pagesOf(database));
  });
});
