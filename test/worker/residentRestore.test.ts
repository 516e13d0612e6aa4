import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import type { BaselineRestored, RestoreBaselineRequest } from '../../src/core/states/baseline.ts';
import { newWorkId, privateFolderPath } from '../../src/core/files/workplace.ts';
import { WorkerClient } from '../../src/worker/client.ts';
import type { Method, Params, Result } from '../../src/worker/protocol.ts';
import { ResidentClient } from '../../src/worker/residentClient.ts';
import { ResidentFirst } from '../../src/worker/residentFirst.ts';
import { addressPath, readAddress } from '../../src/worker/residentProtocol.ts';
import { takingInto } from '../support/checkpoints.ts';
import { useDataFolder } from '../support/dataFolders.ts';
import { createDatabase, valueOf, withDatabase } from '../support/databases.ts';
import {
  endProcessesAfterEach,
  holdOpen,
  isAlive,
  kill,
  runCli,
  waitUntil,
  workerEntry,
} from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const count = 'SELECT count(*) FROM items';

/** A process of its own, which tells what it was asked for. */
class Alone {
  readonly asked: Method[] = [];
  readonly #worker = new WorkerClient({ entry: workerEntry });

  call<M extends Method>(method: M, params: Params<M>): Promise<Result<M>> {
    this.asked.push(method);
    return this.#worker.call(method, params);
  }
}

