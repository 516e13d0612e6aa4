import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { Progress } from '../../src/core/job.ts';
import { WorkerClient } from '../../src/worker/client.ts';
import { createDatabase, snapshot, valueOf, withDatabase } from '../support/databases.ts';
import { isThorough } from '../support/operations.ts';
import { workerEntry } from '../support/processes.ts';
import { applyRequest, leftoversIn } from '../support/restores.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const count = 'SELECT count(*) FROM items';
const phases: Progress['phase'][] = isThorough
  ? ['check', 'copy', 'stage', 'move', 'prove']
  : ['stage', 'move'];

describe('a restore whose worker crashes', function () {
  this.timeout(30_000);
  const folder = useTempFolder();
  const worker = new WorkerClient({ entry: workerEntry });

  before(function () {
    if (process.platform !== 'linux') this.skip();
  });

  const childrenOf = (pid: number): number[] =>
    (readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').match(/\d+/g) ?? []).map(Number);

  for (const journalMode of isThorough ? (['delete', 'wal'] as const) : (['delete'] as const))
    it(`says so in words, loses nothing, and can be done again, in each phase (${journalMode})`, async () => {
      const live = createDatabase(folder('app.db'), { journalMode, rows: 100 });
      const { path: backup } = await snapshot(live);
      const died: string[] = [];
      for (const wanted of phases) {
        withDatabase(live, (db) => db.exec("INSERT INTO items (name) VALUES ('x')"));
        const before = Number(valueOf(live, count));
        const others = new Set(childrenOf(process.pid));
        const onProgress = ({ phase }: Progress): void => {
          if (phase !== wanted) return;
          for (const pid of childrenOf(process.pid))
            if (!others.has(pid)) process.kill(pid, 'SIGSEGV');
        };
        try {
          await worker.call('applyRestore', applyRequest(backup, live), { onProgress });
        } catch (error) {
          assert.match(String(error), /The worker process ended unexpectedly \(signal SIGSEGV\)/);
          died.push(wanted);
        }
        for (const { intent } of await worker.call('findInterrupted', { in: folder() }))
          await worker.call('recoverInterrupted', { intent, how: 'roll-back' });
        assert.ok([before, 100].includes(Number(valueOf(live, count))), wanted);
        const { items } = await worker.call('applyRestore', applyRequest(backup, live));
        assert.equal(items[0]?.verified, 'ok', wanted);
        assert.equal(valueOf(live, count), 100);
        assert.deepEqual(leftoversIn(folder()), [], wanted);
      }
      assert.ok(died.length > 0);
    });

  it('is none of a build that runs beside it: a library in use is never written over', () => {
    const root = join(import.meta.dirname, '../..');
    const build = (): bigint => {
      execFileSync(process.execPath, [join(root, 'esbuild.mjs'), `--page=${folder('page')}`], {
        cwd: root,
      });
      return statSync(folder('page/look.js'), { bigint: true }).ino;
    };
    assert.notEqual(build(), build());
  });
});
