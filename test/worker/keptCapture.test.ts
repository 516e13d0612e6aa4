import assert from 'node:assert/strict';
import Database from 'better-sqlite3';
import { captureWithKept } from '../../src/worker/captureProcess.ts';
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

  /** Ends a job when it tells its progress for the `call`th time: the first is before the process has been asked. */
  const stopAt = (call: number) => (): void => {
    if (--call === 0) throw new Error('stop');
  };

  it('is the same one when a job has ended before it was asked', async () => {
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
