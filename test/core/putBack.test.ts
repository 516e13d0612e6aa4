import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { checkpointsFolder, storedIn } from '../../src/core/checkpoint/store.ts';
import type { KeepOut, RestoreHooks } from '../../src/core/job.ts';
import { pause } from '../../src/core/pause.ts';
import { keepBaseline, restoreBaseline } from '../../src/core/states/baseline.ts';
import { keepOutWith } from '../../src/worker/lockProcess.ts';
import { inProcess, takingInto } from '../support/checkpoints.ts';
import { useDataFolder } from '../support/dataFolders.ts';
import { createDatabase, valueOf, withDatabase } from '../support/databases.ts';
import {
  endProcessesAfterEach,
  holdOpen,
  kill,
  needProgram,
  workerEntry,
} from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

/** For the moment between two steps of one call, which nothing can wait in. */
function until(condition: () => boolean): void {
  const endsAt = Date.now() + 20_000;
  while (!condition()) {
    assert.ok(Date.now() < endsAt);
    pause(5);
  }
}

function hasOpen({ pid }: ChildProcess, path: string): boolean {
  const folder = `/proc/${pid}/fd`;
  try {
    return fs
      .readdirSync(folder)
      .some((handle) => fs.statSync(`${folder}/${handle}`).ino === fs.statSync(path).ino);
  } catch {
    return false; // It has just been started.
  }
}

const insert = 'INSERT INTO items (name) VALUES (1)';
const count = 'SELECT count(*) FROM items';

