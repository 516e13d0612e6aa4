import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { BackupError } from '../../src/core/errors.ts';
import { digestCopy, type DigestsFor, type ToDigest } from '../../src/core/files/digests.ts';
import { takeCut } from '../../src/core/snapshot/cut.ts';
import { takeSnapshots } from '../../src/core/snapshot/snapshot.ts';
import { pin } from '../../src/core/sqlite/pin.ts';
import { aheadOf, counterSql, isBroken, takeCuts } from '../support/cuts.ts';
import {
  bytesOf,
  createDatabase,
  createWithForeignCollation,
  manifestOf,
  overwrite,
  requestForAll,
  snapshot,
  snapshots,
  valueOf,
  withDatabase,
  writeBytes,
} from '../support/databases.ts';
import { isThorough, itWhere } from '../support/operations.ts';
import {
  asNobody,
  cliEntry,
  endProcessesAfterEach,
  fixture,
  holdOpen,
  isLinuxRoot,
  kill,
  run,
  start,
  waitUntil,
} from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('a cut', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();
  const quick = { verify: false, busyTimeoutMs: 5000 };

  const counters = (names: string[], journalMode: 'wal' | 'delete' = 'wal'): string[] =>
    names.map((name) => createDatabase(folder(name), { journalMode, sql: counterSql }));
  const numberIn = (path: string): number => Number(valueOf(path, 'SELECT n FROM counter'));

  describe('of two databases, to which a program writes the same numbers one after the other', () => {
    for (const [journalMode, sampled, all] of [
      ['wal', 25, 100],
      ['delete', 8, 15],
    ] as const) {
      const times = isThorough ? all : sampled;
      it(`is of one instant, ${times} times, and two snapshots are not (${journalMode})`, async function () {
        this.timeout(60_000);
        const paths = counters(['a.db', 'b.db'], journalMode);
        const [a = '', b = ''] = paths;
        await start('pairWriter.ts', 'steady', a, b);
        const labels: string[] = [];
        const pairs: number[] = [];
        for (let n = 0; n < times; n++) {
          const { snapshots: made, failures, cut } = await snapshots(paths, quick);
          assert.deepEqual(failures, []);
          labels.push(cut.label);
          const [first = 0, second = 0] = made.map(({ path }) => numberIn(path));
          if (cut.label === 'one-instant') pairs.push(first - second);
          rmSync(folder('backups'), { recursive: true });
        }
        assert.ok(pairs.length >= labels.length * 0.9, `${pairs.length} of ${labels.length} cuts`);
        assert.deepEqual(pairs.filter(isBroken), []);
        // The naive way, with the program given the time that a larger database would give it.
        const first = await snapshot(a, quick);
        const taken = numberIn(first.path);
        await waitUntil(() => numberIn(b) > taken, 'the program has gone on');
        const second = await snapshot(b, quick);
        assert.ok(isBroken(taken - numberIn(second.path)), 'two snapshots hold as well');
      });
    }

    it('is of one instant under a program that never pauses, behind the barrier', async function () {
      this.timeout(60_000);
      const paths = counters(['a.db', 'b.db']);
      await start('pairWriter.ts', 'restless', ...paths);
      const cuts = await takeCuts(folder(), isThorough ? 40 : 10, paths);
      const shared = cuts.filter(({ label }) => label === 'one-instant');
      assert.ok(shared.length >= cuts.length * 0.9, `${shared.length} of ${cuts.length} cuts`);
      assert.deepEqual(shared.map(aheadOf).filter(isBroken), []);
    });
  });

  for (const names of [
    ['a.db', 'b.db'],
    ['a.db', 'b.db', 'c.db', 'd.db', 'e.db'],
  ]) {
    itWhere(names.length === 2)(
      `never keeps a program waiting for long that locks the same ${names.length} databases in the opposite order`,
      async function () {
        this.timeout(60_000);
        const paths = counters(names);
        const { child } = await start('pairWriter.ts', 'together', ...paths);
        const longest = async (): Promise<number> => {
          child.send('report');
          const [report] = (await once(child, 'message')) as [{ longestMs: number }];
          return report.longestMs;
        };
        await longest();
        const waits: number[] = [];
        const labels: string[] = [];
        for (let n = 0; n < 20; n++) {
          let looks = 0;
          const { label, pins } = await takeCut(
            paths,
            (path, timeoutMs) => {
              // All lock-free tries, so that the locks are needed.
              if (++looks <= 20) throw new BackupError('source-busy', 'busy');
              return pin(path, timeoutMs);
            },
            5000,
            { random: () => 0 },
          );
          for (const one of pins.values()) one.release();
          labels.push(label);
          waits.push(await longest());
        }
        assert.ok(labels.filter((label) => label === 'one-instant').length >= 10, labels.join());
        // Locks of ours that wait for others would take seconds each time. The program needs about a millisecond itself, and
        // on a busy machine it waits for the processor too.
        const [median = Infinity] = waits.toSorted((a, b) => a - b).slice(waits.length / 2);
        assert.ok(median <= 100, `${waits.map((ms) => ms.toFixed(0)).join()} ms`);
        assert.ok(Math.max(...waits) <= 2000, `${waits.map((ms) => ms.toFixed(0)).join()} ms`);
      },
    );
  }

  describe('changes nothing in the databases', () => {
    it('behind the barrier, not even in one that nobody has open, when another turns out to be busy', async () => {
      const [idle = '', busy = ''] = counters(['a.db', 'b.db']);
      // A WAL that its program left behind when it was killed: whoever closes it last as a writer folds it in.
      await kill(await holdOpen(idle, 'PRAGMA wal_autocheckpoint = 0', 'UPDATE counter SET n = 5'));
      const before = bytesOf(idle);
      assert.ok(statSync(`${idle}-wal`).size > 0);
      let looks = 0;
      const { label, pins } = await takeCut(
        [idle, busy],
        (path) => {
          // All lock-free tries, and the first one behind the barrier.
          if (path === busy && ++looks <= 21) throw new BackupError('source-busy', 'busy');
          return pin(path, 0);
        },
        5000,
        { random: () => 0 },
      );
      const held = bytesOf(idle);
      for (const one of pins.values()) one.release();
      assert.equal(label, 'one-instant');
      assert.deepEqual([held, bytesOf(idle)], [before, before]);
    });

    it('nor makes a WAL shorter, nor checkpoints what its program keeps in there', async () => {
      const paths = counters(['a.db', 'b.db', 'busy.db']);
      for (const path of paths.slice(0, 2))
        await holdOpen(path, 'PRAGMA wal_autocheckpoint = 0', 'UPDATE counter SET n = 5');
      await start('pairWriter.ts', 'restless', paths[2] ?? '');
      const before = paths.slice(0, 2).map(bytesOf);
      const { failures } = await snapshots(paths, quick);
      assert.deepEqual(failures, []);
      assert.deepEqual(paths.slice(0, 2).map(bytesOf), before);
    });
  });

  describe('with a database that this user may only read', function () {
    before(function () {
      if (!isLinuxRoot) this.skip(); // Only root can become somebody who may not.
    });

    const backUpAsNobody = async (
      paths: string[],
    ): Promise<{ cut: string; backups: { path: string }[] }> => {
      chmodSync(folder(), 0o755);
      mkdirSync(folder('b'));
      chmodSync(folder('b'), 0o777);
      const args = ['back-up', ...paths, '--together', '--to', folder('b'), '--json'];
      const ended = await run([...asNobody, process.execPath, cliEntry, ...args], {
        cwd: folder(),
      });
      assert.equal(ended.code, 0, ended.stdout + ended.stderr);
      return JSON.parse(ended.stdout) as { cut: string; backups: { path: string }[] };
    };

    it('is of one instant when nobody writes', async () => {
      const { cut, backups } = await backUpAsNobody(counters(['a.db', 'b.db'], 'delete'));
      assert.equal(cut, 'one-instant');
      assert.deepEqual(manifestOf(backups[0]?.path ?? '').cut, {
        label: 'one-instant',
        members: 2,
      });
    });

    it('knows that it cannot hold its lock, although SQLite says that it does', async () => {
      for (const journalMode of ['wal', 'delete'] as const) {
        const [path = ''] = counters([`${journalMode}.db`], journalMode);
        await holdOpen(path, 'SELECT 1 FROM counter');
        chmodSync(folder(), 0o755);
        const { stdout } = await run([...asNobody, process.execPath, fixture('lock.ts'), path]);
        assert.notEqual(stdout, 'locked\n', journalMode);
      }
    });
  });

  it('of many has the digests of one copy read at a time', async () => {
    const paths = Array.from({ length: 8 }, (_, n) =>
      createDatabase(folder(`${n}.db`), { rows: 5 }),
    );
    const reading = { now: 0, most: 0 };
    const digestBeside = async (copy: ToDigest): Promise<DigestsFor> => {
      reading.most = Math.max(reading.most, ++reading.now);
      await sleep(10);
      reading.now--;
      return digestCopy(copy);
    };
    const { snapshots: made } = await snapshots(paths, {}, { digestBeside });
    assert.deepEqual([made.length, reading.most], [8, 1]);
  });

  describe('of several of which one fails', () => {
    const bad: [what: string, code: string, make: (path: string) => unknown][] = [
      ['is missing', 'source-missing', () => undefined],
      ['is a folder', 'not-a-database', (path) => mkdirSync(path)],
      ['is text', 'not-a-database', (path) => writeBytes(path, 'text\n'.repeat(1000))],
      ['is locked', 'source-busy', (path) => holdOpen(createDatabase(path), 'BEGIN EXCLUSIVE')],
      [
        'has a schema of garbage',
        'corrupt',
        (path) => overwrite(createDatabase(path), 100, Buffer.alloc(3000, 0xa5)),
      ],
      [
        'has a page of garbage',
        'corrupt',
        (path) =>
          overwrite(createDatabase(path, { rows: 500 }), 10 * 4096, Buffer.alloc(4096, 0xa5)),
      ],
      ['is too large', 'too-large', (path) => createDatabase(path, { rows: 10_000 })],
    ];
    for (const [what, code, make] of bad) {
      it(`because it ${what}, has the others, and says of that one ${code}`, async () => {
        const [a = '', c = ''] = counters(['a.db', 'c.db']);
        const b = folder('b.db');
        await make(b);
        const { snapshots: made, failures } = await snapshots([a, b, c], { largestBytes: 1e6 });
        assert.deepEqual(
          failures.map(({ database, error }) => [database, error.code]),
          [[b, code]],
        );
        assert.ok(failures[0]?.error.message.includes(b), failures[0]?.error.message);
        assert.deepEqual(
          made.map(({ database }) => database),
          [a, c],
        );
        for (const { path, manifest } of made) {
          assert.equal(manifest.verdict.status, 'ok');
          assert.deepEqual(
            manifest.cut,
            { label: 'one-instant', members: 2 },
            'of those that are there',
          );
          assert.deepEqual(manifestOf(path), manifest);
        }
        const rest = readdirSync(folder('backups')).filter((name) => name.startsWith('.tmp'));
        assert.deepEqual(rest, []);
      });
    }

    it('because it was locked a moment after it was looked at, has the others', async function () {
      this.timeout(30_000);
      const [a = '', b = ''] = counters(['a.db', 'b.db'], 'delete');
      const request = requestForAll([a, b]);
      let looks = 0;
      let locker: Database.Database | undefined;
      // Asked for once for each look: from the third on, all have been looked at.
      Object.defineProperty(request, 'busyTimeoutMs', {
        get() {
          if (++looks === 3) {
            locker = new Database(b);
            locker.exec('BEGIN EXCLUSIVE');
          }
          return 0;
        },
      });
      try {
        const hooks = { onProgress: () => undefined, beforePublish: () => Promise.resolve() };
        const { snapshots: made, failures } = await takeSnapshots(request, hooks);
        assert.deepEqual(
          failures.map(({ database, error }) => [database, error.code]),
          [[b, 'source-busy']],
        );
        assert.deepEqual(
          made.map(({ database }) => database),
          [a],
        );
      } finally {
        locker?.close();
      }
    });

    it('and no other is left has no cut to tell of', async () => {
      const [a = ''] = counters(['a.db']);
      const { snapshots: made, cut } = await snapshots([a, folder('missing.db')]);
      assert.deepEqual([made[0]?.manifest.cut, cut], [undefined, { label: 'one-instant' }]);
    });

    it('and all fail is no exception, and makes no folder', async () => {
      const { snapshots: made, failures } = await snapshots([folder('x.db'), folder('y.db')]);
      assert.deepEqual([made, failures.length, existsSync(folder('backups'))], [[], 2, false]);
    });
  });

  it('takes a file under two names once', async () => {
    const [a = '', b = ''] = counters(['a.db', 'b.db']);
    symlinkSync(a, folder('link.db'));
    const { snapshots: made, failures } = await snapshots([folder('link.db'), a, b, a]);
    assert.deepEqual(
      made.map(({ database }) => database),
      [a, b],
    );
    assert.deepEqual(failures, []);
    assert.equal(readdirSync(folder('backups')).length, 4);
  });

  it('gives databases of the same name in different folders each a backup', async () => {
    mkdirSync(folder('one'));
    mkdirSync(folder('two'));
    const paths = counters(['one/app.db', 'two/app.db']);
    withDatabase(paths[1] ?? '', (db) => db.exec('UPDATE counter SET n = 2'));
    const { snapshots: made } = await snapshots(paths);
    assert.deepEqual(
      made.map(({ path }) => numberIn(path)),
      [0, 2],
    );
    assert.equal(new Set(made.map(({ path }) => basename(path))).size, 2);
  });

  it('of compacted databases says that it is none, and why', async () => {
    const paths = counters(['a.db', 'b.db']);
    const { snapshots: made, cut } = await snapshots(paths, { method: 'compact' });
    assert.equal(cut.label, 'per-database');
    for (const { manifest } of made) assert.deepEqual(manifest.cut, { ...cut, members: 2 });
  });

  it('does without what only the application has', async () => {
    const [a = ''] = counters(['a.db']);
    const b = createWithForeignCollation(folder('b.db'));
    const { snapshots: made, cut } = await snapshots([a, b]);
    assert.deepEqual(
      made.map(({ manifest }) => manifest.verdict.status),
      ['ok', 'partial'],
    );
    assert.equal(cut.label, 'one-instant');
  });

  it('leaves nothing, and no lock, when it is stopped in the middle', async () => {
    const paths = counters(['a.db', 'b.db'], 'delete');
    const onProgress = ({ phase, doneBytes }: { phase: string; doneBytes: number }): void => {
      if (phase === 'copy' && doneBytes > 8192) throw new Error('stop');
    };
    const { failures } = await snapshots(paths, {}, { onProgress }).catch(() => ({
      failures: [1],
    }));
    assert.ok(failures.length > 0);
    for (const path of paths)
      withDatabase(path, (db) => db.exec('BEGIN EXCLUSIVE; UPDATE counter SET n = 9; COMMIT'), {
        timeout: 0,
      });
    assert.ok(readFileSync(paths[0] ?? '').length > 0);
  });
});
