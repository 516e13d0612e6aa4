import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { digestFile, type Digests } from '../../src/core/files/digests.ts';
import type { Follower } from '../../src/core/job.ts';
import { WorkerClient } from '../../src/worker/client.ts';
import { bundleRequest } from '../support/bundles.ts';
import { createDatabase, requestFor, sha256, snapshot } from '../support/databases.ts';
import { endProcessesAfterEach, holdOpen, start, workerEntry } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const megabyte = 1024 * 1024;

/** Of what this thread has read: the second half for the proof, or all of it because there was none. */
const hasBegunAnew = (read: number[]): boolean => read.some((doneBytes) => doneBytes < 32e6);

describe('the thread for digests', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();

  for (const [what, isExpected, because] of [
    ['right', true, 'its beginning foreseen'],
    ['wrong', false, 'its beginning otherwise'],
    ['late', false, 'a page changed after it was read'],
    ['gone', false, 'the thread ended on the way'],
  ] as const) {
    it(`has them right for a file that it followed, ${because}`, async () => {
      const { child, first } = await start('followJob.ts', folder('copy.db'), what);
      const { digests, read } = first as { digests: Digests; read: number[] };
      assert.deepEqual(digests, digestFile(folder('copy.db')));
      assert.equal(hasBegunAnew(read), !isExpected);
      assert.equal(read.at(-1), 64 * megabyte);
      assert.deepEqual(await once(child, 'exit'), [0, null]);
    });
  }

  it('leaves the file alone, and ends, when nobody wants them any more', async () => {
    const { child, first } = await start('followJob.ts', folder('copy.db'), 'abandon');
    assert.equal(first, 'abandoned');
    assert.equal(existsSync(folder('copy.db')), false);
    assert.deepEqual(await once(child, 'exit'), [0, null]);
  });

  describe('in a worker', () => {
    const worker = new WorkerClient({ entry: workerEntry });
    const large = (name: string): string =>
      createDatabase(folder(name), {
        journalMode: 'wal',
        sql: `CREATE TABLE t (a);
          WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 70)
          INSERT INTO t SELECT randomblob(1000000) FROM n`,
      });

    for (const verify of [true, false]) {
      it(`follows the copy of a large database, ${verify ? '' : 'not '}verified`, async () => {
        const path = large('app.db');
        await holdOpen(path, 'CREATE TABLE more (a)', 'INSERT INTO more VALUES (zeroblob(50000))');
        const read: number[] = [];
        const { path: copy, manifest } = await worker.call('backUp', requestFor(path, { verify }), {
          onProgress: ({ phase, doneBytes }) => void (phase === 'hash' && read.push(doneBytes)),
        });
        assert.equal(manifest.sha256, sha256(copy));
        assert.equal(manifest.verdict.status, verify ? 'ok' : 'unchecked');
        assert.deepEqual([read.length > 0, hasBegunAnew(read)], [true, false]);
        assert.ok((read[0] ?? 0) > 35e6, String(read[0]));
      });
    }

    it('follows each of the databases of a bundle', async () => {
      const paths = [large('a.db'), large('b.db')];
      const { bundle, failures } = await worker.call(
        'bundle',
        bundleRequest(paths, { compression: 'store' }),
      );
      assert.deepEqual(failures, []);
      const verdict = await worker.call('verify', {
        path: bundle?.path ?? '',
        drill: false,
        folder: folder('backups'),
      });
      assert.equal(verdict.status, 'ok');
    });

    it('is told to end when the copy fails on the way', async () => {
      const told: string[] = [];
      const follower: Follower = {
        wrote: (doneBytes) => {
          told.push('wrote');
          if (doneBytes > 35e6) throw new Error('stopped');
        },
        complete: () => told.push('complete'),
        digests: () => Promise.reject(new Error('nobody asks')),
        abandon: () => Promise.resolve(void told.push('abandon')),
      };
      const taken = snapshot(large('app.db'), {}, { digestBehind: () => follower });
      await assert.rejects(taken, /stopped/);
      assert.deepEqual([...new Set(told)], ['wrote', 'abandon']);
      assert.equal(existsSync(folder('backups')), false);
    });
  });
});
