import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { Snapshot } from '../../src/core/snapshot/snapshot.ts';
import { requireDriver } from '../../src/core/sqlite/driver.ts';
import { type CallOptions, WorkerClient } from '../../src/worker/client.ts';
import { helperOf } from '../../src/worker/helperEntry.ts';
import {
  bytesOf,
  createDatabase,
  createLarge,
  requestFor,
  valueOf,
  withDatabase,
} from '../support/databases.ts';
import { itWhere } from '../support/operations.ts';
import {
  endProcessesAfterEach,
  fixture,
  isAlive,
  start,
  waitUntil,
  workerEntry,
} from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const worker = new WorkerClient({ entry: workerEntry });

/** Calls the worker of the fixtures, which does what the script of this name says. */
async function callScript(script: string, options: CallOptions = {}): Promise<unknown> {
  process.env['SCRIPT'] = script;
  try {
    return await new WorkerClient({ entry: fixture('worker.ts') }).call(
      'inspect',
      { paths: [] },
      options,
    );
  } finally {
    delete process.env['SCRIPT'];
  }
}

/** The number of the process that works in `folder`, from the name of its private folder. */
function workerIn(folder: string): number {
  const name = readdirSync(folder).find((entry) => entry.startsWith('.tmp-')) ?? '';
  return Number(name.split('-')[4]);
}

/** Ample for the end of a process on a busy machine. */
const soonMs = 5000;

