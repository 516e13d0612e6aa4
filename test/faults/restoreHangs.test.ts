import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
} from 'node:fs';
import { findHolders } from '../../src/core/holders/holders.ts';
import type { Progress } from '../../src/core/job.ts';
import { pause } from '../../src/core/pause.ts';
import { WorkerClient } from '../../src/worker/client.ts';
import { createDatabase, snapshot, valueOf, withDatabase } from '../support/databases.ts';
import {
  endProcessesAfterEach,
  isLinuxRoot,
  needProgram,
  workerEntry,
} from '../support/processes.ts';
import { applyRequest, insertItem } from '../support/restores.ts';
import { isThorough } from '../support/operations.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const count = 'SELECT count(*) FROM items';

/** The driver of the file system is a process, and stops: whatever asks it waits until it goes on. */
describe('a restore on a disk that hangs', function () {
  endProcessesAfterEach();
  afterEach(() => {
    if (driver === 0) return;
    goOn();
    execFileSync('umount', ['-l', folder('d')]);
    driver = 0;
  });
  const folder = useTempFolder();
  const log: string[] = [];
  const worker = new WorkerClient({ entry: workerEntry, onLog: (text) => log.push(text) });
  let driver = 0;
  let live = '';
  let backup = '';

  before(function () {
    if (!isLinuxRoot) this.skip(); // Only root on Linux may mount.
    needProgram('bindfs', 'bindfs');
  });

  beforeEach(async () => {
    for (const name of ['real', 'd']) mkdirSync(folder(name));
    const database = createDatabase(folder('real/app.db'), { journalMode: 'delete' });
    backup = (await snapshot(database, { folder: folder('backups') })).path;
    withDatabase(database, (db) => db.exec(insertItem));
    live = folder('d/app.db');
    mountWith();
    log.length = 0;
  });

  const mountWith = (...more: string[]): void => {
    const options = ['-f', '--multithreaded', '--enable-lock-forwarding', '--no-allow-other'];
    const stdio = 'ignore';
    driver =
      spawn('bindfs', [...options, ...more, folder('real'), folder('d')], { stdio }).pid ?? 0;
    while (!existsSync(live)) pause(5);
  };

  const hang = (): void => {
    process.kill(driver, 'SIGSTOP');
    // Until then, one of its threads may still answer.
    const threads = `/proc/${driver}/task`;
    const isStopped = (thread: string): boolean =>
      readFileSync(`${threads}/${thread}/stat`, 'utf8').includes(') T');
    while (!readdirSync(threads).every(isStopped)) pause(1);
  };
  const goOn = (): boolean => process.kill(driver, 'SIGCONT');

  /** Runs `action`, and says how long this process was blocked at the longest. */
  const longestBlockOf = async (action: () => Promise<unknown>): Promise<number> => {
    let [last, longest] = [performance.now(), 0];
    const beat = setInterval(() => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }, 20);
    await action();
    clearInterval(beat);
    return longest;
  };

  /** Whether another child of this process than the driver has a thread that has not ended. */
  const hasWorker = (): boolean =>
    readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8')
      .split(' ')
      .filter((pid) => pid.trim() !== '' && Number(pid) !== driver)
      .some((pid) => readdirSync(`/proc/${pid}/task`).length > 1 || !isZombie(pid));
  const isZombie = (pid: string): boolean =>
    readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z');

  const restore = (
    when: (progress: Progress) => boolean,
    options: { deadlineMs?: number; signal?: AbortSignal; act?: () => void } = {},
  ): Promise<unknown> => {
    const { act = hang, ...rest } = options;
    let isDone = false;
    return worker.call('applyRestore', applyRequest(backup, live, { folder: folder('safety') }), {
      ...rest,
      onProgress(progress) {
        if (isDone || !when(progress)) return;
        isDone = true;
        act();
      },
    });
  };

  it('ends at its deadline, and the process that asked for it is never blocked', async () => {
    const moments = [
      ['move', /so it was stopped, perhaps half-way: nothing is lost/],
      ['stage', /Not finished after 6 s, so it was stopped\.$/],
    ] as const;
    for (const [phase, words] of isThorough ? moments : moments.slice(0, 1)) {
      const blocked = await longestBlockOf(async () => {
        const restoring = restore((progress) => progress.phase === phase, { deadlineMs: 6000 });
        await assert.rejects(restoring, { code: 'deadline', message: words });
      });
      assert.ok(blocked < 3000, `blocked for ${blocked} ms`);
      assert.match(log.join(), /does not answer, and was not cleaned up|does not end/);
      // Nothing is even begun while it still hangs.
      await assert.rejects(
        restore(() => false),
        { code: 'deadline', message: /does not answer\. Nothing was changed/ },
      );
      goOn();
      const found = await worker.call('findInterrupted', { in: folder('d') });
      for (const { intent } of found)
        await worker.call('recoverInterrupted', { intent, how: 'roll-back' });
      assert.equal(valueOf(folder('real/app.db'), count), 101);
    }
  });

  it('is cancelled as long as it proves', () => isCancelled({ hangsFirst: true }));

  it('is cancelled when the disk hangs only afterwards, and the system remembers what it has told', async () => {
    execFileSync('umount', ['-l', folder('d')]);
    mountWith('-o', 'attr_timeout=600,entry_timeout=600');
    statSync(folder('d'));
    await isCancelled({ hangsFirst: false });
    assert.match(log.join(), /does not answer, and was not cleaned up/);
  });

  it('of another program holds up nothing on a disk that answers', async () => {
    const open = openSync(live, 'r');
    const program = spawn('sleep', ['600'], { stdio: [open, 'ignore', 'ignore'] });
    closeSync(open);
    const other = createDatabase(folder('other.db'));
    const { path } = await snapshot(other, { folder: folder('backups') });
    hang();
    const params = applyRequest(path, other, { folder: folder('safety') });
    await worker.call('applyRestore', params, { deadlineMs: 30_000 });
    assert.deepEqual(findHolders([other]), { holders: [], known: 'all' });
    goOn();
    // And it is found where the disk answers.
    assert.deepEqual(
      findHolders([live]).holders.map(({ pid }) => pid),
      [program.pid],
    );
    program.kill();
  });

  async function isCancelled({ hangsFirst }: { hangsFirst: boolean }): Promise<void> {
    const cancel = new AbortController();
    const blocked = await longestBlockOf(async () => {
      const restoring = restore(({ phase }) => phase === 'stage', {
        signal: cancel.signal,
        act() {
          if (hangsFirst) hang();
          cancel.abort();
          if (hangsFirst) return;
          while (hasWorker()) pause(5);
          hang();
        },
      });
      await assert.rejects(restoring, { code: 'cancelled' });
    });
    assert.ok(blocked < 3000, `blocked for ${blocked} ms`);
    goOn();
    assert.equal(valueOf(folder('real/app.db'), count), 101);
    assert.ok(readFileSync(backup).length > 0);
  }
});
