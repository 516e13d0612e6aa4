import assert from 'node:assert/strict';
import {
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Progress } from '../../src/core/job.ts';
import { pause } from '../../src/core/pause.ts';
import { type CallOptions, WorkerClient } from '../../src/worker/client.ts';
import {
  createDatabase,
  createGenerations,
  createLarge,
  manifestOf,
  requestFor,
  requestForAll,
  slowToCheckSql,
  snapshot,
  snapshots,
  valueOf,
  withDatabase,
} from '../support/databases.ts';
import { endProcessesAfterEach, holdOpen, start, workerEntry } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';
import { itInPart, itWhere } from '../support/operations.ts';

const worker = new WorkerClient({ entry: workerEntry });
const megabyte = 1024 * 1024;

/** Ample for the end of a process on a busy machine, and far less than what was to be done. */
const soonMs = 5000;

describe('a backup of a large database', function () {
  this.timeout(30_000);
  let shared = '';
  let database = '';
  const backups = (): string => join(shared, 'backups');

  before(() => {
    shared = mkdtempSync(join(tmpdir(), 'sqlite-backup control-'));
    database = createLarge(join(shared, 'app.db'), 300, 'wal');
    assert.ok(statSync(database).size > 250 * megabyte);
  });
  after(() => rmSync(shared, { recursive: true, force: true }));

  const doneShare = ({ phase, doneBytes, totalBytes }: Progress): number =>
    phase === 'copy' ? doneBytes / totalBytes : 0;
  const moments: [
    what: string,
    method: 'exact' | 'compact',
    isMoment: (progress: Progress) => boolean,
    delayMs: number,
  ][] = [
    ['at the first word', 'exact', ({ phase }) => phase === 'copy', 0],
    ...[0.1, 0.5, 0.9].map((share): (typeof moments)[number] => [
      `at ${share * 100} %`,
      'exact',
      (progress) => doneShare(progress) >= share,
      0,
    ]),
    ['in the check', 'exact', ({ phase }) => phase === 'check', 20],
    ['in the midst of compacting', 'compact', ({ phase }) => phase === 'copy', 150],
    ['in the check of a compacted one', 'compact', ({ phase }) => phase === 'check', 20],
  ];
  /** Of those, the ones that `npm test` cancels at. */
  const mainMoments = [
    'at the first word',
    'at 50 %',
    'in the check',
    'in the midst of compacting',
  ];
  /** How long the disk takes for a file as large as the database. */
  const syncMs = (): number => {
    const copy = join(shared, 'synced.db');
    copyFileSync(database, copy);
    const handle = openSync(copy, 'r+');
    const begun = performance.now();
    fsyncSync(handle);
    closeSync(handle);
    return performance.now() - begun;
  };

  for (const [what, method, isMoment, delayMs] of moments) {
    itWhere(mainMoments.includes(what))(
      `cancelled ${what} is over soon, leaves nothing, and lets the database go`,
      async () => {
        const controller = new AbortController();
        let cancelledAt = 0;
        let last: Progress | undefined;
        const onProgress = (progress: Progress): void => {
          last = progress;
          if (cancelledAt > 0 || !isMoment(progress)) return;
          cancelledAt = performance.now();
          setTimeout(() => {
            cancelledAt = performance.now();
            controller.abort();
          }, delayMs);
        };
        const call = worker.call('backUp', requestFor(database, { method }), {
          onProgress,
          signal: controller.signal,
        });
        await assert.rejects(call, { code: 'cancelled' });
        const tookMs = performance.now() - cancelledAt;
        // A killed process ends when the disk has taken what it was syncing, up to the whole copy, which is removed then.
        const mostMs = soonMs + (last?.phase === 'check' && tookMs > soonMs ? 4 * syncMs() : 0);
        assert.ok(cancelledAt > 0 && tookMs < mostMs, `${tookMs} ms`);
        assert.ok(last !== undefined && last.phase !== 'publish');
        assert.ok(!existsSync(backups()), 'the folder that it had made is gone as well');
        const { ino } = statSync(database);
        assert.ok(!readFileSync('/proc/locks', 'utf8').includes(`:${ino} `));
        withDatabase(
          database,
          (db) => db.exec('BEGIN EXCLUSIVE; UPDATE items SET id = id WHERE id = 1; COMMIT'),
          { timeout: 0 },
        );
      },
    );
  }

  for (const method of ['exact', 'compact'] as const) {
    it(`ends at the deadline, and leaves nothing (${method})`, async () => {
      const startedAt = performance.now();
      const options: CallOptions = { deadlineMs: 400 };
      await assert.rejects(worker.call('backUp', requestFor(database, { method }), options), {
        code: 'deadline',
      });
      assert.ok(performance.now() - startedAt < 400 + soonMs);
      assert.ok(!existsSync(backups()));
    });
  }

  itInPart('tells how far it is', async () => {
    const copied: number[] = [];
    const { manifest } = await worker.call('backUp', requestFor(database, { verify: false }), {
      onProgress: ({ phase, doneBytes, totalBytes }) => {
        assert.ok(doneBytes <= totalBytes && totalBytes > 250 * megabyte);
        if (phase === 'copy') copied.push(doneBytes);
      },
    });
    assert.deepEqual(
      copied,
      copied.toSorted((a, b) => a - b),
    );
    assert.equal(copied.at(-1), manifest.sizeBytes);
  });
});

