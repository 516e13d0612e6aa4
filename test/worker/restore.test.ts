import assert from 'node:assert/strict';
import { WorkerClient } from '../../src/worker/client.ts';
import {
  bytesOf,
  createDatabase,
  slowToCheckSql,
  snapshot,
  valueOf,
  withDatabase,
} from '../support/databases.ts';
import { bundleOf } from '../support/bundles.ts';
import { workerEntry } from '../support/processes.ts';
import { applyRequest, leftoversIn, setAsidesIn } from '../support/restores.ts';
import { useTempFolder } from '../support/tempFolders.ts';
import { itInPart } from '../support/operations.ts';

const count = 'SELECT count(*) FROM items';

describe('a restore in a worker', () => {
  const folder = useTempFolder();
  const worker = new WorkerClient({ entry: workerEntry });
  let live = '';
  let backup = '';

  beforeEach(async () => {
    live = createDatabase(folder('app.db'), { journalMode: 'wal' });
    backup = (await snapshot(live)).path;
    withDatabase(live, (db) => db.exec("INSERT INTO items (name) VALUES ('x')"));
  });

  itInPart('goes through its steps, each with its phases', async () => {
    const request = applyRequest(backup, live);
    const [state = ''] = await worker.call('liveStates', { paths: [live] });
    const { items } = await worker.call('planRestore', request);
    assert.equal(items[0]?.liveState, state);
    assert.equal(items[0].tables[0]?.lost, 1);
    assert.deepEqual((await worker.call('holders', { paths: [live] })).holders, []);
    const moved = await worker.call('moveAside', request);
    assert.equal((await worker.call('findInterrupted', { in: folder() })).length, 1);
    const phases = new Set<string>();
    const restored = await worker.call(
      'putInPlace',
      { intent: moved.intent },
      { onProgress: ({ phase }) => phases.add(phase) },
    );
    assert.equal(restored.items[0]?.verified, 'ok');
    assert.ok(phases.has('stage'), [...phases].join());
    const [proof] = await worker.call('proveRestored', request);
    assert.equal(proof?.status, 'ok');
    const [kept] = await worker.call('listSetAsides', { in: live });
    const undone = await worker.call('undoRestore', {
      setAside: kept?.path ?? '',
      toolVersion: '0',
    });
    assert.equal(valueOf(live, count), 101);
    await worker.call('deleteSetAside', { path: undone.setAside ?? '' });
    assert.deepEqual(setAsidesIn(folder()), []);
  });

  it('goes from a member of a bundle, and archives what it kept', async () => {
    const { path } = await bundleOf([live]);
    withDatabase(live, (db) => db.exec('CREATE TABLE extra (a)'));
    const schemas = [
      await worker.call('schema', { path: live }),
      await worker.call('schema', { path, member: 'app.db' }),
    ];
    assert.deepEqual(
      schemas.map((schema) => schema.includes('CREATE TABLE extra')),
      [true, false],
    );
    const missing = worker.call('schema', { path, member: 'none.db' });
    await assert.rejects(missing, { code: 'bad-name' });
    const request = applyRequest(path, live, { items: [{ target: live, member: 'app.db' }] });
    const { items } = await worker.call('applyRestore', request);
    assert.equal(items[0]?.verified, 'ok');
    const kept = { path: items[0].setAside ?? '', folder: folder('archive') };
    const { archive, removed } = await worker.call('archiveSetAside', kept);
    assert.equal(removed[0], kept.path);
    assert.equal((await worker.call('members', { path: archive }))[0]?.name, 'app.db');
    assert.deepEqual(setAsidesIn(folder()), []);
  });

  it('is cancelled while it proves, at once, and leaves nothing beside the database', async () => {
    const slow = createDatabase(folder('slow.db'));
    withDatabase(slow, (db) => db.unsafeMode().exec(slowToCheckSql));
    const before = bytesOf(live);
    const cancel = new AbortController();
    const startedAt = performance.now();
    await assert.rejects(
      worker.call('applyRestore', applyRequest(slow, live, { acceptUnproved: true }), {
        signal: cancel.signal,
        onProgress: ({ phase }) => phase === 'check' && cancel.abort(),
      }),
      { code: 'cancelled' },
    );
    assert.ok(performance.now() - startedAt < 5000);
    assert.deepEqual(bytesOf(live), before);
    assert.deepEqual(leftoversIn(folder()), []);
    assert.deepEqual(setAsidesIn(folder()), []);
  });

  it('is not cancelled any more once all is proved', async () => {
    const cancel = new AbortController();
    const restored = await worker.call('applyRestore', applyRequest(backup, live), {
      signal: cancel.signal,
      onProgress: ({ phase }) => phase === 'move' && cancel.abort(),
    });
    assert.equal(restored.items.length, 1);
    assert.equal(valueOf(live, count), 100);
  });
});
