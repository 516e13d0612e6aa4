import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readdirSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import Database from 'better-sqlite3';
import { PinWatch, requireHeldDuring } from '../../src/core/snapshot/pinWatch.ts';
import { inspectSource } from '../../src/core/snapshot/source.ts';
import { verifySnapshot } from '../../src/core/verify/verifySnapshot.ts';
import { createDatabase, itemsSql, snapshot, valueOf, writeBytes } from '../support/databases.ts';
import {
  endAfterEach,
  endProcessesAfterEach,
  holdOpen,
  kill,
  waitUntil,
} from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

/** As a program would that does not see our locks: another process changes bytes of the files. */
function writeUnlocked(...writes: [path: string, at: number, bytes: number[]][]): void {
  const script = `const fs = require('node:fs');
    for (const [path, at, bytes] of JSON.parse(process.argv[1])) {
      const handle = fs.openSync(path, 'r+');
      fs.writeSync(handle, Buffer.from(bytes), 0, bytes.length, at);
      fs.closeSync(handle);
    }`;
  execFileSync(process.execPath, ['-e', script, JSON.stringify(writes)]);
}

const salts = 16;
const newSalts = [1, 2, 3, 4, 5, 6, 7, 8];

describe('a program that does not see the lock of a backup', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();

  const backUpDuring = (live: string, method: 'exact' | 'compact', change: () => void) => {
    let done = false;
    return snapshot(
      live,
      { method, verify: false },
      {
        onProgress: ({ phase }) => {
          if (phase !== 'copy' || done) return;
          done = true;
          change();
        },
      },
    );
  };
  const isRefused = async (taken: Promise<unknown>): Promise<void> => {
    await assert.rejects(taken, (error: { code: string; facts: unknown; message: string }) => {
      assert.deepEqual([error.code, error.facts], ['incomplete', { reason: 'lock-ignored' }]);
      assert.match(error.message, /app\.db was written to while it was locked/);
      return true;
    });
    assert.deepEqual(existsSync(folder('backups')) ? readdirSync(folder('backups')) : [], []);
  };

  it('fails a backup in rollback mode when it writes to the database meanwhile', async () => {
    const live = createDatabase(folder('app.db'), { rows: 30_000 });
    await isRefused(backUpDuring(live, 'exact', () => writeUnlocked([live, 6000, [1]])));
  });

  it('fails a compact backup in rollback mode when it writes to the database meanwhile', async () => {
    const live = createDatabase(folder('app.db'), { rows: 5000 });
    const ready = folder('ready');
    // The same byte again and again: nothing is damaged, and no moment is without a write.
    const script = `const fs = require('node:fs');
      const [path, ready] = process.argv.slice(1);
      const handle = fs.openSync(path, 'r+');
      const byte = Buffer.alloc(1);
      fs.readSync(handle, byte, 0, 1, 6000);
      for (let n = 0; ; n++) {
        fs.writeSync(handle, byte, 0, 1, 6000);
        if (n === 100) fs.writeFileSync(ready, '');
      }`;
    const child = spawn(process.execPath, ['-e', script, live, ready], { stdio: 'ignore' });
    endAfterEach(child);
    await waitUntil(() => existsSync(ready), 'the program writes');
    // The program writes in each compacting, unless the system lets it rest for that long.
    const tries: unknown[] = [];
    while (tries.length < 10 && !tries.includes('incomplete')) {
      const taken = await snapshot(live, { method: 'compact' }).catch((error: unknown) => error);
      tries.push(taken instanceof Error ? Reflect.get(taken, 'code') : 'taken');
    }
    assert.equal(tries.at(-1), 'incomplete', tries.join());
    await kill(child);
    const { manifest } = await snapshot(live, { method: 'compact' });
    assert.equal(manifest.verdict.status, 'ok');
  });

  it('fails what holds the database when it writes during each run, and a write between two locks is no reason', () => {
    const live = createDatabase(folder('app.db'), { rows: 5000 });
    const source = inspectSource(live, 1e12);
    const newWatch = (): PinWatch => new PinWatch(source, { facts: undefined, byHand: undefined });
    const copy = writeBytes(folder('copy.db'), '');
    const runs = (writes: number): number => {
      let n = 0;
      const run = (): void => {
        assert.equal(statSync(copy).size, 0);
        writeFileSync(copy, 'copied');
        if (n++ < writes) writeUnlocked([live, 6000, [n]]);
      };
      requireHeldDuring(run, copy, newWatch);
      truncateSync(copy);
      return n;
    };
    assert.deepEqual([runs(0), runs(1), runs(2)], [1, 2, 3]);
    assert.throws(() => runs(3), { code: 'incomplete', facts: { reason: 'lock-ignored' } });
  });

  it('fails a backup in WAL mode when it begins the WAL anew and writes to the database', async () => {
    const live = createDatabase(folder('app.db'), { journalMode: 'wal', rows: 30_000 });
    await holdOpen(live, 'PRAGMA wal_autocheckpoint = 0', 'DELETE FROM items WHERE id = 1');
    await isRefused(
      backUpDuring(live, 'exact', () =>
        writeUnlocked([live, 6000, [1]], [`${live}-wal`, salts, newSalts]),
      ),
    );
  });

  it('fails a backup in WAL mode when it writes to the database while the WAL is empty', async () => {
    const live = createDatabase(folder('app.db'), { journalMode: 'wal', rows: 30_000 });
    await isRefused(backUpDuring(live, 'exact', () => writeUnlocked([live, 6000, [1]])));
  });

  it('is none when it only moves pages from the WAL to the database, as a checkpoint may', async () => {
    const live = createDatabase(folder('app.db'), { journalMode: 'wal', rows: 30_000 });
    await holdOpen(
      live,
      'PRAGMA wal_autocheckpoint = 0',
      itemsSql(2000).replaceAll('items', 'more'),
    );
    const checkpoint = `import('better-sqlite3').then(({ default: Database }) => {
      const db = new Database(process.argv[1]);
      db.pragma('wal_checkpoint(passive)');
      process.exit(0);
    })`;
    const { path } = await backUpDuring(live, 'exact', () =>
      execFileSync(process.execPath, ['-e', checkpoint, live], { cwd: process.cwd() }),
    );
    assert.ok(existsSync(path));
  });

  for (const mode of ['wal', 'delete'] as const) {
    it(`is none when it vacuums, or asks for another page size or journal mode (${mode})`, async () => {
      const live = createDatabase(folder('app.db'), { journalMode: mode, rows: 30_000 });
      const script = `import('better-sqlite3').then(({ default: Database }) => {
        const db = new Database(process.argv[1], { timeout: 50 });
        for (const sql of ['VACUUM', 'PRAGMA page_size = 8192', 'VACUUM', 'PRAGMA journal_mode = truncate',
          'PRAGMA journal_mode = wal', 'DELETE FROM items WHERE id > 10']) {
          try { db.exec(sql); } catch (error) { if (!/^SQLITE_BUSY/.test(error.code)) throw error; }
        }
        process.exit(0);
      })`;
      const { path } = await backUpDuring(live, 'exact', () =>
        execFileSync(process.execPath, ['-e', script, live], { cwd: process.cwd() }),
      );
      assert.equal(valueOf(path, 'SELECT count(*) FROM items'), 30_000);
      assert.equal(verifySnapshot(path, () => undefined).status, 'ok');
    });
  }
});