describe('a backup that disturbs', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();
  const codes = (path: string): string[] | undefined =>
    manifestOf(path).warnings?.map(({ code }) => code);

  const fill = (path: string): void =>
    withDatabase(path, (db) => {
      db.pragma('synchronous = off');
      db.exec('UPDATE items SET payload = randomblob(200)');
      db.exec('UPDATE items SET payload = randomblob(201)');
      db.exec('UPDATE items SET payload = randomblob(202)');
    });

  it('says that the WAL grew to more than twice the database', async function () {
    this.timeout(30_000);
    const database = createDatabase(folder('app.db'), { journalMode: 'wal', rows: 40_000 });
    await holdOpen(database, 'SELECT 1 FROM items');
    let filled = false;
    const onProgress = ({ phase }: Progress): void => {
      if (phase !== 'copy' || filled) return;
      filled = true;
      fill(database);
    };
    const { path } = await snapshot(database, {}, { onProgress });
    assert.ok(statSync(`${database}-wal`).size > 2 * statSync(path).size);
    assert.deepEqual(codes(path), ['wal-grew']);
  });

  it('says so in the same way of each of several, however long they waited for their turn', async function () {
    this.timeout(30_000);
    const first = createDatabase(folder('a.db'), { journalMode: 'wal', rows: 40_000 });
    const second = createDatabase(folder('b.db'), { journalMode: 'wal', rows: 10_000 });
    await holdOpen(second, 'SELECT 1 FROM items');
    let filled = false;
    const { snapshots: made } = await snapshots(
      [first, second],
      {},
      {
        onProgress: ({ phase }) => {
          if (phase !== 'copy' || filled) return;
          filled = true;
          fill(second);
          fill(second);
        },
      },
    );
    assert.ok(statSync(`${second}-wal`).size > 3 * statSync(second).size);
    assert.deepEqual(
      made.map(({ path }) => codes(path)),
      [undefined, ['wal-grew']],
    );
  });

  itInPart(
    'goes in small steps while a program commits, whichever of the databases that is, and else in large ones',
    async function () {
      this.timeout(30_000);
      const large = createDatabase(folder('large.db'), { journalMode: 'wal', rows: 100 });
      withDatabase(large, (db) =>
        db.exec("INSERT INTO items (name, payload) VALUES ('large', zeroblob(50000000))"),
      );
      const other = createDatabase(folder('other.db'), { journalMode: 'wal', rows: 100 });
      for (const database of [large, other]) await holdOpen(database, 'SELECT 1 FROM items');
      /** The largest step of each tenth of the copy. */
      const stepsWith = async (
        atEachStep: (doneBytes: number) => unknown,
        databases = [other, large],
      ): Promise<number[]> => {
        const largest = Array.from({ length: 10 }, () => 0);
        let before = 0;
        const onProgress = ({ phase, doneBytes, totalBytes }: Progress): void => {
          if (phase !== 'copy') return;
          const tenth = Math.min(9, Math.floor((10 * before) / totalBytes));
          largest[tenth] = Math.max(largest[tenth] ?? 0, doneBytes - before);
          before = doneBytes;
          atEachStep(doneBytes);
        };
        await snapshots(databases, {}, { onProgress });
        return largest;
      };
      // On a slow disk they grow to 4 MB; else they have 8.
      const isSmall = (step: number): boolean => step > 0 && step <= 4 * megabyte;
      const commit = (database: string): unknown =>
        withDatabase(database, (db) =>
          db.exec('UPDATE items SET payload = randomblob(8) WHERE id = 1'),
        );

      const quiet = await stepsWith(() => undefined);
      assert.equal(quiet.filter(isSmall).length, 0, String(quiet));
      for (const database of [large, other]) {
        // The small one is complete by then. A commit is noticed after one of the next two steps.
        const disturbed = await stepsWith((doneBytes) => doneBytes > megabyte && commit(database));
        assert.equal(disturbed.slice(6).filter(isSmall).length, 4, String(disturbed));
      }
      let pauses = 2; // In the first one, the last commit is still to be noticed.
      const calmed = await stepsWith((doneBytes) => {
        if (doneBytes < 20 * megabyte) commit(large);
        else if (pauses-- > 0) pause(1200);
      });
      assert.ok(isSmall(calmed[3] ?? 0), String(calmed));
      assert.ok(Math.max(...calmed.slice(7)) > 4 * megabyte, String(calmed));

      // As long as that one is held, nobody can write to it.
      const locked = createDatabase(folder('locked.db'), { rows: 100 });
      const free = await stepsWith(() => commit(large), [large, locked]);
      assert.equal(free.slice(6).filter(isSmall).length, 4, String(free));
      // The larger one is copied last.
      withDatabase(locked, (db) =>
        db.exec("INSERT INTO items (name, payload) VALUES ('large', zeroblob(60000000))"),
      );
      const hasty = await stepsWith(() => commit(large), [large, locked]);
      assert.equal(hasty.filter(isSmall).length, 0, String(hasty));

      // The whole time, commits are seen; but after a minute the growing WAL is the greater burden.
      const now = performance.now.bind(performance);
      let laterMs = 0;
      performance.now = () => now() + laterMs;
      try {
        const long = await stepsWith((doneBytes) => {
          commit(large);
          if (doneBytes > 25 * megabyte) laterMs = 61_000;
        });
        assert.ok(isSmall(long[4] ?? 0), String(long));
        assert.ok(Math.max(...long.slice(6)) > 4 * megabyte, String(long));
      } finally {
        performance.now = now;
      }
    },
  );

  it('is not failed by what can no longer be seen of another database, which is copied already', async function () {
    if (process.platform === 'win32') this.skip(); // There, a file that is open keeps its name.
    const first = createDatabase(folder('a.db'), { journalMode: 'wal', rows: 100 });
    const second = createDatabase(folder('b.db'), { journalMode: 'wal', rows: 40_000 });
    for (const database of [first, second]) await holdOpen(database, 'SELECT 1 FROM items');
    const { failures, snapshots: made } = await snapshots(
      [first, second],
      {},
      {
        onProgress: ({ phase, doneBytes }) => {
          if (phase !== 'copy' || doneBytes < megabyte || existsSync(`${first}-aside`)) return;
          renameSync(`${first}-wal`, `${first}-aside`);
          symlinkSync(`${first}-wal`, `${first}-wal`);
          pause(20);
        },
      },
    );
    assert.ok(existsSync(`${first}-aside`));
    assert.deepEqual([failures, made.length], [[], 2]);
  });

  it('does not say so of a WAL that was large before', async () => {
    const database = createDatabase(folder('app.db'), { journalMode: 'wal', rows: 10_000 });
    await holdOpen(
      database,
      'PRAGMA wal_autocheckpoint = 0',
      'UPDATE items SET payload = randomblob(300)',
      'UPDATE items SET payload = randomblob(300)',
      'UPDATE items SET payload = randomblob(300)',
    );
    const { path } = await snapshot(database);
    assert.equal(codes(path), undefined);
  });

  it('says that a program in rollback mode was made to wait', async function () {
    // A backup is so quick that the program may not want to write just then.
    this.timeout(120_000);
    const database = createGenerations(folder('app.db'));
    await start('writer.ts', database, '1');
    const found = new Set<string>();
    for (let n = 0; n < 60 && !found.has('rollback-writer'); n++) {
      const { path } = await worker.call('backUp', requestFor(database, { busyTimeoutMs: 60_000 }));
      for (const code of codes(path) ?? []) found.add(code);
    }
    assert.deepEqual([...found], ['rollback-writer']);
  });

  it('says nothing of the kind when nobody writes', async () => {
    for (const journalMode of ['wal', 'delete', 'persist'] as const) {
      const database = createDatabase(folder(`${journalMode}.db`), { journalMode, rows: 10_000 });
      assert.equal((await snapshot(database)).manifest.warnings, undefined, journalMode);
    }
  });
});

