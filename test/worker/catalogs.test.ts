import assert from 'node:assert/strict';
import { readdirSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { remarkOn } from '../../src/core/catalog/keeping.ts';
import { Catalogs } from '../../src/editor/catalogs.ts';
import { WorkerClient } from '../../src/worker/client.ts';
import type { Method, Params, Result } from '../../src/worker/protocol.ts';
import { createDatabase, snapshot } from '../support/databases.ts';
import { workerEntry } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';
import { itInPart } from '../support/operations.ts';

class CountingClient extends WorkerClient {
  calls = 0;

  override call<M extends Method>(method: M, params: Params<M>): Promise<Result<M>> {
    this.calls++;
    return super.call(method, params);
  }
}

describe('what a window remembers of a backups folder', () => {
  const folder = useTempFolder();
  const errors: unknown[] = [];
  const worker = new CountingClient({ entry: workerEntry });
  const catalogs = (): Catalogs =>
    new Catalogs(worker, { error: (_text, error) => errors.push(error) });
  let backup = '';

  beforeEach(async () => {
    backup = (await snapshot(createDatabase(folder('app.db')))).path;
    writeFileSync(folder('backups/notes.txt'), 'of somebody else');
    errors.length = 0;
    worker.calls = 0;
  });

  it('is given without a process when nothing has changed', async () => {
    const remembered = catalogs();
    const first = await remembered.list(folder('backups'));
    assert.deepEqual(
      first.map(({ path }) => path),
      [backup],
    );
    assert.equal(await remembered.list(folder('backups')), first);
    assert.equal(worker.calls, 1);
  });

  it('follows every change in the folder', async () => {
    const remembered = catalogs();
    await remembered.list(folder('backups'));
    const changes: [string, () => unknown][] = [
      ['a remark, in another manifest', () => remarkOn(backup, { pinned: true })],
      ['a new backup', () => snapshot(folder('app.db'))],
      ['a file of others', () => writeFileSync(folder('backups/more.txt'), 'more')],
      ['a file that is cut off where it is', () => truncateSync(backup, 4096)],
      ['another name', () => renameSync(`${backup}.json`, `${backup}.moved`)],
      ['a file that goes', () => rmSync(backup)],
    ];
    for (const [what, change] of changes) {
      await change();
      worker.calls = 0;
      const listed = await remembered.list(folder('backups'));
      assert.equal(worker.calls, 1, what);
      assert.deepEqual(listed, await catalogs().list(folder('backups')), what);
    }
    assert.deepEqual(errors, []);
  });

  itInPart('follows a change of any of the files, where they are many', async () => {
    const others = Array.from({ length: 1500 }, (_, n) => folder(`backups/${n}.txt`));
    for (const path of others) writeFileSync(path, '');
    const inOrder = readdirSync(folder('backups')).filter((name) => name.endsWith('.txt'));
    const remembered = catalogs();
    await remembered.list(folder('backups'));
    for (const index of [0, 255, 256, 1279, 1280, -1]) {
      worker.calls = 0;
      await remembered.list(folder('backups'));
      writeFileSync(folder('backups', inOrder.at(index) ?? ''), String(index));
      await remembered.list(folder('backups'));
      assert.equal(worker.calls, 1, String(index));
    }
  });

  it('is nothing while the folder is gone or is none, and comes back with it', async () => {
    const remembered = catalogs();
    const first = await remembered.list(folder('backups'));
    renameSync(folder('backups'), folder('aside'));
    assert.deepEqual(await remembered.list(folder('backups')), []);
    writeFileSync(folder('backups'), '');
    assert.deepEqual(await remembered.list(folder('backups')), []);
    assert.equal(errors.length, 1);
    assert.equal(
      remembered.problemOf(folder('backups')),
      `${folder('backups')} is not a folder.`,
      'a person reads it where the backups would be',
    );
    rmSync(folder('backups'));
    renameSync(folder('aside'), folder('backups'));
    assert.deepEqual(await remembered.list(folder('backups')), first);
    assert.equal(remembered.problemOf(folder('backups')), undefined);
  });
});
