import assert from 'node:assert/strict';
import { copyFileSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { findLosses } from '../../src/core/manifest/loss.ts';
import type { TableFacts } from '../../src/core/manifest/manifest.ts';
import { stateOf } from '../../src/editor/protection/liveState.ts';
import { Watched } from '../../src/editor/protection/watched.ts';
import { ResidentClient } from '../../src/worker/residentClient.ts';
import { readAddress } from '../../src/worker/residentProtocol.ts';
import { useDataFolder } from '../support/dataFolders.ts';
import { createDatabase } from '../support/databases.ts';
import { isThorough } from '../support/operations.ts';
import { isAlive, waitUntil, workerEntry } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const measuredMs = 125_000;
const ticksOfASecond = 100;

/** Milliseconds of processor time that a process and its children have used. */
function cpuOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const own = ((Number(fields[11]) + Number(fields[12])) * 1000) / ticksOfASecond;
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return children.split(' ').reduce((sum, one) => sum + (one === '' ? 0 : cpuOf(Number(one))), own);
}

describe('the loss alarm', function () {
  const folder = useTempFolder();
  useDataFolder(() => folder('data'));

  it('takes less than a hundredth of a core over ten databases of 100 MB, three of them written each second', async function () {
    if (!isThorough || process.platform !== 'linux') this.skip(); // It takes minutes, and reads /proc.
    this.timeout(600_000);
    const first = createDatabase(folder('0.db'), {
      journalMode: 'wal',
      sql: `CREATE TABLE t (id INTEGER PRIMARY KEY, text BLOB); WITH RECURSIVE n(i) AS
        (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) INSERT INTO t SELECT i, zeroblob(950) FROM n`,
    });
    const paths = Array.from({ length: 10 }, (_none, index) => folder(`${index}.db`));
    for (const path of paths.slice(1)) copyFileSync(first, path);
    const client = new ResidentClient({ entry: workerEntry });
    const watched = new Map(paths.map((path) => [path, new Watched()]));
    const known = new Map<string, TableFacts[]>();
    let counts = 0;
    /** As the alarm looks, once a second. */
    const look = async (): Promise<void> => {
      for (const [path, one] of watched) {
        const state = await stateOf(path);
        if (!one.isDue({ state: state?.text, at: Date.now() })) continue;
        one.settle(state?.text);
        const { tables } = await client.call('countRows', { database: path, busyTimeoutMs: 1000 });
        assert.deepEqual(findLosses({ tables: known.get(path) }, { tables }), []);
        known.set(path, tables);
        counts += 1;
      }
    };
    // Programs that write once a second have their database open all the time.
    const writers = paths.slice(0, 3).map((path) => new Database(path));
    const write = (): void => {
      for (const db of writers) db.exec("INSERT INTO t (text) VALUES ('x')");
    };
    try {
      while (known.size < paths.length) {
        await look();
        await sleep(1000);
      }
      const pid = readAddress()?.pid ?? 0;
      let own = 0;
      counts = 0;
      const startedAt = performance.now();
      const before = cpuOf(pid);
      while (performance.now() - startedAt < measuredMs) {
        write();
        const cpu = process.cpuUsage();
        await look();
        const { user, system } = process.cpuUsage(cpu);
        own += (user + system) / 1000;
        await sleep(1000);
      }
      const share = (own + cpuOf(pid) - before) / (performance.now() - startedAt);
      console.log(`    ${(share * 100).toFixed(2)} % of a core, ${counts} counts`);
      assert.ok(counts >= 3, 'a steady writer is counted all the same');
      assert.ok(share < 0.01, `${(share * 100).toFixed(2)} % of a core`);
    } finally {
      for (const db of writers) db.close();
      const pid = readAddress()?.pid;
      client.dispose();
      // It would stay for as long as it does for a person.
      if (pid !== undefined) process.kill(pid);
      if (pid !== undefined) await waitUntil(() => !isAlive(pid), 'it has ended');
    }
  });
});
