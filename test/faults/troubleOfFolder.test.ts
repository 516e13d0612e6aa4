import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import type { Listing } from '../../src/core/catalog/catalog.ts';
import type { Pruned } from '../../src/core/catalog/keeping.ts';
import type { Comparison } from '../../src/core/compare/compare.ts';
import type { PlainError } from '../../src/core/errors.ts';
import { bundleOf } from '../support/bundles.ts';
import { createDatabase, manifestOf, snapshot, withDatabase } from '../support/databases.ts';
import { itInPart, itWhere, operationsOn } from '../support/operations.ts';
import { type Ended, endProcessesAfterEach, needProgram } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';
import { strikeAll, tracedJob } from '../support/troubles.ts';

describe('trouble of the machine, met by', function () {
  this.timeout(process.env['FAULTS'] === 'all' ? 3_600_000 : 120_000);
  endProcessesAfterEach();
  const folder = useTempFolder();

  before(function () {
    if (process.platform !== 'linux') this.skip(); // strace exists there only.
    needProgram('strace', 'strace');
  });

  /** What a lane works in; the names are as long in all of them. */
  const place = (lane: number): string => folder(`lane${lane}`);
  const trace = (lane: number): string => folder(`trace${lane}`);

  const prepare = (lane: number): void => {
    rmSync(place(lane), { recursive: true, force: true });
    cpSync(folder('kept'), place(lane), { recursive: true, preserveTimestamps: true });
    mkdirSync(join(place(lane), 'tmp'));
  };

  const job = (lane: number, params: object, options: string[] = []): Promise<Ended> =>
    tracedJob(trace(lane), 'catalogJob.ts', params, {
      options,
      env: { TMPDIR: join(place(lane), 'tmp') },
    });

  const undisturbed = async <T>(params: object): Promise<T> => {
    prepare(0);
    const { code, stdout, stderr } = await job(0, params);
    assert.equal(code, 0, stdout + stderr);
    return JSON.parse(stdout) as T;
  };

  /** What is wrong with an error, in which nothing may be called damaged. */
  const wrongWith = (ended: Ended): string[] => {
    if (ended.stdout === '') return []; // Node ends itself where it needs what was taken.
    const { code, message } = JSON.parse(ended.stdout) as PlainError;
    const isTrouble = !['corrupt', 'backup-damaged', 'internal'].includes(code);
    return isTrouble && !/damaged/.test(message) ? [] : [ended.stdout];
  };

  describe('a list or a prune', () => {
    /** Of one database: full, full, emptied, emptied. Of another: one. A bundle, and a database of others. */
    const makeBackups = async (): Promise<{ lastFull: string }> => {
      const to = { folder: folder('kept') };
      const database = createDatabase(folder('app.db'), { rows: 50 });
      await snapshot(database, to);
      const { path } = await snapshot(database, to);
      withDatabase(database, (db) => db.exec('DELETE FROM items'));
      await snapshot(database, to);
      const emptied = await snapshot(database, to);
      assert.ok(manifestOf(emptied.path).losses?.length);
      await snapshot(createDatabase(folder('other.db')), to);
      await bundleOf([database], to);
      createDatabase(folder('kept/foreign.db'));
      return { lastFull: path.slice(folder('kept').length + 1) };
    };
    /** By the names of the files. */
    const verdictsOf = ({ entries }: Listing, lane: number): Map<string, Listing['entries'][0]> =>
      new Map(entries.map((entry) => [entry.path.slice(place(lane).length + 1), entry]));

    it('leaves out no backup, and gives none another verdict', async () => {
      await makeBackups();
      const params = (lane: number): object => ({ what: 'list', folder: place(lane) });
      const expected = verdictsOf(await undisturbed<Listing>(params(0)), 0);
      assert.equal(expected.size, 7);
      const operations = operationsOn(place(0), trace(0), { threads: true });
      const strike = async (lane: number, options: string[]): Promise<string[]> => {
        prepare(lane);
        const ended = await job(lane, params(lane), options);
        if (ended.code !== 0) return wrongWith(ended);
        const listed = verdictsOf(JSON.parse(ended.stdout) as Listing, lane);
        return [...expected].flatMap(([name, { verified }]) => {
          const found = listed.get(name);
          if (name !== 'foreign.db' && found === undefined) return [`${name} is left out`];
          const isSame = found?.unreadable !== undefined || found?.verified === verified;
          return isSame || found === undefined ? [] : [`${name} is ${found.verified}`];
        });
      };
      await strikeAll({ most: 30, operations, watched: place, trace, strike });
    });

    itInPart(
      'removes nothing that would stay without it, and each failure has a message',
      async () => {
        const { lastFull } = await makeBackups();
        const params = (lane: number): object => ({
          what: 'prune',
          folder: place(lane),
          policy: { keepLast: 1 },
        });
        const { removed } = await undisturbed<Pruned>(params(0));
        const staying = readdirSync(place(0)).filter((name) => name !== 'tmp');
        assert.equal(removed.length, 2);
        assert.ok(staying.includes(lastFull));
        const operations = operationsOn(place(0), trace(0), { threads: true });
        const strike = async (lane: number, options: string[]): Promise<string[]> => {
          prepare(lane);
          const ended = await job(lane, params(lane), options);
          const left = readdirSync(place(lane));
          const wrong = staying
            .filter((name) => !left.includes(name))
            .map((name) => `${name} was removed`);
          if (ended.code !== 0) return [...wrong, ...wrongWith(ended)];
          const { failures } = JSON.parse(ended.stdout) as Pruned;
          const odd = failures.filter(({ message }) => !message.includes(place(lane)));
          return [...wrong, ...odd.map(({ message }) => message)];
        };
        await strikeAll({ most: 40, operations, watched: place, trace, strike });
      },
    );
  });

  describe('a comparison', () => {
    for (const [what, journalMode, pragmas, most] of [
      ['two databases that are read where they are', 'delete', [], 40],
      ['a database and a private copy in another encoding', 'wal', ["encoding = 'UTF-16le'"], 40],
    ] as const) {
      itWhere(journalMode === 'delete')(
        `of ${what} calls nothing damaged and counts nothing wrong`,
        async () => {
          mkdirSync(folder('kept'));
          createDatabase(folder('kept/left.db'));
          createDatabase(folder('kept/right.db'), { journalMode, pragmas: [...pragmas], rows: 90 });
          const old = new Date(Date.now() - 60_000);
          utimesSync(folder('kept/right.db'), old, old);
          const params = (lane: number): object => ({
            what: 'compare',
            left: join(place(lane), 'left.db'),
            right: join(place(lane), 'right.db'),
          });
          const expected = await undisturbed<Comparison>(params(0));
          const operations = operationsOn(place(0), trace(0), { threads: true });
          const strike = async (lane: number, options: string[]): Promise<string[]> => {
            prepare(lane);
            const ended = await job(lane, params(lane), options);
            if (ended.code !== 0) return wrongWith(ended);
            const found = JSON.parse(ended.stdout) as Comparison;
            const isSame = found.tables.every(
              (table, n) =>
                !table.compared || JSON.stringify(table) === JSON.stringify(expected.tables[n]),
            );
            const isQuiet =
              found.damaged.length === 0 && !/damaged/.test(ended.stdout.replace('"damaged"', ''));
            return isSame && isQuiet ? [] : [ended.stdout];
          };
          await strikeAll({ most, operations, watched: place, trace, strike });
        },
      );
    }
  });
});
