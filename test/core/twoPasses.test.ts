import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import type { CaptureProcess, Capturing } from '../../src/core/job.ts';
import { captureFiles } from '../../src/core/snapshot/capture.ts';
import { prepareCopy } from '../../src/core/snapshot/twoPasses.ts';
import { captureWith } from '../../src/worker/captureProcess.ts';
import { createGenerations, generationsIn, snapshot, withDatabase } from '../support/databases.ts';
import { endProcessesAfterEach, holdOpen, workerEntry } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const nextGeneration = `BEGIN;
  UPDATE left SET generation = generation + 1;
  INSERT INTO log SELECT generation, NULL FROM left LIMIT 1;
  UPDATE right SET generation = generation + 1;
  COMMIT;`;
const never = { gently: false };

describe('a copy of a database in rollback mode, most of which is made before it is held', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();
  let database = '';
  beforeEach(() => {
    database = createGenerations(folder('app.db'));
  });

  const commit = (sql: string): void => withDatabase(database, (db) => void db.exec(sql));

  /** The second process, with what another program does between the two passes. */
  const capturing = (
    between: () => void,
    change: (one: CaptureProcess) => Partial<CaptureProcess> = () => ({}),
  ): Capturing => ({
    fewestBytes: 0,
    fewestPreparedBytes: 0,
    start() {
      const one = captureWith(workerEntry).start();
      const { prepare } = one;
      return {
        ...one,
        prepare: (...args) => prepare(...args).finally(between),
        ...change(one),
      };
    },
  });

  for (const [what, sql] of [
    ['nothing', ''],
    ['a commit', nextGeneration],
    ['more pages', 'CREATE TABLE more AS SELECT randomblob(900000) AS data'],
    ['fewer pages', 'DELETE FROM filler WHERE rowid > 100; VACUUM'],
    ['pages of another size', 'PRAGMA page_size = 8192; VACUUM'],
  ] as const)
    it(`equals the file in the end, with ${what} between the passes`, async () => {
      const copy = folder('copy.db');
      assert.equal(await prepareCopy({ path: database, copy }, () => never), true);
      if (sql !== '') commit(sql);
      const order = { path: database, copy, wal: undefined, isPrepared: true };
      assert.deepEqual(await captureFiles(order, () => never), { means: 'copy', frames: 0 });
      assert.ok(readFileSync(copy).equals(readFileSync(database)));
      assert.equal(statSync(copy).mode & 0o777, 0o600);
    });

  it('is a snapshot of the state that was held, not of the one before', async () => {
    const notes: string[] = [];
    const { path, manifest } = await snapshot(
      database,
      { verify: true },
      { capturing: capturing(() => commit(nextGeneration)), onNote: (text) => notes.push(text) },
    );
    assert.deepEqual([manifest.verdict.status, notes], ['ok', []]);
    assert.equal(generationsIn(path), '1');
  });

  it('is made in WAL mode as always, also when that begins between the passes', async () => {
    const toWal = (): void => commit(`PRAGMA journal_mode = wal; ${nextGeneration}`);
    const { path } = await snapshot(database, {}, { capturing: capturing(toWal) });
    assert.equal(generationsIn(path), '1');
    await holdOpen(database, 'PRAGMA wal_autocheckpoint = 0', nextGeneration);
    const prepared: string[] = [];
    const watched = capturing(
      () => undefined,
      () => ({
        prepare(order) {
          prepared.push(order.path);
          return Promise.resolve(false);
        },
      }),
    );
    const { path: second } = await snapshot(database, {}, { capturing: watched });
    assert.deepEqual([generationsIn(second), prepared], ['2', []]);
  });

  it('is made at once where it could not be prepared, or where the preparation is gone', async () => {
    for (const prepare of [
      () => Promise.reject(new Error('not now')),
      () => Promise.resolve(false),
    ]) {
      const { path } = await snapshot(
        database,
        {},
        {
          capturing: capturing(
            () => undefined,
            () => ({ prepare }),
          ),
        },
      );
      assert.equal(generationsIn(path), '0');
    }
    const notes: string[] = [];
    const lost = capturing(
      () => undefined,
      ({ prepare }) => ({
        async prepare(order, onStep) {
          const isPrepared = await prepare(order, onStep);
          rmSync(order.copy);
          return isPrepared;
        },
      }),
    );
    const hooks = { capturing: lost, onNote: (text: string) => void notes.push(text) };
    const { path } = await snapshot(database, {}, hooks);
    assert.equal(generationsIn(path), '0');
    assert.match(notes.join(), /page by page/);
  });

  it('leaves nothing when it is stopped, or when the database goes meanwhile', async () => {
    const stopped = prepareCopy({ path: database, copy: folder('copy.db') }, () => {
      throw new Error('stopped');
    });
    await assert.rejects(stopped, /stopped/);
    assert.equal(existsSync(folder('copy.db')), false);
    const gone = snapshot(database, {}, { capturing: capturing(() => rmSync(database)) });
    await assert.rejects(gone, { code: 'source-missing' });
    assert.deepEqual(
      readdirSync(folder()).filter((name) => name.startsWith('.tmp')),
      [],
    );
  });

  it('counts each byte once in the progress', async () => {
    const done: number[] = [];
    await snapshot(
      database,
      {},
      {
        capturing: capturing(() => undefined),
        onProgress: (progress) => {
          if (progress.phase === 'copy') done.push(progress.doneBytes);
        },
      },
    );
    assert.deepEqual(
      done,
      done.toSorted((a, b) => a - b),
    );
    assert.equal(done.at(-1), statSync(database).size);
  });
});
