import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { extractBundle } from '../../src/core/bundle/extract.ts';
import { toPlainError } from '../../src/core/errors.ts';
import { sweepLeftovers } from '../../src/core/files/workplace.ts';
import { applyRestore } from '../../src/core/restore/apply.ts';
import { archiveSetAside } from '../../src/core/restore/archive.ts';
import { findInterrupted, recoverInterrupted } from '../../src/core/restore/recovery.ts';
import { deleteSetAside, listSetAsides } from '../../src/core/restore/setAside.ts';
import { bytesOf, createDatabase, snapshot, withDatabase } from '../support/databases.ts';
import { Killed, type Step, whileDisturbed, withoutHardLinks } from '../support/disturbance.ts';
import {
  disturb,
  hasHit,
  inLanes,
  isThorough,
  itWhere,
  sampleOf,
  type Operation,
  changesOn,
} from '../support/operations.ts';
import {
  type Ended,
  endProcessesAfterEach,
  holdOpen,
  kill,
  needProgram,
} from '../support/processes.ts';
import { applyRequest, leftoversIn, quiet, setAsidesIn, tracedJob } from '../support/restores.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const count = 'SELECT count(*) FROM items';
/** Rows of the backup; the previous database has 20 more, which are only in its -wal. */
const [newRows, oldRows] = [100, 120];
const lanes = 2;
const noLinks = ['-e', 'inject=link,linkat:error=EPERM'];

type Links = 'with' | 'without';

const as = (links: Links, hook: (step: Step) => void = () => undefined): ((step: Step) => void) =>
  links === 'with' ? hook : withoutHardLinks(hook);

type Injection = 'signal=KILL' | 'error=EIO' | 'error=ENOSPC';