describe('a baseline that the resident worker puts back', function () {
  this.timeout(60_000);
  before(function () {
    if (process.platform !== 'linux') this.skip(); // /proc exists there only.
  });
  endProcessesAfterEach();
  const folder = useTempFolder();
  useDataFolder(() => folder('data'));
  let editor: ResidentClient;
  let alone: Alone;
  let first: ResidentFirst;
  let pid = 0;
  let target = '';

  const request = (more: Partial<RestoreBaselineRequest> = {}): RestoreBaselineRequest => ({
    ...{ name: 'seeded', discard: false, taking: takingInto(folder('cp')) },
    ...{ items: [{ target, recordAs: { path: 'app.db' } }], ...more },
  });
  const restore = (more: Partial<RestoreBaselineRequest> = {}): Promise<BaselineRestored> =>
    first.call('restoreBaseline', request(more));
  const change = (sql: string): void =>
    withDatabase(target, (db) => {
      db.exec(sql);
    });
  const childrenOf = (parent: number): number[] =>
    (readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8').match(/\d+/g) ?? []).map(
      Number,
    );
  /** The process of the resident worker that uses SQLite. */
  const warm = (): number => childrenOf(pid)[0] ?? 0;
  /** What is no file of the database. */
  const left = (): string[] =>
    readdirSync(folder('work')).filter((name) => !name.startsWith('app.db'));

  beforeEach(async () => {
    mkdirSync(folder('work'));
    target = createDatabase(folder('work/app.db'), { rows: 100, journalMode: 'wal' });
    alone = new Alone();
    const databases = [{ database: target, recordAs: { path: 'app.db' } }];
    const { name, taking } = request();
    await alone.call('keepBaseline', { name, databases, replace: false, taking });
    alone.asked.length = 0;
    editor = new ResidentClient({ entry: workerEntry });
    await editor.call('listCheckpoints', { checkpoints: undefined });
    pid = readAddress()?.pid ?? 0;
    first = new ResidentFirst(alone, { entry: workerEntry });
  });
  afterEach(async () => {
    editor.dispose();
    first.dispose();
    // Zero would be this process and all beside it.
    if (pid === 0) return;
    if (isAlive(pid)) process.kill(pid, 'SIGKILL');
    await waitUntil(() => !isAlive(pid), 'it is gone');
  });

  it('is put back again and again by one process, and what lay there is kept', async () => {
    const worker = warm();
    const kept = new Set<string | undefined>();
    for (const rows of [90, 80, 70]) {
      change(`DELETE FROM items WHERE id > ${rows}`);
      const restored = await restore();
      assert.equal(restored.outcome, 'restored');
      kept.add(restored.kept);
      assert.equal(valueOf(target, count), 100);
    }
    assert.equal(kept.size, 3);
    assert.deepEqual([alone.asked, warm(), left()], [[], worker, []]);
    change('DELETE FROM items');
    const { discarded, kept: none } = await restore({ discard: true });
    assert.deepEqual([discarded, none], [true, undefined]);
  });

  it('is refused with the name of the program that has the database open', async () => {
    const program = await holdOpen(target, 'DELETE FROM items WHERE id > 50');
    await assert.rejects(restore({ discard: true }), /app\.db is open in .*\(pid \d+\)/);
    assert.equal(valueOf(target, count), 50);
    // What a killed program has left in its -wal is kept first.
    await kill(program);
    const { kept } = await restore();
    assert.equal(valueOf(target, count), 100);
    const path = await editor.call('findCheckpoint', {
      named: kept ?? '',
      checkpoints: folder('cp'),
    });
    assert.equal(valueOf(path, count), 50);
    await assert.rejects(restore({ name: 'none' }), { code: 'source-missing' });
    assert.deepEqual(alone.asked, []);
  });

  it('is the way of the command line too, and by itself where another one sees other files', async () => {
    const cli = (...args: string[]): ReturnType<typeof runCli> =>
      runCli(['restore', '--baseline', 'seeded', target, '--yes', '--json', ...args], {
        env: { SQLITE_BACKUP_CHECKPOINTS: folder('cp') },
      });
    change('DELETE FROM items');
    const before = childrenOf(warm()).length;
    assert.equal((await cli()).code, 0);
    assert.equal(valueOf(target, count), 100);
    // It keeps a process ready for the next one; the one with the lock may still be ending.
    await waitUntil(() => childrenOf(warm()).length === before + 1, 'one is ready');
    process.kill(pid, 'SIGSTOP');
    const address = JSON.parse(readFileSync(addressPath(), 'utf8')) as object;
    writeFileSync(addressPath(), JSON.stringify({ ...address, world: 'another' }));
    change('DELETE FROM items');
    const { code, stderr } = await cli('--discard');
    assert.equal(code, 0, stderr);
    assert.equal(valueOf(target, count), 100);
    process.kill(pid, 'SIGCONT');
  });

  it('is not done when it is cancelled, before it begins and until it replaces', async () => {
    process.kill(warm(), 'SIGSTOP');
    change('DELETE FROM items');
    const abort = new AbortController();
    const begun = editor.call('restoreBaseline', request(), { signal: abort.signal });
    const waiting = editor.call('restoreBaseline', request(), { signal: abort.signal });
    // All that was asked before is heard by now.
    await assert.rejects(editor.call('countRows', ask(target), { beginWithinMs: 1 }), {
      code: 'deadline',
    });
    abort.abort();
    await assert.rejects(waiting, { code: 'cancelled' });
    process.kill(warm(), 'SIGCONT');
    await assert.rejects(begun, { code: 'cancelled' });
    assert.equal(valueOf(target, count), 0);
    assert.deepEqual(left(), []);
    assert.equal((await restore()).outcome, 'restored');
  });

  it('is not done for one that has ended meanwhile', async () => {
    process.kill(warm(), 'SIGSTOP');
    change('DELETE FROM items');
    const { socket, token } = readAddress() ?? { socket: '', token: '' };
    const open = (): number => readdirSync(`/proc/${pid}/fd`).length;
    const before = open();
    const gone = createConnection(socket);
    await waitUntil(() => open() > before, 'it is heard', 20_000);
    const params = request({ discard: true });
    for (const line of [{ token }, { id: 1, method: 'restoreBaseline', params }])
      gone.write(`${JSON.stringify(line)}\n`);
    gone.end();
    await waitUntil(() => open() === before, 'it is gone', 20_000);
    process.kill(warm(), 'SIGCONT');
    // Its turn was before this one's.
    const rows = await editor.call('countRows', ask(target));
    assert.equal(rows.tables[0]?.rows, 0);
    assert.deepEqual(left(), []);
  });

  it('leaves nothing half-made when that process is killed, and the next one does it', async () => {
    const worker = warm();
    process.kill(worker, 'SIGSTOP');
    change('DELETE FROM items');
    const restoring = editor.call('restoreBaseline', request());
    await assert.rejects(editor.call('countRows', ask(target), { beginWithinMs: 1 }), {
      code: 'deadline',
    });
    mkdirSync(privateFolderPath(folder('work'), newWorkId().replace(/-\d+-/, `-${worker}-`)));
    process.kill(worker, 'SIGKILL');
    await assert.rejects(restoring, { code: 'worker-died' });
    assert.deepEqual(left(), []);
    assert.equal((await restore()).outcome, 'restored');
    assert.equal(valueOf(target, count), 100);
  });
});

const ask = (database: string): { database: string; busyTimeoutMs: number } => ({
  ...{ database, busyTimeoutMs: 1000 },
});
