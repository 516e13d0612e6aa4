import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { findHolders } from '../../src/core/holders/holders.ts';
import type { Progress } from '../../src/core/job.ts';
import { pause } from '../../src/core/pause.ts';
import { WorkerClient } from '../../src/worker/client.ts';
import { createDatabase, snapshot, valueOf, withDatabase } from '../support/databases.ts';
import { useHangingDisk } from '../support/hangingDisk.ts';
import { endProcessesAfterEach, workerEntry } from '../support/processes.ts';
import { applyRequest, insertItem } from '../support/restores.ts';
import { isThorough } from '../support/operations.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const count = 'SELECT count(*) FROM items';

describe('a restore on a disk that hangs', function () {
  endProcessesAfterEach();
  const disk = useHangingDisk();
  const folder = useTempFolder();
  const log: string[] = [];
  const worker = new WorkerClient({ entry: workerEntry, onLog: (text) => log.push(text) });
  let live = '';
  let backup = '';

  beforeEach(async () => {
    for (const name of ['real', 'd']) mkdirSync(folder(name));
    const database = createDatabase(folder('real/app.db'), { journalMode: 'delete' });
    backup = (await snapshot(database, { folder: folder('backups') })).path;
    withDatabase(database, (db) => db.exec(insertItem));
    live = folder('d/app.db');
    mountWith();
    log.length = 0;
  });

  const mountWith = (...more: string[]): void =>
    disk.mount(folder('real'), folder('d'), '--enable-lock-forwarding', ...more);

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

  /** Whether another child of this process than the driver of the disk has a thread that has not ended. */
  const hasWorker = (): boolean =>
    readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8')
      .split(' ')
      .filter((pid) => pid.trim() !== '' && Number(pid) !== disk.pid())
      .some((pid) => readdirSync(`/proc/${pid}/task`).length > 1 || !isZombie(pid));
  const isZombie = (pid: string): boolean =>
    readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z');

  const restore = (
    when: (progress: Progress) => boolean,
    options: { deadlineMs?: number; signal?: AbortSignal; act?: () => void } = {},
  ): Promise<unknown> => {
    const { act = disk.hang, ...rest } = options;
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
      disk.goOn();
      const found = await worker.call('findInterrupted', { in: folder('d') });
      for (const { intent } of found)
        await worker.call('recoverInterrupted', { intent, how: 'roll-back' });
      assert.equal(valueOf(folder('real/app.db'), count), 101);
    }
  });

  it('is cancelled as long as it proves', () => isCancelled({ hangsFirst: true }));

  it('is cancelled when the disk hangs only afterwards, and the system remembers what it has told', async () => {
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
    disk.hang();
    const params = applyRequest(path, other, { folder: folder('safety') });
    await worker.call('applyRestore', params, { deadlineMs: 30_000 });
    assert.deepEqual(findHolders([other]), { holders: [], known: 'all' });
    disk.goOn();
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
          if (hangsFirst) disk.hang();
          cancel.abort();
          if (hangsFirst) return;
          while (hasWorker()) pause(5);
          disk.hang();
        },
      });
      await assert.rejects(restoring, { code: 'cancelled' });
    });
    assert.ok(blocked < 3000, `blocked for ${blocked} ms`);
    disk.goOn();
    assert.equal(valueOf(folder('real/app.db'), count), 101);
    assert.ok(readFileSync(backup).length > 0);
  }
});