describe('a limit for the size', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();

  it('refuses a larger database before anything is written, and names both sizes in words', async () => {
    const database = createDatabase(folder('app.db'), { rows: 10_000 });
    await assert.rejects(
      snapshot(database, { largestBytes: 1_500_000 }),
      (error: Error & { code?: string; hint?: string }) => {
        assert.equal(error.code, 'too-large');
        assert.match(error.message, /\d(\.\d)? MB, more than the limit of 1\.5 MB/);
        assert.ok((error.hint ?? '').length > 0);
        return true;
      },
    );
    assert.ok(!existsSync(folder('backups')));
  });

  it('refuses a sparse file that claims to be huge', async () => {
    const database = createDatabase(folder('app.db'));
    truncateSync(database, 20 * 1024 ** 3);
    await assert.rejects(snapshot(database, { largestBytes: 16e9 }), {
      code: 'too-large',
      message: /21\.5 GB.*16\.0 GB/,
    });
    assert.ok(!existsSync(folder('backups')));
  });

  it('counts what is still in the WAL', async () => {
    const database = createDatabase(folder('app.db'), { journalMode: 'wal', rows: 1 });
    await holdOpen(
      database,
      'PRAGMA wal_autocheckpoint = 0',
      'UPDATE items SET payload = zeroblob(5000000)',
    );
    assert.ok(statSync(database).size < megabyte);
    await assert.rejects(snapshot(database, { largestBytes: megabyte }), { code: 'too-large' });
    assert.ok(!existsSync(folder('backups')));
  });

  it('keeps none of several others from their backups', async () => {
    const large = createDatabase(folder('a.db'), { rows: 10_000 });
    const small = createDatabase(folder('b.db'), { rows: 1 });
    const request = requestForAll([large, small], { largestBytes: megabyte });
    const { snapshots: made, failures } = await worker.call('backUpTogether', request);
    assert.deepEqual([made.length, failures.map(({ error }) => error.code)], [1, ['too-large']]);
    assert.equal(valueOf(made[0]?.path ?? '', 'SELECT count(*) FROM items'), 1);
    assert.equal(readdirSync(folder('backups')).length, 2);
  });
});

describe('verifying a file that was made to be slow', () => {
  const folder = useTempFolder();

  it('ends at the deadline, leaves nothing, and does not touch the manifest', async () => {
    const path = (await snapshot(createDatabase(folder('app.db')))).path;
    withDatabase(path, (db) => db.unsafeMode().exec(slowToCheckSql));
    const before = readFileSync(`${path}.json`, 'utf8');
    const startedAt = performance.now();
    const call = worker.call(
      'verify',
      { path, drill: true, folder: folder() },
      { deadlineMs: 1000 },
    );
    await assert.rejects(call, { code: 'deadline' });
    assert.ok(performance.now() - startedAt < 1000 + soonMs);
    assert.equal(readFileSync(`${path}.json`, 'utf8'), before);
    assert.deepEqual(
      readdirSync(folder()).filter((name) => name.startsWith('.tmp')),
      [],
    );
  });
});