/** What ends a previous database, and what ends a restore that was stopped, struck below Node. */
describe('after a restore, when it is disturbed,', function () {
  endProcessesAfterEach();
  const folder = useTempFolder();
  let backup = '';
  let tally = { runs: 0, missed: 0 };
  const results: string[] = [];

  before(function () {
    if (process.platform !== 'linux') this.skip(); // strace exists there only.
    needProgram('strace', 'strace');
  });
  after(() => {
    if (results.length > 0) console.log(`\n${results.join('\n')}`);
  });

  beforeEach(async function () {
    this.timeout(60 * 60_000);
    tally = { runs: 0, missed: 0 };
    mkdirSync(folder('kept'));
    const kept = createDatabase(folder('kept/app.db'), { journalMode: 'wal', rows: newRows });
    backup = (await snapshot(kept, { folder: folder('backups') })).path;
    const rows = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)
      INSERT INTO items (name) SELECT 'only in the WAL' FROM n`;
    await kill(await holdOpen(kept, 'PRAGMA wal_autocheckpoint = 0', rows));
  });
  afterEach(function () {
    const { runs, missed } = tally;
    results.push(`${this.currentTest?.title}: ${runs} runs, ${missed} missed`);
  });

  const rootOf = (lane: number): string => folder(`l${lane}`);
  const placeOf = (lane: number): string => join(rootOf(lane), 'd');
  const liveOf = (lane: number): string => join(placeOf(lane), 'app.db');
  const archiveOf = (lane: number): string => join(rootOf(lane), 'archive');

  const job = (lane: number, what: string, request: object, options?: string[]): Promise<Ended> =>
    tracedJob(folder(`trace${lane}`), what, request, options);

  const changing = (lane: number): Operation[] =>
    changesOn(rootOf(lane), folder(`trace${lane}`), { atLeast: 5 });

  /** Without hard links every link fails already. */
  const canStrike =
    (links: Links) =>
    ({ call }: Operation): boolean =>
      links === 'with' || !call.startsWith('link');

  const canFill = ({ call }: Operation): boolean =>
    /^(openat|link|linkat|mkdir|rename|write|pwrite64)$/.test(call);

  const shown = ({ line }: Operation): string =>
    line
      .replace(/^\d+ +/, '')
      .replaceAll(folder(), '')
      .slice(0, 140);

  const isSweptLater = (name: string): boolean => name.startsWith('.sqlite-backup-claim-');

  /** Rows of a database, looked at in a copy. */
  const rowsOf = (lane: number, path: string): number => {
    const look = folder(`look${lane}`);
    rmSync(look, { recursive: true, force: true });
    mkdirSync(look);
    for (const part of ['', '-wal', '-journal'])
      if (existsSync(path + part)) cpSync(path + part, join(look, `x.db${part}`));
    return withDatabase(join(look, 'x.db'), (db) => {
      assert.equal(db.pragma('integrity_check', { simple: true }), 'ok');
      return db.prepare(count).pluck().get() as number;
    });
  };

  const archivedRows = async (lane: number): Promise<number[]> => {
    const zips = existsSync(archiveOf(lane))
      ? readdirSync(archiveOf(lane)).filter((name) => name.endsWith('.zip'))
      : [];
    const rows: number[] = [];
    for (const name of zips) {
      const out = folder(`out${lane}`);
      rmSync(out, { recursive: true, force: true });
      await extractBundle({ bundle: join(archiveOf(lane), name), folder: out }, quiet);
      rows.push(rowsOf(lane, join(out, 'app.db')));
    }
    return rows;
  };

  const isHit = (ended: Ended, injection: Injection, lane: number): boolean =>
    injection === 'signal=KILL'
      ? ended.signal === 'SIGKILL' || ended.code === 137
      : hasHit(rootOf(lane), folder(`trace${lane}`));

  /** Strikes each operation in turn, and collects what is wrong after it. */
  const strike = async (
    operations: readonly Operation[],
    injection: Injection,
    width: number,
    once: (lane: number, options: string[], n: number) => Promise<{ ended: Ended }>,
    judge: (lane: number, n: number, ended: Ended) => Promise<string[]>,
  ): Promise<void> => {
    const wrong: string[] = [];
    await inLanes(width, operations.entries(), async ([n, operation], lane) => {
      const { ended } = await once(lane, disturb(operation, injection), n);
      tally.runs++;
      const found: string[] = [];
      if (!isHit(ended, injection, lane)) tally.missed++;
      else if (injection !== 'signal=KILL' && ended.code !== 0 && ended.stdout === '')
        found.push('no error');
      found.push(...(await judge(lane, n, ended)));
      wrong.push(...found.map((one) => `${one} <- ${shown(operation)}`));
    });
    assert.deepEqual(wrong, []);
    const { runs, missed } = tally;
    assert.ok(missed < Math.max(3, runs / 5), `${missed} of ${runs} missed`);
  };

  describe('a clean-up', () => {
    let name = '';
    let live: Record<string, string> = {};
    let kept: Record<string, string> = {};
    const pathIn = (lane: number): string => join(placeOf(lane), name);

    beforeEach(async () => {
      cpSync(folder('kept'), folder('made'), { recursive: true });
      const target = folder('made/app.db');
      const request = applyRequest(backup, target, { folder: folder('safety') });
      const { items } = await applyRestore(request, quiet);
      [name = ''] = setAsidesIn(folder('made'));
      live = bytesOf(target);
      kept = bytesOf(items[0]?.setAside ?? '');
      assert.ok(kept['-wal'] !== undefined);
    });

    const reset = (lane: number): void => {
      rmSync(rootOf(lane), { recursive: true, force: true });
      cpSync(folder('made'), placeOf(lane), { recursive: true });
    };

    const requestIn = (lane: number): { path: string; folder: string; toolVersion: string } => ({
      path: pathIn(lane),
      folder: archiveOf(lane),
      toolVersion: '0',
    });

    const once = async (
      what: string,
      lane: number,
      options: string[] = [],
    ): Promise<{ ended: Ended }> => {
      reset(lane);
      return { ended: await job(lane, what, requestIn(lane), options) };
    };

    const judge = async (what: string, lane: number, n: number): Promise<string[]> => {
      const wrong: string[] = [];
      const place = placeOf(lane);
      try {
        assert.deepEqual(bytesOf(liveOf(lane)), live);
      } catch {
        wrong.push('the live database is another');
      }
      const isListed = listSetAsides(place).some(({ path }) => path === pathIn(lane));
      const isArchived = (await archivedRows(lane)).includes(oldRows);
      if (what === 'archive' && !isListed && !isArchived) wrong.push('rows are lost');
      const isNextArchive = what === 'archive' ? n % 2 === 0 : n % 2 === 1;
      const next = isNextArchive
        ? archiveSetAside(requestIn(lane), quiet)
        : deleteSetAside(pathIn(lane));
      const failure = await next.then(
        () => undefined,
        (error: unknown) => toPlainError(error),
      );
      // What has gone to its end is not there any more.
      if (failure !== undefined && (isListed || failure.code !== 'source-missing'))
        wrong.push(`then ${isNextArchive ? 'archive' : 'delete'} failed: ${failure.message}`);
      if (isNextArchive && isListed && !(await archivedRows(lane)).includes(oldRows))
        wrong.push('the next archive lacks rows');
      const left = readdirSync(place).filter((one) => !/^app\.db(-wal|-shm)?$/.test(one));
      // Where nothing is left to do, no work takes the claim that a killed process has left.
      if (failure !== undefined && left.every(isSweptLater)) left.length = 0;
      if (left.length > 0) wrong.push(`left ${left.join()}`);
      // Where the first one had gone to its end, the next backup into that folder sweeps it.
      if (failure !== undefined && existsSync(archiveOf(lane)))
        await sweepLeftovers(archiveOf(lane));
      if (isNextArchive && leftoversIn(archiveOf(lane)).length > 0)
        wrong.push(`left ${leftoversIn(archiveOf(lane)).join()} in the archive`);
      return wrong;
    };

    for (const [what, links, injection, most] of [
      ['archive', 'with', 'signal=KILL', 4],
      ['archive', 'with', 'error=EIO', 0],
      ['archive', 'with', 'error=ENOSPC', 0],
      ['archive', 'without', 'signal=KILL', 0],
      ['archive', 'without', 'error=EIO', 2],
      ['archive', 'without', 'error=ENOSPC', 0],
      ['delete', 'with', 'signal=KILL', 4],
      ['delete', 'with', 'error=EIO', 0],
      ['delete', 'with', 'error=ENOSPC', 0],
      ['delete', 'without', 'signal=KILL', 0],
      ['delete', 'without', 'error=EIO', 3],
      ['delete', 'without', 'error=ENOSPC', 0],
    ] as const) {
      if (most === 0 && !isThorough) continue;
      itWhere(what === 'archive')(
        `${what} ${links} hard links, ${injection}, loses nothing and can be done again`,
        async function () {
          this.timeout(60 * 60_000);
          const extra = links === 'with' ? [] : noLinks;
          // The first run gives the database its identity; the one after it is like the ones that are struck.
          for (let n = 0; n < 2; n++) {
            const { ended } = await once(what, 0, extra);
            assert.equal(ended.code, 0, ended.stdout);
          }
          const all = changing(0)
            .filter(canStrike(links))
            .filter((one) => injection !== 'error=ENOSPC' || canFill(one));
          await strike(
            // The last operations are the ones that remove.
            sampleOf(all.toReversed(), most),
            injection,
            lanes,
            (lane, options) => once(what, lane, [...extra, ...options]),
            (lane, n) => judge(what, lane, n),
          );
        },
      );
    }
  });

  describe('a recovery', () => {
    /** A restore that was killed before its second rename. */
    const interrupt = async (lane: number, links: Links): Promise<string> => {
      for (const name of [rootOf(lane), folder('safety')])
        rmSync(name, { recursive: true, force: true });
      cpSync(folder('kept'), placeOf(lane), { recursive: true });
      let renames = 0;
      const request = applyRequest(backup, liveOf(lane), { folder: folder('safety') });
      const killing = ({ call, name }: Step): void => {
        if (call === 'rename' && name === '/app.db') renames++;
        if (renames >= 2) throw new Killed(name);
      };
      await whileDisturbed(placeOf(lane), as(links, killing), () =>
        applyRestore(request, quiet),
      ).catch(() => undefined);
      return findInterrupted(placeOf(lane))[0]?.intent ?? '';
    };

    const once = async (
      how: 'finish' | 'roll-back',
      links: Links,
      lane: number,
      options: string[] = [],
    ): Promise<{ ended: Ended }> => {
      const intent = await interrupt(lane, links);
      const extra = links === 'with' ? [] : noLinks;
      return { ended: await job(lane, 'recover', { intent, how }, [...extra, ...options]) };
    };

    const judge = async (
      first: 'finish' | 'roll-back',
      links: Links,
      lane: number,
      n: number,
      { code, stdout }: Ended,
    ): Promise<string[]> => {
      const wrong: string[] = [];
      const place = placeOf(lane);
      const [offer] = findInterrupted(place);
      const how = n % 2 === 0 ? 'finish' : 'roll-back';
      if (offer?.can.includes(how) === false) wrong.push(`cannot ${how}: ${offer.words}`);
      else if (offer !== undefined)
        await whileDisturbed(place, as(links), () =>
          recoverInterrupted({ intent: offer.intent, how }, quiet),
        ).catch((error: unknown) => {
          wrong.push(`${how} failed: ${toPlainError(error).message}`);
        });
      // Without an offer, a recovery that reports an error has gone back, and one that was killed had done its work.
      const end = code === 1 ? 'roll-back' : first;
      const goal = (offer === undefined ? end : how) === 'finish' ? newRows : oldRows;
      const live = rowsOf(lane, liveOf(lane));
      if (live !== goal)
        wrong.push(`${live} rows after ${offer === undefined ? `its end, ${stdout}` : how}`);
      const paths = [liveOf(lane), ...setAsidesIn(place).map((one) => join(place, one))];
      if (!paths.some((path) => rowsOf(lane, path) === oldRows)) wrong.push('rows are lost');
      const left = leftoversIn(place).filter((one) => !isSweptLater(one));
      if (offer !== undefined && left.length > 0) wrong.push(`left ${left.join()}`);
      return wrong;
    };
    for (const [how, links, injection, most] of [
      ['finish', 'with', 'signal=KILL', 1],
      ['finish', 'with', 'error=EIO', 0],
      ['finish', 'with', 'error=ENOSPC', 0],
      ['finish', 'without', 'signal=KILL', 0],
      ['finish', 'without', 'error=EIO', 0],
      ['finish', 'without', 'error=ENOSPC', 0],
      ['roll-back', 'with', 'signal=KILL', 0],
      ['roll-back', 'with', 'error=EIO', 1],
      ['roll-back', 'with', 'error=ENOSPC', 0],
      ['roll-back', 'without', 'signal=KILL', 1],
      ['roll-back', 'without', 'error=EIO', 0],
      ['roll-back', 'without', 'error=ENOSPC', 0],
    ] as const) {
      if (most === 0 && !isThorough) continue;
      itWhere(links === 'with')(
        `${how} ${links} hard links, ${injection}, can be finished and rolled back`,
        async function () {
          this.timeout(60 * 60_000);
          const { ended } = await once(how, links, 0);
          assert.equal(ended.code, 0, ended.stdout);
          const all = changing(0)
            .filter(canStrike(links))
            .filter((one) => injection !== 'error=ENOSPC' || canFill(one));
          await strike(
            sampleOf(all, most),
            injection,
            1, // A restore is interrupted within this process, one at a time.
            (lane, options) => once(how, links, lane, options),
            (lane, n, ended) => judge(how, links, lane, n, ended),
          );
        },
      );
    }
  });
});