describe('a worker', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();
  let database = '';

  const backUp = (options: CallOptions = {}): Promise<Snapshot> =>
    worker.call('backUp', requestFor(database), options);

  /** What is left in the backups folder; undefined when that is gone as well. */
  const left = (): string[] | undefined =>
    existsSync(folder('backups')) ? readdirSync(folder('backups')) : undefined;

  /** Runs `act` once, in the middle of copying, or at its end where the disk is so quick that nothing is told before. */
  const inTheMiddle = (act: () => void): NonNullable<CallOptions['onProgress']> => {
    let done = false;
    return ({ phase, doneBytes }) => {
      if (done || phase !== 'copy' || doneBytes === 0) return;
      done = true;
      act();
    };
  };

  describe('that misbehaves', () => {
    for (const [script, reason] of [
      ['exit without reply', /exit code 3/],
      ['exit with code 0', /exit code 0/],
      ['throw', /exit code 1/],
    ] as const) {
      it(`is an error in words when it does this: ${script}`, async () => {
        await assert.rejects(callScript(script), { code: 'worker-died', message: reason });
      });
    }

    it('is an error when it hangs up and lives on', async () => {
      const call = callScript('hang up and stay', { deadlineMs: 3000 });
      await assert.rejects(call, { code: 'worker-died' });
    });

    it('is an error when there is no such program', async () => {
      const missing = new WorkerClient({ entry: fixture('missing.ts') });
      await assert.rejects(missing.call('inspect', { paths: [] }), { code: 'worker-died' });
    });

    it('is not listened to where it talks nonsense, and is where it makes sense', async () => {
      const progress: unknown[] = [];
      const reply = await callScript('nonsense', { onProgress: (one) => progress.push(one) });
      assert.deepEqual([reply, progress], [[], []]);
    });

    it('is not listened to after its reply', async () => {
      const progress: unknown[] = [];
      assert.deepEqual(await callScript('late', { onProgress: (one) => progress.push(one) }), []);
    });

    it('is ended at the deadline when it says nothing', async () => {
      const startedAt = performance.now();
      await assert.rejects(callScript('silent', { deadlineMs: 200 }), { code: 'deadline' });
      assert.ok(performance.now() - startedAt < soonMs);
    });

    it('is ended when it has replied and does not end by itself', async () => {
      assert.deepEqual(await callScript('reply and stay'), []);
    });

    it('has its own error passed on, even when its folder cannot be tidied up', async () => {
      writeFileSync(folder('file'), 'x');
      process.env['SCRIPT'] = 'fail and stay';
      const failing = new WorkerClient({ entry: fixture('worker.ts') });
      const request = requestFor(folder('app.db'), { folder: folder('file') });
      await assert.rejects(failing.call('backUp', request), { code: 'access', message: 'No.' });
      delete process.env['SCRIPT'];
    });

    it('hands what it writes to stderr to the log', async () => {
      const lines: string[] = [];
      const options = {
        entry: fixture('missing.ts'),
        onLog: (text: string) => lines.push(text),
      };
      await assert.rejects(new WorkerClient(options).call('inspect', { paths: [] }));
      assert.match(lines.join(''), /Cannot find module/);
    });
  });

  it('is not even started for a call that is already cancelled', async () => {
    database = createDatabase(folder('app.db'));
    await assert.rejects(backUp({ signal: AbortSignal.abort() }), { code: 'cancelled' });
    assert.equal(left(), undefined);
  });

  it('answers with what the core found', async () => {
    database = createDatabase(folder('app.db'));
    const { databases, skipped } = await worker.call('inspect', {
      paths: [database, folder('missing')],
    });
    assert.deepEqual(
      [databases.map(({ path }) => path), skipped.map(({ code }) => code)],
      [[database], ['source-missing']],
    );
  });

  it('passes on errors with code, path, hint and facts', async () => {
    database = folder('missing.db');
    await assert.rejects(backUp(), {
      name: 'BackupError',
      code: 'source-missing',
      path: database,
      hint: 'Check the path.',
    });
  });

  it('that is stopped while it compares leaves no private copy in the temp folder of the system', async () => {
    const paths = ['left.db', 'right.db'].map((name) =>
      createDatabase(folder(name), { journalMode: 'wal', rows: 50_000 }),
    );
    const [left = '', right = ''] = paths;
    const before = process.env['TMPDIR'];
    process.env['TMPDIR'] = folder('temp');
    mkdirSync(folder('temp'));
    try {
      const abort = new AbortController();
      const call = worker.call('compare', { left, right }, { signal: abort.signal });
      call.catch(() => undefined); // It is awaited below.
      await waitUntil(() => workerIn(folder('temp')) > 0, 'it has a private folder');
      abort.abort();
      await assert.rejects(call, { code: 'cancelled' });
      assert.deepEqual(readdirSync(folder('temp')), []);
    } finally {
      if (before === undefined) delete process.env['TMPDIR'];
      else process.env['TMPDIR'] = before;
    }
  });

  describe('in the middle of copying', () => {
    beforeEach(() => {
      database = createLarge(folder('app.db'), 70, 'wal');
    });

    for (const [what, end, code] of [
      ['cancelled', (abort: () => void) => abort(), 'cancelled'],
      [
        'killed by a segmentation fault',
        () => process.kill(workerIn(folder('backups')), 'SIGSEGV'),
        'worker-died',
      ],
      [
        'killed by the system for its memory',
        () => process.kill(workerIn(folder('backups')), 'SIGKILL'),
        'worker-died',
      ],
    ] as const) {
      itWhere(what === 'cancelled')(
        `is gone soon when ${what}, leaves nothing, and lets the database go`,
        async () => {
          const before = bytesOf(database);
          const controller = new AbortController();
          let endedAt = 0;
          let pid = 0;
          const onProgress = inTheMiddle(() => {
            endedAt = performance.now();
            pid = workerIn(folder('backups'));
            end(() => controller.abort());
          });
          await assert.rejects(backUp({ onProgress, signal: controller.signal }), { code });
          assert.ok(performance.now() - endedAt < soonMs, `${performance.now() - endedAt} ms`);
          assert.ok(pid > 0 && !isAlive(pid));
          assert.deepEqual(left() ?? [], []);
          assert.equal(bytesOf(database)[''], before['']);
          withDatabase(
            database,
            (db) => db.exec('BEGIN EXCLUSIVE; DELETE FROM items WHERE id = 1; COMMIT'),
            { timeout: 0 },
          );
        },
      );
    }

    it('takes the backups folder with it that it had made, when it is cancelled', async () => {
      const controller = new AbortController();
      const onProgress = inTheMiddle(() => controller.abort());
      await assert.rejects(backUp({ onProgress, signal: controller.signal }));
      assert.equal(left(), undefined);
    });

    it('ends at the deadline, and leaves nothing', async () => {
      const onProgress = inTheMiddle(() => process.kill(workerIn(folder('backups')), 'SIGSTOP'));
      await assert.rejects(backUp({ onProgress, deadlineMs: 2000 }), {
        code: 'deadline',
        message: /2 s/,
      });
      assert.deepEqual(left() ?? [], []);
    });

    it('ends with what it has started, and leaves nothing that was written meanwhile', async function () {
      if (process.platform === 'win32') this.skip(); // There are no groups of processes.
      const cancel = new AbortController();
      const restless = new WorkerClient({ entry: fixture('restlessWorker.ts') });
      const options = { signal: cancel.signal, onProgress: inTheMiddle(() => cancel.abort()) };
      const call = restless.call('backUp', requestFor(database), options);
      await assert.rejects(call, { code: 'cancelled' });
      assert.equal(left(), undefined);
    });

    it('does not stand in the way of another job', async () => {
      const small = createDatabase(folder('small.db'));
      const other = worker.call('backUp', requestFor(small));
      const onProgress = inTheMiddle(() => process.kill(workerIn(folder('backups')), 'SIGSEGV'));
      await assert.rejects(
        worker.call('backUp', requestFor(database, { folder: folder('b') }), {
          onProgress: (progress) => {
            if (existsSync(folder('b')))
              inTheMiddle(() => process.kill(workerIn(folder('b')), 'SIGSEGV'))(progress);
            else onProgress(progress);
          },
        }),
        { code: 'worker-died' },
      );
      assert.equal((await other).manifest.verdict.status, 'ok');
    });

    it('ends when its parent is killed, and the next backup sweeps what it left', async () => {
      mkdirSync(folder('backups'));
      const { child, first } = await start('parent.ts', database, folder('backups'));
      const pid = Number(first);
      assert.ok(isAlive(pid));
      child.kill('SIGKILL');
      await once(child, 'exit');
      await waitUntil(() => !isAlive(pid), 'the worker has ended');
      const { path } = await backUp();
      assert.equal(left()?.length, 2);
      assert.equal(valueOf(path, 'SELECT count(*) FROM items'), 70);
    });
  });

  it('finishes what it already publishes, cancelled or not', async () => {
    const controller = new AbortController();
    const onProgress = (): void => controller.abort();
    assert.deepEqual(
      await callScript('publish slowly', { signal: controller.signal, onProgress }),
      [],
    );
    assert.ok(controller.signal.aborted);
  });

  it('publishes nothing when the cancel comes first', async () => {
    database = createDatabase(folder('app.db'));
    const controller = new AbortController();
    const onProgress = ({ phase }: { phase: string }): void => {
      if (phase === 'check') controller.abort();
    };
    await assert.rejects(backUp({ onProgress, signal: controller.signal }), { code: 'cancelled' });
    assert.deepEqual(left() ?? [], []);
  });

  it('does not wait for a cancel any longer once it has settled', async () => {
    const controller = new AbortController();
    await callScript('reply and stay', { signal: controller.signal, deadlineMs: 60_000 });
    controller.abort();
    assert.equal(
      process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length <= 1,
      true,
    );
  });

  it('is told in words that its Node is too old, before the driver is loaded', () => {
    for (const versions of [
      { napi: '9', node: '20.0.0' },
      { napi: undefined, node: '6.0.0' },
    ]) {
      assert.throws(() => requireDriver(versions), {
        code: 'feature-missing',
        message: new RegExp(versions.node),
      });
    }
    requireDriver({ napi: '10', node: '22.14.0' });
    requireDriver();
  });

  it('catches no signals: a handler would delay the kill', () => {
    for (const entry of [workerEntry, helperOf(workerEntry)])
      assert.doesNotMatch(readFileSync(entry, 'utf8'), /\b(on|once|addListener)\(\s*["']SIG/);
  });
});
