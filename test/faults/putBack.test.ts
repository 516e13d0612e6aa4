import assert from 'node:assert/strict';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import {
  keepBaseline,
  restoreBaseline,
  type RestoreBaselineRequest,
} from '../../src/core/states/baseline.ts';
import { keptOf } from '../../src/core/states/kept.ts';
import { useDataFolder } from '../support/dataFolders.ts';
import { bytesOf, createDatabase, valueOf, withDatabase } from '../support/databases.ts';
import {
  disturb,
  inLanes,
  isThorough,
  type Operation,
  sampleOf,
  changesOn,
} from '../support/operations.ts';
import {
  type Ended,
  endProcessesAfterEach,
  holdOpen,
  kill,
  needProgram,
} from '../support/processes.ts';
import { leftoversIn, quiet, tracedJob } from '../support/restores.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const insert = "INSERT INTO items (name) VALUES ('only in the WAL')";
const count = 'SELECT count(*) FROM items';
const lanes = 2;
/** Rows of the baseline, and of what lies there. */
const [newRows, oldRows] = [20, 26];

describe('a baseline that comes back while the program is killed', function () {
  this.timeout(isThorough ? 60 * 60_000 : 120_000);
  endProcessesAfterEach();
  const folder = useTempFolder();
  useDataFolder(() => folder('data'));

  before(function () {
    if (process.platform !== 'linux') this.skip(); // strace exists there only.
    needProgram('strace', 'strace');
  });

  const dirOf = (lane: number): string => folder(`d${lane}`);
  const liveOf = (lane: number): string => join(dirOf(lane), 'app.db');
  const request = (lane: number, discard: boolean): RestoreBaselineRequest => ({
    ...{ name: 'seeded', discard },
    items: [{ target: liveOf(lane), recordAs: { path: 'app.db' } }],
    taking: {
      ...{ checkpoints: folder(`cp${lane}`), cause: { kind: 'baseline' }, trigger: 'manual' },
      ...{ busyTimeoutMs: 100, largestBytes: 1e9, largestTotalBytes: 1e9, toolVersion: '0' },
    },
  });

  /** What a killed application has left: rows that only the -wal has. */
  beforeEach(async () => {
    mkdirSync(folder('left'));
    const left = createDatabase(folder('left/app.db'), { rows: oldRows - 1 });
    await kill(await holdOpen(left, 'PRAGMA journal_mode = wal', insert));
    for (let lane = 0; lane < lanes; lane++) {
      mkdirSync(dirOf(lane));
      createDatabase(liveOf(lane), { rows: newRows, journalMode: 'wal' });
      const { name, items, taking } = request(lane, false);
      const databases = items.map(({ target, recordAs }) => ({ database: target, recordAs }));
      const { failures } = await keepBaseline({ name, databases, replace: false, taking }, quiet);
      assert.deepEqual(failures, []);
      cpSync(folder(`cp${lane}`), folder(`first${lane}`), { recursive: true });
    }
  });

  const reset = (lane: number, isThere: boolean): void => {
    for (const name of [dirOf(lane), folder(`cp${lane}`)])
      rmSync(name, { recursive: true, force: true });
    mkdirSync(dirOf(lane));
    cpSync(folder(`first${lane}`), folder(`cp${lane}`), { recursive: true });
    if (!isThere) return;
    for (const name of readdirSync(folder('left')))
      copyFileSync(folder(`left/${name}`), join(dirOf(lane), name));
  };

  const job = (lane: number, discard: boolean, options: string[] = []): Promise<Ended> =>
    tracedJob(folder(`trace${lane}`), 'baseline', request(lane, discard), options);

  /** Rows of the database as the next program finds it; undefined without a file. */
  const rowsIn = (lane: number): number | undefined => {
    if (!existsSync(liveOf(lane))) return undefined;
    // Beside it, so that the look itself changes nothing.
    const look = folder(`look${lane}`);
    rmSync(look, { recursive: true, force: true });
    cpSync(dirOf(lane), look, { recursive: true });
    const path = join(look, 'app.db');
    return withDatabase(path, (db) => {
      assert.equal(db.pragma('integrity_check', { simple: true }), 'ok');
      return db.prepare(count).pluck().get() as number;
    });
  };

  const sizeBeside = (lane: number, suffix: string): number =>
    statSync(liveOf(lane) + suffix, { throwIfNoEntry: false })?.size ?? 0;

  /** What is wrong after a kill, and after the next run. */
  const judge = async (lane: number, isThere: boolean, discard: boolean): Promise<string[]> => {
    const wrong: string[] = [];
    const rows = rowsIn(lane);
    ends.add(String(rows));
    if (rows !== newRows && rows !== (isThere ? oldRows : undefined)) wrong.push(`${rows} rows`);
    for (const suffix of ['-wal', '-journal'])
      if (rows === newRows && sizeBeside(lane, suffix) > 0) wrong.push(`${suffix} of another file`);
    const hasOld = (): boolean =>
      keptOf(folder(`cp${lane}`), liveOf(lane)).some(
        ({ path }) => valueOf(path, count) === oldRows,
      );
    if (isThere && !discard && rows === newRows && !hasOld()) wrong.push('the old rows are lost');
    const { outcome } = await restoreBaseline(request(lane, discard), quiet);
    if (rowsIn(lane) !== newRows) wrong.push(`the next run led to ${rowsIn(lane)} rows`);
    if (isThere && !discard && !hasOld()) wrong.push('the old rows are lost after the next run');
    if (rows !== newRows && outcome === 'equal') wrong.push('taken for the baseline');
    if (leftoversIn(dirOf(lane)).length > 0) wrong.push(`left ${leftoversIn(dirOf(lane)).join()}`);
    if (Object.keys(bytesOf(liveOf(lane))).length > 1) wrong.push('siblings are left');
    return wrong;
  };
  let ends = new Set<string>();

  const shown = ({ line }: Operation): string =>
    line
      .replace(/^\d+ +/, '')
      .replaceAll(folder(), '')
      .slice(0, 140);

  for (const [title, isThere, discard, most] of [
    ['what lay there may go', true, true, 14],
    ['what lay there is kept first', true, false, 5],
    ['nothing lay there', false, true, 4],
  ] as const)
    it(`is the old database or the new one, whole, and the next run goes on: ${title}`, async () => {
      ends = new Set();
      // The first run of a lane gives the database its identity; those after it all do the same.
      for (const lane of [...Array(lanes).keys(), 0]) {
        reset(lane, isThere);
        const { code, stdout } = await job(lane, discard);
        assert.equal(code, 0, stdout);
        assert.equal(rowsIn(lane), newRows);
      }
      const all = changesOn(dirOf(0), folder('trace0'), { atLeast: 5 });
      const wrong: string[] = [];
      let missed = 0;
      const some = sampleOf(all, most);
      await inLanes(lanes, some, async (operation, lane) => {
        reset(lane, isThere);
        const { code, signal } = await job(lane, discard, disturb(operation, 'signal=KILL'));
        if (signal !== 'SIGKILL' && code !== 137) missed += 1;
        const found = await judge(lane, isThere, discard).catch((error: Error) => [error.message]);
        wrong.push(...found.map((one) => `${one} <- ${shown(operation)}`));
      });
      assert.deepEqual(wrong, []);
      const mostMissed = some.length < 8 ? some.length : some.length / 2;
      assert.ok(missed < mostMissed, `${missed} of ${some.length} missed`);
      if (isThorough) {
        console.log(`      ${all.length} operations, ${missed} missed`);
        assert.deepEqual([...ends].sort(), [
          String(newRows),
          isThere ? String(oldRows) : 'undefined',
        ]);
      }
    });
});
