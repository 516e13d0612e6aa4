import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import type { CheckpointRequest, Checkpoints } from '../../src/core/checkpoint/checkpoint.ts';
import { isBackupError } from '../../src/core/errors.ts';
import { editManifest } from '../../src/core/manifest/manifestFile.ts';
import { ResidentClient } from '../../src/worker/residentClient.ts';
import { type Address, readAddress } from '../../src/worker/residentProtocol.ts';
import { useDataFolder } from '../support/dataFolders.ts';
import { createDatabase, withDatabase } from '../support/databases.ts';
import {
  endProcessesAfterEach,
  holdOpen,
  isAlive,
  waitUntil,
  workerEntry,
} from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

/** Also of one that is reset. */
function closeOf(socket: Socket): Promise<void> {
  socket.on('error', () => undefined);
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

describe('the resident worker', function () {
  this.timeout(60_000);
  endProcessesAfterEach();
  const folder = useTempFolder();
  useDataFolder(() => folder('data'));
  const clients: ResidentClient[] = [];
  const seen = new Set<number>();

  const newClient = (idleMs = 60_000): ResidentClient => {
    const client = new ResidentClient({ entry: workerEntry, idleMs });
    clients.push(client);
    return client;
  };
  const address = (): Address => {
    const found = readAddress();
    assert.ok(found);
    seen.add(found.pid);
    return found;
  };
  const request = (...names: string[]): CheckpointRequest => ({
    databases: names.map((name) => ({ database: folder(name), recordAs: { path: name } })),
    ...{ cause: { kind: 'manual' }, trigger: 'manual', force: false },
    ...{ busyTimeoutMs: 1000, largestBytes: 1e9, largestTotalBytes: 1e9, toolVersion: '0' },
  });
  const take = async (client: ResidentClient, ...names: string[]): Promise<Checkpoints> => {
    const result = await client.call('checkpoint', request(...names));
    address();
    return result;
  };
  const change = (name: string): void =>
    withDatabase(folder(name), (db) => {
      db.exec("UPDATE items SET name = name || 'x' WHERE id = 1");
    });
  const childrenOf = (pid: number): number[] =>
    readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number);
  const loadsSqlite = (pid: number): boolean =>
    readFileSync(`/proc/${pid}/maps`, 'utf8').includes('.node\n');

  beforeEach(() => void createDatabase(folder('app.db'), { rows: 100 }));
  afterEach(async () => {
    for (const client of clients.splice(0)) client.dispose();
    for (const pid of seen) {
      if (isAlive(pid)) process.kill(pid, 'SIGKILL');
      await waitUntil(() => !isAlive(pid), 'it is gone');
    }
    seen.clear();
  });

  it('speaks with nobody who has not its token, and belongs to this user alone', async () => {
    await take(newClient(), 'app.db');
    const { socket, token } = address();
    for (const path of [socket, folder('data/sqlite-backup/runtime/resident.json')])
      assert.equal(statSync(path).mode & 0o777, 0o600);
    for (const first of [
      JSON.stringify({ token: token.replace(/^./, (one) => (one === '0' ? '1' : '0')) }),
      JSON.stringify({ id: 1, method: 'listCheckpoints', params: {} }),
      'x'.repeat(2_000_000),
    ]) {
      const stranger = createConnection(socket);
      let heard = '';
      stranger.setEncoding('utf8').on('data', (text: string) => (heard += text));
      stranger.write(`${first}\n{"id":1,"method":"listCheckpoints","params":{}}\n`);
      await closeOf(stranger);
      assert.equal(heard, '');
    }
    // It serves the others all the same, but no method that is not for it.
    const known = createConnection(socket);
    known.write(`${JSON.stringify({ token })}\n{"id":1,"method":"remove","params":{}}\n`);
    await closeOf(known);
    assert.equal((await take(newClient(), 'app.db')).unchanged.length, 1);
  });

  it('takes what has changed, tells what has not, and never loads SQLite itself', async () => {
    createDatabase(folder('wal.db'), { journalMode: 'wal' });
    const client = newClient();
    const first = await take(client, 'app.db', 'wal.db', 'no.db');
    assert.deepEqual(
      [first.checkpoints.length, first.failures.map(({ error }) => error.code)],
      [2, ['source-missing']],
    );
    change('app.db');
    const second = await take(client, 'app.db', 'wal.db');
    assert.deepEqual(
      [second.checkpoints.map(({ database }) => database), second.unchanged.length],
      [[folder('app.db')], 1],
    );
    // One that was removed is no state to go back to.
    for (const { path } of second.checkpoints) rmSync(path, { force: true });
    assert.equal((await take(client, 'app.db')).checkpoints.length, 1);
    if (process.platform !== 'linux') return;
    const { pid } = address();
    const [child = 0] = childrenOf(pid);
    assert.deepEqual([loadsSqlite(pid), loadsSqlite(child)], [false, true]);
  });

  it('is one for all that ask', async () => {
    const many = await Promise.all(
      Array.from({ length: 100 }, () => 'app.db').map((name, index) =>
        take(clients[index % 3] ?? newClient(), name),
      ),
    );
    const ids = many.flatMap((one) => [...one.checkpoints, ...one.unchanged].map(({ id }) => id));
    assert.equal(ids.length, 100);
    assert.equal(new Set(ids).size, 1);
  });

  it('is started anew when it was killed, and its child too', async () => {
    const client = newClient();
    await take(client, 'app.db');
    const before = address().pid;
    if (process.platform === 'linux') {
      for (const pid of childrenOf(before)) process.kill(pid, 'SIGKILL');
      change('app.db');
      const outcome = await take(client, 'app.db').then(
        () => 'taken',
        (error: unknown) => isBackupError(error) && error.code,
      );
      assert.ok(outcome === 'taken' || outcome === 'worker-died');
      assert.equal((await take(client, 'app.db')).failures.length, 0);
    }
    process.kill(before, 'SIGKILL');
    await waitUntil(() => !isAlive(before), 'it is gone');
    change('app.db');
    assert.equal((await take(client, 'app.db')).checkpoints.length, 1);
    assert.notEqual(address().pid, before);
    // What the killed one has left is gone.
    assert.equal(
      readdirSync(folder('data/sqlite-backup/runtime')).length,
      process.platform === 'win32' ? 1 : 2,
    );
  });

  it('goes when nothing is asked of it, and leaves nothing', async () => {
    const answered = newClient(300).call('checkpoint', request('app.db'));
    // It may be gone by the time that its answer is read here.
    await waitUntil(() => readAddress() !== undefined, 'it is there');
    const { pid } = address();
    await answered;
    await waitUntil(() => !isAlive(pid), 'it is gone', 20_000);
    assert.deepEqual(readdirSync(folder('data/sqlite-backup/runtime')), []);
  });

  it('proves checkpoints when it is quiet', async () => {
    const { checkpoints } = await take(newClient(), 'app.db');
    const manifest = `${checkpoints[0]?.path}.json`;
    assert.match(readFileSync(manifest, 'utf8'), /"status": ?"unchecked"/);
    await waitUntil(() => /"status": ?"ok"/.test(readFileSync(manifest, 'utf8')), 'proved', 30_000);
  });

  it('takes another one when a check has found the last one damaged', async () => {
    createDatabase(folder('wal.db'), { journalMode: 'wal' });
    // Its -shm tells of commits, so that the first look is enough.
    await holdOpen(folder('wal.db'), 'SELECT 1 FROM items');
    const client = newClient();
    const [first] = (await take(client, 'wal.db')).checkpoints;
    assert.equal((await take(client, 'wal.db')).unchanged[0]?.id, first?.id);
    editManifest(first?.path ?? '', (before) => ({
      ...before,
      verdict: { status: 'damaged', findings: [] },
    }));
    const [second] = (await take(client, 'wal.db')).checkpoints;
    assert.ok(second !== undefined && second.id !== first?.id);
  });

  it('says why it cannot be had', async () => {
    mkdirSync(folder('data'));
    writeFileSync(folder('data/sqlite-backup'), 'a file, where the folder should be');
    await assert.rejects(
      newClient().call('checkpoint', request('app.db')),
      (error) => isBackupError(error) && error.code === 'worker-died',
    );
    assert.equal(existsSync(folder('data/sqlite-backup/runtime')), false);
  });
});
