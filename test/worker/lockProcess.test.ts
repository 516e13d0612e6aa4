import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import Database from 'better-sqlite3';
import { WorkerClient } from '../../src/worker/client.ts';
import { keepOutWith } from '../../src/worker/lockProcess.ts';
import { takingInto } from '../support/checkpoints.ts';
import { createDatabase } from '../support/databases.ts';
import { isAlive, waitUntil, workerEntry } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('the process that keeps other programs out', function () {
  before(function () {
    if (process.platform === 'win32') this.skip(); // An open file is the lock there.
  });
  const folder = useTempFolder();

  it('is ready for the first call, and is a new one for the next', async () => {
    const database = createDatabase(folder('app.db'));
    const { keepOut, warm } = keepOutWith(workerEntry);
    const pids: (number | undefined)[] = [];
    for (let call = 0; call < 3; call++) {
      if (call < 2) warm();
      const { pid, outcomes, letGo } = await keepOut([database]);
      assert.deepEqual(outcomes, ['held']);
      const write = (): void => {
        const db = new Database(database, { timeout: 0 });
        try {
          db.exec("INSERT INTO items (name) VALUES ('of a program')");
        } finally {
          db.close();
        }
      };
      assert.throws(write, { code: 'SQLITE_BUSY' });
      await letGo();
      write();
      pids.push(pid);
    }
    assert.equal(new Set(pids).size, 3);
    assert.ok(pids.every((pid) => pid !== undefined && !isAlive(pid)));
  });

  it('ends when it turns out that nothing has to be locked', async function () {
    if (process.platform !== 'linux') this.skip(); // /proc exists there only.
    const { warm, end } = keepOutWith(workerEntry);
    const before = new Set(lockProcesses());
    warm();
    const ours = (): string[] => lockProcesses().filter((pid) => !before.has(pid));
    await waitUntil(() => ours().length === 1, 'the process is ready');
    end();
    await waitUntil(() => ours().length === 0, 'the process has ended');
  });

  it('ends with its worker where nothing had to be locked, and after a baseline was put back', async function () {
    if (process.platform !== 'linux') this.skip(); // /proc exists there only.
    const database = createDatabase(folder('app.db'));
    const worker = new WorkerClient({ entry: workerEntry });
    const taking = takingInto(folder('checkpoints'));
    const recordAs = { path: 'app.db' };
    const databases = [{ database, recordAs }];
    await worker.call('keepBaseline', { name: 'seed', databases, replace: false, taking });
    const items = [{ target: database, recordAs }];
    // A database that was written a moment ago has no stamp that can be trusted yet.
    for (const expected of ['restored', 'equal']) {
      const request = { name: 'seed', items, discard: true, taking };
      const { outcome } = await worker.call('restoreBaseline', request);
      assert.equal(outcome, expected);
      await waitUntil(() => lockProcesses().length === 0, 'the process has ended');
    }
  });
});

/** Those of this run, as the system lists them. */
function lockProcesses(): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      return environment.includes('SQLITE_BACKUP_LOCKS=1') && command.includes(workerEntry);
    } catch {
      return false; // It has ended by now, or is no process.
    }
  });
}
