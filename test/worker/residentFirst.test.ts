import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { ResidentFirst } from '../../src/worker/residentFirst.ts';
import type { CheckpointRequest } from '../../src/core/checkpoint/checkpoint.ts';
import { storedIn, checkpointsFolder } from '../../src/core/checkpoint/store.ts';
import { type CallOptions, WorkerClient } from '../../src/worker/client.ts';
import type { Method, Params, Result } from '../../src/worker/protocol.ts';
import { ResidentClient } from '../../src/worker/residentClient.ts';
import { readAddress } from '../../src/worker/residentProtocol.ts';
import { useDataFolder } from '../support/dataFolders.ts';
import { createDatabase } from '../support/databases.ts';
import { isAlive, waitUntil, workerEntry } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

/** The worker of the hook itself, which tells what it was asked for. */
class Alone {
  readonly saved: string[] = [];
  readonly #worker = new WorkerClient({ entry: workerEntry });

  call<M extends Method>(method: M, params: Params<M>, options?: CallOptions): Promise<Result<M>> {
    const { databases } = params as CheckpointRequest;
    this.saved.push(...databases.map(({ recordAs }) => recordAs.path));
    return this.#worker.call(method, params, options);
  }
}

describe('the hook beside the resident worker', function () {
  this.timeout(60_000);
  before(function () {
    if (process.platform !== 'linux') this.skip();
  });
  const folder = useTempFolder();
  useDataFolder(() => folder('data'));
  let editor: ResidentClient;
  let pid = 0;
  let alone: Alone;
  const hooks: ResidentFirst[] = [];

  /** Forced: it would be taken a second time also where nothing has changed. */
  const request = (name: string): CheckpointRequest => ({
    databases: [{ database: folder(name), recordAs: { path: name } }],
    ...{ cause: { kind: 'agent', session: 's' }, trigger: 'cli', force: true },
    ...{ busyTimeoutMs: 1000, largestBytes: 1e9, largestTotalBytes: 1e9, toolVersion: '0' },
  });
  const newHook = (): ResidentFirst => {
    const hook = new ResidentFirst(alone, { entry: workerEntry, beginWithinMs: 300 });
    hooks.push(hook);
    return hook;
  };
  const kept = (): string[] =>
    storedIn(checkpointsFolder(undefined))
      .map(({ manifest }) => manifest.source.path)
      .sort();
  /** The process of the resident worker that uses SQLite. */
  const warm = (): number =>
    Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0]);

  beforeEach(async () => {
    for (const name of ['a.db', 'b.db']) createDatabase(folder(name), { rows: 10 });
    alone = new Alone();
    editor = new ResidentClient({ entry: workerEntry });
    await editor.call('listCheckpoints', { checkpoints: undefined });
    pid = readAddress()?.pid ?? 0;
  });
  afterEach(async () => {
    editor.dispose();
    for (const hook of hooks.splice(0)) hook.dispose();
    // Zero would be this process and all beside it.
    if (pid === 0) return;
    process.kill(pid, 'SIGKILL');
    await waitUntil(() => !isAlive(pid), 'it is gone');
  });

  it('waits for what it has begun, and withdraws what has to wait there', async () => {
    process.kill(warm(), 'SIGSTOP');
    const begun = newHook().call('checkpoint', request('a.db'));
    const waiting = await newHook().call('checkpoint', request('b.db'));
    assert.equal(waiting.checkpoints.length, 1);
    assert.deepEqual(alone.saved, ['b.db']);
    process.kill(warm(), 'SIGCONT');
    assert.equal((await begun).checkpoints.length, 1);
    // Its turn would have come now.
    await editor.call('listCheckpoints', { checkpoints: undefined });
    assert.deepEqual(alone.saved, ['b.db']);
    assert.deepEqual(kept(), ['a.db', 'b.db']);
  });

  it('is saved by itself while that one is stopped, which does nothing of it when it goes on', async () => {
    process.kill(pid, 'SIGSTOP');
    assert.equal((await newHook().call('checkpoint', request('a.db'))).checkpoints.length, 1);
    process.kill(pid, 'SIGCONT');
    await editor.call('listCheckpoints', { checkpoints: undefined });
    assert.deepEqual([alone.saved, kept()], [['a.db'], ['a.db']]);
  });

  it('keeps the time of its caller: what has begun is not waited for beyond it', async () => {
    process.kill(warm(), 'SIGSTOP');
    const late = newHook().call('checkpoint', request('a.db'), { deadlineMs: 1000 });
    await assert.rejects(late, { code: 'cancelled' });
    assert.deepEqual(alone.saved, []);
    process.kill(warm(), 'SIGCONT');
    // Until it has done what it had begun.
    await editor.call('listCheckpoints', { checkpoints: undefined });
  });
});
