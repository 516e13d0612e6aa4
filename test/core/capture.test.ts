import assert from 'node:assert/strict';
import fs, {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { parseWalIndex, readWalIndex } from '../../src/core/files/walIndex.ts';
import type { CaptureProcess, Captured, Capturing } from '../../src/core/job.ts';
import { captureFiles, type CaptureOptions } from '../../src/core/snapshot/capture.ts';
import { absorbSiblings } from '../../src/core/sqlite/absorb.ts';
import { captureWith } from '../../src/worker/captureProcess.ts';
import {
  createDatabase,
  createGenerations,
  generationsIn,
  generationsSql,
  snapshot,
  valueOf,
  withDatabase,
} from '../support/databases.ts';
import {
  endProcessesAfterEach,
  fixture,
  holdOpen,
  kill,
  run,
  start,
  workerEntry,
} from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';
import { itWhere } from '../support/operations.ts';

const nextGeneration = `BEGIN;
  UPDATE left SET generation = generation + 1;
  INSERT INTO log SELECT generation, NULL FROM left LIMIT 1;
  UPDATE right SET generation = generation + 1;
  COMMIT;`;
const smallSql = generationsSql.replace('i < 1600', 'i < 60');
const pinned = ['BEGIN', 'SELECT count(*) FROM left'];

describe('a capture by a second process', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();
  let database = '';
  beforeEach(() => {
    database = createGenerations(folder('app.db'), 'wal');
  });

  /** Another program commits, with its own connection, and does not checkpoint but by `more`. */
  const commit = (more = ''): void =>
    withDatabase(
      database,
      (db) => {
        db.pragma('wal_autocheckpoint = 0');
        db.exec(`${nextGeneration} ${more}`);
      },
      { timeout: 0 }, // A checkpoint that has to wait for the pin does what it can.
    );

  /** The part of the second process, in this one: the pin is another process's. */
  const take = async (
    options: CaptureOptions = {},
  ): Promise<Captured & { generations: string }> => {
    const copy = folder('copy.db');
    const wal = readWalIndex(database);
    assert.ok(wal !== undefined);
    const captured = await captureFiles(
      { path: database, copy, wal },
      () => ({ gently: false }),
      options,
    );
    assert.equal(existsSync(`${copy}-wal`), captured.frames > 0);
    if (captured.frames > 0) absorbSiblings(copy, database);
    else withDatabase(copy, (db) => db.pragma('journal_mode = delete'));
    assert.equal(valueOf(copy, 'PRAGMA integrity_check'), 'ok');
    return { ...captured, generations: generationsIn(copy) };
  };

  describe('of the files alone', () => {
    it('has the instant of the pin, though programs commit and checkpoint meanwhile', async () => {
      const keeper = await holdOpen(database, 'PRAGMA wal_autocheckpoint = 0', nextGeneration);
      assert.ok(keeper.pid);
      await holdOpen(database, ...pinned);
      const taken = await take({
        at: (step) => {
          commit('PRAGMA wal_checkpoint(PASSIVE)');
          if (step === 'file') commit('PRAGMA wal_checkpoint(FULL)');
        },
      });
      assert.ok(taken.frames > 0);
      assert.equal(taken.generations, '1');
    });

    for (const mode of ['RESTART', 'TRUNCATE']) {
      it(`needs no frames when the file has all, though the WAL begins anew while it is copied (${mode})`, async () => {
        await holdOpen(
          database,
          'PRAGMA wal_autocheckpoint = 0',
          nextGeneration,
          'PRAGMA wal_checkpoint(PASSIVE)',
        );
        await holdOpen(database, ...pinned);
        assert.ok((readWalIndex(database)?.frames ?? 0) > 0);
        const taken = await take({
          at: (step) => {
            if (step === 'wal') commit(`PRAGMA wal_checkpoint(${mode})`);
          },
        });
        assert.deepEqual([taken.frames, taken.generations], [0, '1']);
      });
    }

    it('needs no frames of a WAL that began anew after its index was read', async () => {
      await holdOpen(
        database,
        'PRAGMA wal_autocheckpoint = 0',
        nextGeneration,
        'PRAGMA wal_checkpoint(PASSIVE)',
      );
      await holdOpen(database, ...pinned);
      const wal = readWalIndex(database);
      assert.ok(wal !== undefined && wal.frames > 0);
      commit();
      const order = { path: database, copy: folder('copy.db'), wal };
      const { frames } = await captureFiles(order, () => ({ gently: false }));
      assert.equal(frames, 0);
      withDatabase(order.copy, (db) => db.pragma('journal_mode = delete'));
      assert.equal(generationsIn(order.copy), '1');
    });

    it('is a mixture without a pin: that is what the pin is for', async () => {
      await holdOpen(database, 'PRAGMA wal_autocheckpoint = 0', 'UPDATE left SET generation = 1');
      const copy = folder('copy.db');
      const wal = readWalIndex(database);
      await captureFiles({ path: database, copy, wal }, () => ({ gently: false }), {
        at: (step) => {
          if (step === 'file') commit('PRAGMA wal_checkpoint(TRUNCATE)');
        },
      });
      absorbSiblings(copy, database);
      // The old pages of one table from the WAL, the new ones of the other from the file: never a state of the database.
      const of = (table: string): unknown => valueOf(copy, `SELECT min(generation) FROM ${table}`);
      assert.deepEqual([of('left'), of('right')], [1, 1]);
    });

    it('has all frames where the system writes less at once than it is given', async () => {
      await holdOpen(database, 'PRAGMA wal_autocheckpoint = 0', nextGeneration);
      await holdOpen(database, ...pinned);
      const { writeSync } = fs;
      fs.writeSync = ((handle: number, bytes: Buffer, from: number, length: number, at: number) =>
        writeSync(handle, bytes, from, Math.ceil(length / 2), at)) as typeof writeSync;
      syncBuiltinESMExports();
      try {
        assert.equal((await take()).generations, '1');
      } finally {
        fs.writeSync = writeSync;
        syncBuiltinESMExports();
      }
    });

    it('leaves nothing when it fails', async () => {
      await holdOpen(database, nextGeneration);
      const order = { path: database, copy: folder('copy.db'), wal: readWalIndex(database) };
      const failing = captureFiles(order, () => {
        throw new Error('stopped');
      });
      await assert.rejects(failing, /stopped/);
      assert.deepEqual(
        [existsSync(folder('copy.db')), existsSync(folder('copy.db-wal'))],
        [false, false],
      );
    });
  });

  describe('reads the index of the WAL', () => {
    for (const pageSize of [512, 4096, 65536]) {
      it(`with pages of ${pageSize} bytes`, async () => {
        const path = createDatabase(folder('paged.db'), {
          journalMode: 'wal',
          pragmas: [`page_size = ${pageSize}`],
          sql: 'CREATE TABLE t (a)',
        });
        await holdOpen(path, 'PRAGMA wal_autocheckpoint = 0', 'INSERT INTO t VALUES (1)');
        const index = readWalIndex(path);
        assert.equal(index?.pageSize, pageSize);
        assert.equal(index.salts, readFileSync(`${path}-wal`).toString('hex', 16, 24));
        assert.equal(statSync(`${path}-wal`).size, 32 + index.frames * (24 + pageSize));
        assert.equal(index.pages, valueOf(path, 'PRAGMA page_count'));
      });
    }

    it('and finds nothing in one that is missing, empty, cut off, of another version or half written', async () => {
      await holdOpen(database, nextGeneration);
      const whole = readFileSync(`${database}-shm`).subarray(0, 96);
      assert.ok(parseWalIndex(whole));
      for (const at of [0, 12, 16, 20, 40, 48, 64]) {
        const changed = Buffer.from(whole);
        changed[at] = (changed[at] ?? 0) ^ 1;
        assert.equal(parseWalIndex(changed), undefined, `byte ${at}`);
      }
      assert.equal(parseWalIndex(whole.subarray(0, 95)), undefined);
      copyFileSync(`${database}-shm`, folder('copy-shm'));
      truncateSync(folder('copy-shm'), 0);
      assert.equal(readWalIndex(folder('copy')), undefined);
      assert.equal(readWalIndex(folder('none')), undefined);
    });
  });

  describe('of a whole snapshot', () => {
    const capturing = captureWith(workerEntry);
    /** Gives a process up that is silent for a moment. */
    const hasty = captureWith(workerEntry, {}, { lookMs: 1500, copyMs: 1500 });
    /** The processes that a snapshot starts; `change` is what a test does to them. */
    const small = (
      change: (one: CaptureProcess) => CaptureProcess = (one) => one,
      by: Pick<Capturing, 'start'> = capturing,
    ): { fewestBytes: number; start: () => CaptureProcess } => ({
      fewestBytes: 0,
      start: () => change(by.start()),
    });

    /** The process that `start` starts gives itself the signal when it has written the first piece of a copy. */
    const withSignalInCopy = (signal: string, start: () => CaptureProcess): CaptureProcess => {
      const before = process.env['NODE_OPTIONS'];
      const code = `import fs from 'node:fs';
        const { writeSync } = fs;
        fs.writeSync = (...args) => {
          const written = writeSync(...args);
          process.kill(process.pid, '${signal}');
          return written;
        };`;
      process.env['NODE_OPTIONS'] = `--import=data:text/javascript,${encodeURIComponent(code)}`;
      try {
        return start();
      } finally {
        if (before === undefined) delete process.env['NODE_OPTIONS'];
        else process.env['NODE_OPTIONS'] = before;
      }
    };

    let notes: string[] = [];
    /** What the log is told goes to `notes`. */
    const noted = (): { onNote: (text: string) => void } => {
      notes = [];
      return { onNote: (text) => void notes.push(text) };
    };

    it('is byte for byte a database that stands alone, in both modes', async () => {
      for (const path of [database, createGenerations(folder('old.db'))]) {
        await holdOpen(path, 'PRAGMA wal_autocheckpoint = 0', nextGeneration);
        const means: string[] = [];
        const { path: copy, manifest } = await snapshot(
          path,
          { verify: true },
          {
            capturing: small((one) => ({
              ...one,
              capture: async (...args) => {
                const captured = await one.capture(...args);
                means.push(captured.means);
                return captured;
              },
            })),
          },
        );
        assert.equal(means.length, 1);
        assert.equal(manifest.verdict.status, 'ok');
        assert.equal(generationsIn(copy), '1');
        assert.equal(statSync(copy).mode & 0o777, 0o600);
        assert.deepEqual(readFileSync(copy).subarray(18, 20), Buffer.from([1, 1]));
      }
    });

    for (const journalMode of ['wal', 'delete'] as const) {
      it(`has its lock from the index to the last byte (${journalMode})`, async function () {
        if (process.platform !== 'linux') this.skip(); // /proc exists there only.
        const path = createGenerations(folder('locked.db'), journalMode);
        if (journalMode === 'wal') await holdOpen(path, nextGeneration);
        const { ino } = statSync(journalMode === 'wal' ? `${path}-shm` : path);
        const samples: boolean[] = [];
        const sample = (): void => {
          const lines = readFileSync('/proc/locks', 'utf8').split('\n');
          const own = lines.map((line) => line.trim().split(/\s+/));
          const isHeld = own.some(
            (fields) =>
              fields[3] === 'READ' &&
              Number(fields[4]) === process.pid &&
              fields[5]?.endsWith(`:${ino}`),
          );
          samples.push(isHeld);
        };
        const looked = small((one) => ({
          ...one,
          // The first question has no paths: it waits for the start, when nothing is held yet.
          readIndexes: (paths) =>
            one.readIndexes(paths).finally(paths.length > 0 ? sample : undefined),
          capture: (order, onStep) => {
            const step: typeof onStep = (done) => {
              sample();
              return onStep(done);
            };
            return one.capture(order, step).finally(sample);
          },
        }));
        await snapshot(path, {}, { capturing: looked });
        assert.ok(samples.length >= 4, `${samples.length} samples`);
        assert.ok(samples.every(Boolean), samples.join());
      });
    }

    it('is whole when a checkpoint makes the file longer while it is copied', async () => {
      const more = 'CREATE TABLE more AS SELECT randomblob(500000) AS data';
      await holdOpen(database, 'PRAGMA wal_autocheckpoint = 0', nextGeneration, more);
      await holdOpen(database, ...pinned);
      const { size } = statSync(database);
      const taken = await take({
        at: (step) => {
          if (step === 'copied') commit('PRAGMA wal_checkpoint(PASSIVE)');
        },
      });
      assert.ok(statSync(database).size > size);
      assert.equal(taken.generations, '1');
    });

    it('is taken of a database in WAL mode that is closed, or whose WAL is empty', async () => {
      withDatabase(database, (db) => db.exec(nextGeneration));
      for (const isOpen of [false, true]) {
        if (isOpen) await holdOpen(database, nextGeneration, 'PRAGMA wal_checkpoint(TRUNCATE)');
        const hooks = { ...noted(), capturing: small() };
        const { path: copy, manifest } = await snapshot(database, {}, hooks);
        assert.deepEqual([manifest.verdict.status, notes], ['ok', []]);
        assert.equal(generationsIn(copy), isOpen ? '2' : '1');
      }
    });

    it('is whole with a WAL that is larger than the database', async () => {
      const path = createDatabase(folder('small.db'), { journalMode: 'wal', sql: smallSql });
      const rewrite = 'UPDATE filler SET data = randomblob(8000);';
      await holdOpen(path, 'PRAGMA wal_autocheckpoint = 0', rewrite.repeat(5), nextGeneration);
      assert.ok(statSync(`${path}-wal`).size > 4 * statSync(path).size);
      const { path: copy, manifest } = await snapshot(path, {}, { ...noted(), capturing: small() });
      assert.deepEqual([manifest.verdict.status, notes], ['ok', []]);
      assert.equal(generationsIn(copy), '1');
    });

    for (const [what, damage] of [
      ['missing', (shm: string): void => rmSync(shm)],
      ['empty', (shm: string): void => truncateSync(shm, 0)],
      ['of before the last commits', (shm: string): void => copyFileSync(folder('early-shm'), shm)],
      ['full of other bytes', (shm: string): void => writeFileSync(shm, Buffer.alloc(32768, 7))],
    ] as const) {
      it(`has all commits of a program that was killed when the -shm is ${what}`, async () => {
        const path = createDatabase(folder('small.db'), { journalMode: 'wal', sql: smallSql });
        const keepFrames = 'PRAGMA wal_autocheckpoint = 0';
        const keeper = await holdOpen(path, keepFrames, nextGeneration);
        copyFileSync(`${path}-shm`, folder('early-shm'));
        const writer = await holdOpen(path, keepFrames, nextGeneration);
        await Promise.all([keeper, writer].map(kill));
        damage(`${path}-shm`);
        const { path: copy } = await snapshot(path, {}, { ...noted(), capturing: small() });
        assert.deepEqual([generationsIn(copy), notes], ['2', []]);
      });
    }

    it('is none when the file is cut off while it is held', async () => {
      for (const at of ['before', 'while'] as const) {
        const path = createGenerations(folder(`${at}.db`));
        const half = statSync(path).size / 2;
        const cutting = small((one) => ({
          ...one,
          capture: async (order, onStep) => {
            if (at === 'before') truncateSync(path, half);
            const captured = await one.capture(order, onStep);
            if (at === 'while') truncateSync(order.copy, half);
            return captured;
          },
        }));
        await assert.rejects(snapshot(path, { folder: folder(at) }, { capturing: cutting }));
        const left = existsSync(folder(at)) ? readdirSync(folder(at)) : [];
        assert.deepEqual(
          left.filter((name) => !/\.suspect(\.json)?$/.test(name)),
          [],
        );
      }
    });

    it('drops what the file has behind its last page', async () => {
      const path = createGenerations(folder('long.db'));
      const { size } = statSync(path);
      truncateSync(path, size + 8192);
      const { path: copy } = await snapshot(path, {}, { capturing: small() });
      assert.equal(statSync(copy).size, size);
    });

    for (const [what, why, change] of [
      [
        'it is killed when it is asked for the index',
        /index of its WAL could not be read/,
        (one: CaptureProcess): CaptureProcess => ({
          ...one,
          readIndexes(paths) {
            if (paths.length > 0) process.kill(one.pid ?? 0, 'SIGKILL');
            return one.readIndexes(paths);
          },
        }),
      ],
      [
        'it is killed while it copies',
        /process that reads the files ended/,
        (one: CaptureProcess): CaptureProcess => one,
      ],
      [
        'it is stopped before anything is held',
        /index of its WAL could not be read/,
        (one: CaptureProcess): CaptureProcess => (process.kill(one.pid ?? 0, 'SIGSTOP'), one),
      ],
      [
        'it is stopped when it is asked for the index',
        /index of its WAL could not be read/,
        (one: CaptureProcess): CaptureProcess => ({
          ...one,
          readIndexes: (paths) => (process.kill(one.pid ?? 0, 'SIGSTOP'), one.readIndexes(paths)),
        }),
      ],
      [
        'it is stopped while it copies',
        /process that reads the files is silent/,
        (one: CaptureProcess): CaptureProcess => one,
      ],
      [
        'the index cannot be understood',
        /index of its WAL could not be read/,
        (one: CaptureProcess): CaptureProcess => ({
          ...one,
          readIndexes: (paths) => Promise.resolve(paths.map(() => undefined)),
        }),
      ],
    ] as const) {
      itWhere(what.endsWith('while it copies'))(
        `is taken by SQLite page by page when ${what}`,
        async () => {
          await holdOpen(database, nextGeneration);
          const signal = what.includes('stopped') ? 'SIGSTOP' : 'SIGKILL';
          const by = what.endsWith('while it copies')
            ? { start: () => withSignalInCopy(signal, hasty.start) }
            : what.includes('stopped')
              ? hasty
              : capturing;
          const hooks = { ...noted(), capturing: small(change, by) };
          const { path: copy, manifest } = await snapshot(database, {}, hooks);
          assert.equal(manifest.verdict.status, 'ok');
          assert.equal(generationsIn(copy), '1');
          assert.equal(notes.length, 1);
          assert.match(notes[0] ?? '', /^SQLite copies .*app\.db page by page, because /);
          assert.match(notes[0] ?? '', why);
        },
      );
    }

    it('is of the file that is held, though another one gets its name meanwhile', async () => {
      for (const path of [database, createGenerations(folder('old.db'))]) {
        await holdOpen(path, 'PRAGMA wal_autocheckpoint = 0', nextGeneration);
        const other = createGenerations(folder('other.db'));
        withDatabase(other, (db) => db.exec(nextGeneration.repeat(5)));
        const replacing = small((one) => ({
          ...one,
          capture: (order, onStep) => (renameSync(other, path), one.capture(order, onStep)),
        }));
        const { path: copy } = await snapshot(path, {}, { capturing: replacing });
        assert.equal(generationsIn(copy), '1');
      }
    });

    it('is not tried with an index of more than the WAL has', async () => {
      await holdOpen(database, 'PRAGMA wal_autocheckpoint = 0', nextGeneration);
      const lying = small((one) => ({
        ...one,
        readIndexes: async (paths) =>
          (await one.readIndexes(paths)).map(
            (index) => index && { ...index, frames: index.frames + 5 },
          ),
      }));
      const { path: copy } = await snapshot(database, {}, { capturing: lying });
      assert.equal(generationsIn(copy), '1');
    });

    for (const journalMode of ['wal', 'delete'] as const) {
      itWhere(journalMode === 'wal')(
        `is of exactly one generation while a program writes without a pause (${journalMode})`,
        async function () {
          this.timeout(120_000);
          const path = createGenerations(folder('busy.db'), journalMode);
          // In rollback mode a copy has to wait for its turn.
          await start('writer.ts', path, journalMode === 'wal' ? '1' : '30');
          // Slow on purpose: many commits fall into each copy.
          const args = [fixture('captures.ts'), '8', '4096', folder('b'), path];
          const { stdout, code } = await run([process.execPath, ...args]);
          assert.equal(code, 0);
          const lines = stdout
            .trim()
            .split('\n')
            .map((line) => JSON.parse(line) as Record<string, unknown>);
          for (const line of lines) {
            assert.match(String(line['generations']), /^\d+$/, JSON.stringify(line));
            assert.deepEqual(
              [line['checks'], line['others'], (line['means'] as string[]).length],
              [['ok'], [], 1],
            );
          }
          assert.equal(lines.length, 8);
        },
      );
    }
  });

  it('writes nothing to the database or its siblings', async () => {
    await holdOpen(database, 'PRAGMA wal_autocheckpoint = 0', nextGeneration);
    const before = [readFileSync(database), readFileSync(`${database}-wal`)];
    writeFileSync(folder('mark'), '');
    await snapshot(database, {}, { capturing: { ...captureWith(workerEntry), fewestBytes: 0 } });
    assert.deepEqual([readFileSync(database), readFileSync(`${database}-wal`)], before);
  });
});
