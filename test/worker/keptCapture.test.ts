import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import Database from 'better-sqlite3';
import { gentleStepBytes, stepBytes } from '../../src/core/files/earlySync.ts';
import type { CaptureProcess } from '../../src/core/job.ts';
import { pause } from '../../src/core/pause.ts';
import { captureWith, captureWithKept } from '../../src/worker/captureProcess.ts';
import { contentOf, createDatabase, snapshot } from '../support/databases.ts';
import { isAlive, waitUntil, workerEntry } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('a process that stays to read the files of databases', function () {
  this.timeout(30_000);
  const folder = useTempFolder();
  let kept = captureWithKept(workerEntry);
  const notes: string[] = [];
  const pids = new Set<number>();

  beforeEach(() => {
    notes.length = 0;
    pids.clear();
    kept = captureWithKept(workerEntry);
  });
  afterEach(() => kept.end());

  const pid = (): number => {
    const { pid: found } = kept.start();
    assert.ok(found !== undefined);
    return found;
  };
  /** A copy of what is in the database, by that process. */
  const take = async (database: string, hooks: { onProgress?: () => void } = {}): Promise<void> => {
    const { path, manifest } = await snapshot(
      database,
      { verify: false },
      { capturing: kept, onNote: (note) => notes.push(note), ...hooks },
    );
    assert.deepEqual(contentOf(path), contentOf(database));
    assert.equal(manifest.verdict.status, 'unchecked');
  };

  /** Ends a job at its `call`th word of progress. The first comes before the process is asked. */
  const stopAt = (call: number) => (): void => {
    if (--call === 0) throw new Error('stop');
  };

  it('stays when a job ends before asking it', async () => {
    const database = createDatabase(folder('app.db'), { rows: 10_000 });
    await take(database);
    const first = pid();
    await assert.rejects(take(database, { onProgress: stopAt(1) }), /stop/);
    await take(database);
    assert.equal(pid(), first);
    assert.deepEqual(notes, []);
  });

  it('is another one when it was killed, and when a job has ended in the middle', async () => {
    const database = createDatabase(folder('app.db'), { rows: 10_000 });
    await take(database);
    const first = pid();
    process.kill(first, 'SIGKILL');
    await waitUntil(() => !isAlive(first), 'it has ended');
    await take(database);
    const second = pid();
    assert.notEqual(second, first);
    await assert.rejects(take(database, { onProgress: stopAt(2) }), /stop/);
    await take(database);
    assert.notEqual(pid(), second);
    assert.deepEqual(notes, []);
  });

  for (const journalMode of ['delete', 'wal']) {
    it(`serves one snapshot after the other, of small databases that a program has open (${journalMode})`, async () => {
      const database = createDatabase(folder('app.db'), { rows: 10_000 });
      const db = new Database(database);
      try {
        db.pragma(`journal_mode = ${journalMode}`);
        for (let round = 0; round < 3; round++) {
          db.exec(`UPDATE items SET name = 'round ${round}' WHERE id % 3 = ${round}`);
          await take(database);
          pids.add(pid());
        }
      } finally {
        db.close();
      }
      assert.equal(pids.size, 1);
      assert.deepEqual(notes, []);
    });
  }
});

describe('a process that reads the files of databases', () => {
  const folder = useTempFolder();
  const start = async (): Promise<CaptureProcess> => {
    const one = captureWith(workerEntry).start();
    await one.readIndexes([]);
    return one;
  };

  for (const gently of [true, false])
    it(`begins at the pace that it is asked with (${gently ? 'gently' : 'quickly'})`, async () => {
      const database = createDatabase(folder('app.db'), { rows: 50_000 });
      const one = await start();
      try {
        const steps: number[] = [];
        const order = { path: database, copy: folder('copy.db'), wal: undefined };
        await one.capture(order, (doneBytes) => (steps.push(doneBytes), { gently }));
        const first = steps.find((bytes) => bytes > 0);
        assert.equal(first, gently ? gentleStepBytes : stepBytes);
      } finally {
        one.end();
      }
    });

  it('ends at once, also when the thread that ends it has no time', async function () {
    if (process.platform !== 'linux') this.skip();
    const one = await start();
    one.end();
    // What the system keeps of it until this thread looks has no memory and no files.
    const hasEnded = (): boolean => readFileSync(`/proc/${one.pid}/stat`, 'utf8').includes(') Z ');
    const until = performance.now() + 10_000;
    while (!hasEnded() && performance.now() < until) pause(1);
    assert.ok(hasEnded());
  });

  it('ends although it was stopped', async () => {
    const one = await start();
    assert.ok(one.pid !== undefined);
    const { pid } = one;
    process.kill(pid, 'SIGSTOP');
    one.end();
    await waitUntil(() => !isAlive(pid), 'it has ended');
  });
});