describe('a state that is put back', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();
  useDataFolder(() => folder('data'));
  const real = {
    openSync: fs.openSync,
    readFileSync: fs.readFileSync,
    renameSync: fs.renameSync,
  };
  afterEach(() => {
    Object.assign(fs, real);
    syncBuiltinESMExports();
  });

  /** Lets another program work once, when `live-journal` is looked for: then SQLite is about to open the database. */
  const onceBeforeOpening = (live: string, action: () => void): void => {
    let isDone = false;
    fs.openSync = (path, ...rest) => {
      if (path === `${live}-journal` && !isDone) {
        isDone = true;
        action();
      }
      return real.openSync(path, ...rest);
    };
    syncBuiltinESMExports();
  };

  const taking = (): ReturnType<typeof takingInto> => takingInto(checkpointsFolder(undefined));
  const seeded = async (journalMode: 'wal' | 'delete'): Promise<string> => {
    const live = createDatabase(folder('app.db'), { rows: 10, journalMode });
    const databases = [{ database: live, recordAs: { path: 'app.db' } }];
    const request = { name: 'seeded', databases, replace: false, taking: taking() };
    await keepBaseline(request, inProcess);
    return live;
  };
  const restore = (
    target: string,
    { discard = false, hooks = inProcess } = {},
  ): ReturnType<typeof restoreBaseline> => {
    const items = [{ target, recordAs: { path: 'app.db' } }];
    return restoreBaseline({ name: 'seeded', items, discard, taking: taking() }, hooks);
  };
  /** The rows that each checkpoint has, newest first. */
  const rowsKept = (): unknown[] =>
    storedIn(checkpointsFolder(undefined)).map(({ path }) => valueOf(path, count));

  it('keeps what another program has written just before the -wal is brought in', async () => {
    const live = await seeded('wal');
    await kill(await holdOpen(live, 'PRAGMA wal_autocheckpoint = 0', insert));
    let isArmed = false;
    const hooks: RestoreHooks = {
      ...inProcess,
      beforePublish() {
        if (!isArmed) onceBeforeOpening(live, () => withDatabase(live, (db) => db.exec(insert)));
        isArmed = true;
        return Promise.resolve();
      },
    };
    const { kept } = await restore(live, { hooks });
    assert.equal(valueOf(live, count), 10);
    assert.deepEqual(rowsKept(), [12, 11, 10]);
    assert.equal(kept, storedIn(checkpointsFolder(undefined))[0]?.id);
  });

  for (const journalMode of ['wal', 'delete'] as const)
    it(`goes again when a program has opened the old file just before, and loses nothing of one that opens the new one in that moment (${journalMode})`, async function () {
      if (process.platform !== 'linux') this.skip();
      needProgram('sqlite3', 'sqlite3');
      const live = await seeded(journalMode);
      withDatabase(live, (db) => db.exec(insert));
      const programs: ChildProcess[] = [];
      let hasCome = false;
      fs.renameSync = (from, to) => {
        if (to !== live || hasCome) return real.renameSync(from, to);
        hasCome = true;
        const old = fs.openSync(live, 'r+');
        programs.push(spawn('sleep', ['100'], { stdio: ['ignore', 'ignore', 'ignore', old] }));
        fs.closeSync(old);
        real.renameSync(from, to);
        const second = spawn('sqlite3', [live, '.timeout 20000', insert], { stdio: 'ignore' });
        programs.push(second);
        until(() => hasOpen(second, live));
      };
      syncBuiltinESMExports();
      const hooks = { ...inProcess, keepOut: keepOutWith(workerEntry).keepOut };
      try {
        await assert.rejects(restore(live, { hooks }), { code: 'target-in-use' });
        const [, second] = programs;
        assert.ok(second);
        if (second.exitCode === null) await once(second, 'exit');
        // What it is not told to have failed is there.
        assert.equal(valueOf(live, count), second.exitCode === 0 ? 12 : 11);
        assert.equal(valueOf(live, 'PRAGMA integrity_check'), 'ok');
      } finally {
        for (const one of programs) one.kill('SIGKILL');
      }
      assert.equal((await restore(live)).outcome, 'restored');
      assert.equal(valueOf(live, count), 10);
    });

  it('can be written to at once, though the process with the lock on the old file has not ended yet', async () => {
    const live = await seeded('wal');
    withDatabase(live, (db) => db.exec(insert));
    let letGo = (): Promise<void> => Promise.resolve();
    const keepOut: KeepOut = async (paths) => {
      const kept = await keepOutWith(workerEntry).keepOut(paths);
      letGo = kept.letGo;
      return { ...kept, letGo: () => Promise.resolve() };
    };
    try {
      await restore(live, { hooks: { ...inProcess, keepOut } });
      withDatabase(live, (db) => db.exec(`PRAGMA busy_timeout = 0; ${insert}`));
    } finally {
      await letGo();
    }
    assert.equal(valueOf(live, count), 11);
  });

  it('replaces a transaction that a killed program has left only where that may go', async () => {
    const live = await seeded('delete');
    withDatabase(live, (db) => db.exec(insert));
    const spilled = `BEGIN; DELETE FROM items WHERE id < 3;
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
      INSERT INTO items (name) SELECT i FROM n`;
    await kill(await holdOpen(live, 'PRAGMA cache_size = 1', spilled));
    assert.ok(fs.statSync(`${live}-journal`).size > 0);
    await assert.rejects(restore(live), { code: 'hot-journal' });
    assert.ok(fs.statSync(`${live}-journal`).size > 0);
    assert.equal((await restore(live, { discard: true })).discarded, true);
    assert.equal(valueOf(live, count), 10);
    assert.deepEqual(rowsKept(), [10]);
    assert.deepEqual(fs.readdirSync(folder()).sort(), ['app.db', 'data']);
  });

  it('says that a deleted database has left a -wal, and replaces that only where it may go', async () => {
    const live = await seeded('wal');
    await kill(await holdOpen(live, 'PRAGMA wal_autocheckpoint = 0', insert));
    fs.rmSync(live);
    await assert.rejects(restore(live), {
      code: 'name-taken',
      message: /app\.db does not exist, but app\.db-wal is there.*Nothing was replaced\.$/,
    });
    assert.ok(fs.statSync(`${live}-wal`).size > 0);
    await restore(live, { discard: true });
    assert.equal(valueOf(live, count), 10);
  });

  it('says that the checkpoint is gone, when another process removes it meanwhile', async () => {
    const live = await seeded('wal');
    withDatabase(live, (db) => db.exec(insert));
    const hooks: RestoreHooks = {
      ...inProcess,
      keepOut(paths) {
        const { path } = storedIn(checkpointsFolder(undefined)).at(-1) ?? {};
        fs.rmSync(path ?? '');
        return inProcess.keepOut(paths);
      },
    };
    await assert.rejects(restore(live, { hooks }), {
      code: 'incomplete',
      message: /^The checkpoint of .*app\.db no longer exists\.$/,
    });
    assert.equal(valueOf(live, count), 11);
  });

  it('is not said to be missing when the machine has no file handle left for a moment', async () => {
    const live = await seeded('wal');
    withDatabase(live, (db) => db.exec(insert));
    const { readFileSync } = real;
    const failing = (code: string): void => {
      fs.readFileSync = ((path: unknown, ...rest: never[]) => {
        if (typeof path === 'string' && path.endsWith('.json') && path.includes('checkpoints'))
          throw Object.assign(new Error(`${code}: injected`), { code, syscall: 'open' });
        return readFileSync(path as string, ...rest);
      }) as typeof readFileSync;
      syncBuiltinESMExports();
    };
    failing('EMFILE');
    await assert.rejects(restore(live), { code: 'io-error', message: /EMFILE/ });
    // Of a damaged one nothing is known.
    failing('EIO');
    await assert.rejects(restore(live), { code: 'source-missing' });
    Object.assign(fs, real);
    syncBuiltinESMExports();
    assert.equal((await restore(live)).outcome, 'restored');
  });
});
