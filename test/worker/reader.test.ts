import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { WorkerClient } from '../../src/worker/client.ts';
import { createDatabase } from '../support/databases.ts';
import { isAlive, waitUntil, workerEntry } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

/** The processes that this one has started and that are there now. */
function children(): number[] {
  const list = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8');
  return list.split(' ').filter(Boolean).map(Number);
}

describe('the process that stays for what is only read', function () {
  before(function () {
    if (process.platform !== 'linux') this.skip();
  });
  const folder = useTempFolder();
  let worker: WorkerClient;
  let others: number[] = [];

  beforeEach(() => {
    others = children();
    worker = new WorkerClient({ entry: workerEntry, readerIdleMs: 60_000 });
    createDatabase(folder('app.db'));
  });
  afterEach(() => worker.dispose());

  const started = (): number[] => children().filter((pid) => !others.includes(pid));
  const look = async (): Promise<string[]> => {
    const { databases } = await worker.call('inspect', { paths: [folder('app.db')] });
    return databases.map(({ path }) => path);
  };

  it('answers after it was killed, also in the middle', async () => {
    await look();
    const [first = 0] = started();
    process.kill(first, 'SIGSTOP');
    const answer = look();
    process.kill(first, 'SIGKILL');
    assert.deepEqual(await answer, [folder('app.db')]);
    assert.ok(!started().includes(first));
    assert.deepEqual(await look(), [folder('app.db')]);
  });

  it('holds up nothing while it hangs', async () => {
    await look();
    const [first = 0] = started();
    process.kill(first, 'SIGSTOP');
    // Which of the two the process gets is open: each looks at its folder first.
    const calls = [look(), look()];
    assert.deepEqual(await Promise.race(calls), [folder('app.db')]);
    process.kill(first, 'SIGCONT');
    assert.deepEqual((await Promise.all(calls)).flat(), [folder('app.db'), folder('app.db')]);
  });

  it('that is too slow is ended, and the call gets a process that may take its time', async () => {
    worker.dispose();
    worker = new WorkerClient({ entry: workerEntry, readerIdleMs: 60_000, readerDeadlineMs: 3000 });
    await look();
    const [first = 0] = started();
    process.kill(first, 'SIGSTOP');
    assert.deepEqual(await look(), [folder('app.db')]);
    assert.ok(!started().includes(first));
  });

  it('is one for all such calls, tells errors, and makes no other call its own', async () => {
    await look();
    const own = started();
    await assert.rejects(worker.call('list', { folder: folder('app.db') }));
    await look();
    assert.deepEqual(started(), own);
    const request = { path: folder('app.db'), drill: false, folder: folder('.') };
    const verdict = await worker.call('verify', request);
    assert.ok(verdict.status);
    assert.deepEqual(started(), own);
  });

  it('ends when nothing was asked for a while, and with its face', async () => {
    worker.dispose();
    worker = new WorkerClient({ entry: workerEntry, readerIdleMs: 1 });
    await look();
    await waitUntil(() => started().length === 0, 'it stays');
    worker = new WorkerClient({ entry: workerEntry, readerIdleMs: 60_000 });
    await look();
    const [pid = 0] = started();
    worker.dispose();
    await waitUntil(() => !isAlive(pid), 'it outlives its face');
  });
});