describe('a write to a database since the first look at it', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();
  const isWritten = (live: string, between: () => void): boolean => {
    const source = inspectSource(live, 1e12);
    between();
    return new PinWatch(source, { facts: undefined, byHand: undefined }).isWritten;
  };
  const commit = "UPDATE items SET name = 'new' WHERE id = 1";

  it('is noticed as soon as the database is held', () => {
    const live = createDatabase(folder('app.db'), { journalMode: 'wal' });
    const program = new Database(live);
    try {
      assert.equal(
        isWritten(live, () => program.exec(commit)),
        true,
        'the first commit',
      );
      assert.equal(
        isWritten(live, () => undefined),
        false,
        'no commit',
      );
      assert.equal(
        isWritten(live, () => program.exec(commit)),
        true,
        'another one',
      );
      program.pragma('wal_checkpoint(TRUNCATE)');
      assert.equal(
        isWritten(live, () => program.exec('SELECT 1 FROM items')),
        false,
        'it reads',
      );
    } finally {
      program.close();
    }
  });

  it('is not assumed when a program opens the database, or ends', () => {
    const live = createDatabase(folder('app.db'), { journalMode: 'wal' });
    const open = (): Database.Database => {
      const program = new Database(live);
      program.exec('SELECT 1 FROM items');
      return program;
    };
    let program: Database.Database | undefined;
    assert.equal(
      isWritten(live, () => (program = open())),
      false,
      'it has opened it',
    );
    program?.exec(commit);
    assert.equal(
      isWritten(live, () => program?.close()),
      false,
      'it has ended',
    );
  });
});
