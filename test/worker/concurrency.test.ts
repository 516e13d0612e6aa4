import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { verifySnapshot } from '../../src/core/verify/verifySnapshot.ts';
import { WorkerClient } from '../../src/worker/client.ts';
import { createDatabase, createGenerations, requestFor, valueOf } from '../support/databases.ts';
import { isThorough, itWhere } from '../support/operations.ts';
import { endProcessesAfterEach, start, workerEntry } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const worker = new WorkerClient({ entry: workerEntry });

describe('while another process writes', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();

  const rounds = isThorough ? 20 : 4;
  for (const journalMode of ['wal', 'delete'] as const) {
    itWhere(journalMode === 'wal')(
      `${rounds} snapshots are each of exactly one generation, and none was restarted (${journalMode})`,
      async function () {
        this.timeout(120_000);
        const database = createGenerations(folder('app.db'), journalMode);
        await start('writer.ts', database, '5');
        let newest = 0;
        for (let n = 0; n < rounds; n++) {
          const copied: number[] = [];
          const { path, manifest } = await worker.call(
            'backUp',
            requestFor(database, { busyTimeoutMs: 60_000 }),
            {
              onProgress: ({ phase, doneBytes }) =>
                void (phase === 'copy' && copied.push(doneBytes)),
            },
          );
          assert.equal(manifest.verdict.status, 'ok');
          assert.deepEqual(
            copied,
            copied.toSorted((a, b) => a - b),
            'a restart would begin again',
          );
          const generations = valueOf(
            path,
            `SELECT group_concat(DISTINCT generation) FROM
            (SELECT generation FROM left UNION ALL SELECT generation FROM right UNION ALL SELECT max(generation) FROM log)`,
          );
          assert.match(String(generations), /^\d+$/, 'one generation everywhere');
          assert.equal(
            valueOf(path, 'SELECT count(*) FROM log'),
            Number(generations),
            'with all before it',
          );
          assert.ok(
            Number(generations) > newest,
            `${String(generations)} after ${newest}: the writer went on`,
          );
          newest = Number(generations);
        }
      },
    );
  }

  it('several backups of one database in the same second are distinct and complete', async () => {
    const database = createDatabase(folder('app.db'), { journalMode: 'wal' });
    const results = await Promise.all(
      [1, 2, 3, 4].map(() => worker.call('backUp', requestFor(database))),
    );
    assert.equal(new Set(results.map(({ path }) => path)).size, 4);
    for (const { path } of results)
      assert.equal(verifySnapshot(path, () => undefined).status, 'ok');
    assert.equal(readdirSync(folder('backups')).length, 8);
  });
});
