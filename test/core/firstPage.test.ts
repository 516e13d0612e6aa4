import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, statSync } from 'node:fs';
import { foreseeFirstPage, readFirstPage } from '../../src/core/snapshot/firstPage.ts';
import { sqliteVersion } from '../../src/core/sqlite/driver.ts';
import {
  autoVacuums,
  createDatabase,
  encodings,
  overwrite,
  pageSizes,
  snapshot,
  withDatabase,
  writeBytes,
} from '../support/databases.ts';
import { endProcessesAfterEach, holdOpen, kill } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const growSql = 'CREATE TABLE more (a); INSERT INTO more VALUES (zeroblob(100000))';
const growSql2 = growSql.replaceAll('more', 'again');

describe('the first page of a copy', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();

  async function requireForeseen(path: string, pageSize = 4096): Promise<void> {
    const page = foreseeFirstPage(readFirstPage(path, pageSize), sqliteVersion());
    const { path: copy } = await snapshot(path);
    assert.deepEqual(page, readFileSync(copy).subarray(0, pageSize));
  }

  for (const pageSize of pageSizes) {
    it(`is foreseen, of ${pageSize} bytes`, async () => {
      const pragmas = [`page_size = ${pageSize}`];
      await requireForeseen(createDatabase(folder('app.db'), { pragmas, rows: 50 }), pageSize);
    });
  }

  for (const encoding of encodings) {
    for (const autoVacuum of autoVacuums) {
      it(`is foreseen, ${encoding} with auto_vacuum ${autoVacuum}`, async () => {
        const pragmas = [`encoding = '${encoding}'`, `auto_vacuum = ${autoVacuum}`];
        const path = createDatabase(folder('app.db'), { pragmas, rows: 500 });
        withDatabase(path, (db) =>
          db.exec('DELETE FROM items WHERE id % 2; PRAGMA user_version = 9'),
        );
        await requireForeseen(path);
      });
    }
  }

  it('is foreseen in WAL mode: with nothing in the WAL, with pages in it, and when it began anew', async () => {
    const path = createDatabase(folder('app.db'), { rows: 50, journalMode: 'wal' });
    await requireForeseen(path);
    const inFile = readFirstPage(path, 4096);
    await holdOpen(path, growSql);
    assert.notDeepEqual(readFirstPage(path, 4096), inFile);
    await requireForeseen(path);
    // Shorter than before: what is left behind it is of the earlier use.
    await holdOpen(path, 'PRAGMA wal_checkpoint(full)', 'PRAGMA user_version = 7');
    await requireForeseen(path);
  });

  it('has nothing of a transaction that is not committed, or never will be', async () => {
    const path = createDatabase(folder('app.db'), { rows: 50, journalMode: 'wal' });
    const walBytes = (): number => statSync(`${path}-wal`).size;
    await holdOpen(path, 'PRAGMA user_version = 7');
    const before = walBytes();
    // What does not fit into the cache goes to the WAL before the end of the transaction.
    const writer = await holdOpen(path, 'PRAGMA cache_size = 2', 'BEGIN', growSql, growSql2);
    assert.ok(walBytes() > before);
    await requireForeseen(path);
    await kill(writer);
    await requireForeseen(path);
  });

  it('is an expectation only: what cannot be read is empty, what is cut off is shorter', () => {
    assert.equal(readFirstPage(folder('missing.db'), 4096).length, 0);
    assert.equal(readFirstPage(folder(), 4096).length, 0);
    const path = writeBytes(folder('short.db'), 'SQLite');
    assert.equal(foreseeFirstPage(readFirstPage(path, 4096), '3.1.1').toString(), 'SQLite');
    const good = createDatabase(folder('app.db'), { rows: 5 });
    writeBytes(folder('app.db-wal'), 'no WAL');
    assert.deepEqual(readFirstPage(good, 4096), readFileSync(good).subarray(0, 4096));
    rmSync(`${good}-wal`);
    execFileSync('mkfifo', [`${good}-wal`]);
    assert.deepEqual(readFirstPage(good, 4096), readFileSync(good).subarray(0, 4096));
    overwrite(good, 0, Buffer.alloc(16));
    assert.equal(foreseeFirstPage(readFirstPage(good, 4096), '3.1.1').length, 4096);
  });
});
