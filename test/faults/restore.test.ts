import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { applyRestore } from '../../src/core/restore/apply.ts';
import { findInterrupted, recoverInterrupted } from '../../src/core/restore/recovery.ts';
import { bundleOf } from '../support/bundles.ts';
import { bytesOf, createDatabase, snapshot, valueOf } from '../support/databases.ts';
import {
  disturb,
  hasHit,
  inLanes,
  isThorough,
  type Operation,
  sampleOf,
  itWhere,
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

const insert = "INSERT INTO items (name) VALUES ('only in the WAL')";
const count = 'SELECT count(*) FROM items';
const lanes = 2;

/** Where a disturbed restore has come to. */
type State = 'old' | 'new' | 'neither';
type How = 'finish' | 'roll-back';
type Kind = 'KILL' | 'EIO' | 'ENOSPC';

const injections: Record<Kind, string> = {
  KILL: 'signal=KILL',
  EIO: 'error=EIO',
  ENOSPC: 'error=ENOSPC',
};

describe('a restore that is disturbed', function () {
  if (isThorough) this.timeout(60 * 60_000);
  endProcessesAfterEach();
  const folder = useTempFolder();
  let snapshotPath = '';
  let bundlePath = '';
  let old: Record<string, string> = {};

  before(function () {
    if (process.platform !== 'linux') this.skip(); // strace exists there only.
    needProgram('strace', 'strace');
  });

  beforeEach(async () => {
    const database = createDatabase(folder('app.db'), { rows: 20, journalMode: 'wal' });
    const backups = { folder: folder('backups') };
    snapshotPath = (await snapshot(database, backups)).path;
    bundlePath = (await bundleOf([database], backups)).path;
    // What the application left behind: rows that only the WAL has.
    mkdirSync(folder('kept'));
    const kept = createDatabase(folder('kept/app.db'), { rows: 25 });
    await kill(await holdOpen(kept, 'PRAGMA journal_mode = wal', insert));
    old = bytesOf(kept);
  });

  /** What one lane works in; the names are as long in all of them. */
  const dirOf = (lane: number): string => folder(`d${lane}`);
  const liveIn = (dir: string): string => join(dir, 'app.db');

  const reset = (lane: number, databases: readonly string[] = ['app.db']): void => {
    for (const name of [`d${lane}`, `safety${lane}`])
      rmSync(folder(name), { recursive: true, force: true });
    mkdirSync(dirOf(lane));
    for (const name of databases) {
      for (const part of ['', '-wal', '-shm'])
        copyFileSync(folder(`kept/app.db${part}`), join(dirOf(lane), name + part));
    }
  };

  const requestIn = (lane: number): ReturnType<typeof applyRequest> =>
    applyRequest(snapshotPath, liveIn(dirOf(lane)), { folder: folder(`safety${lane}`) });

  const job = (lane: number, what: string, request: object, options?: string[]): Promise<Ended> =>
    tracedJob(folder(`trace${lane}`), what, request, options);

  /** The operations of the last, undisturbed job on the folder of the database that change something. */
  const operations = (lane: number): Operation[] => changesOn(dirOf(lane), folder(`trace${lane}`));

  const withoutEmptyWal = (bytes: Record<string, string>): Record<string, string> =>
    Object.fromEntries(
      Object.entries(bytes).filter(([, hash]) => !hash.startsWith('e3b0c44298fc1c14')),
    );

  const isOld = (path: string): boolean => {
    try {
      assert.deepEqual(withoutEmptyWal(bytesOf(path)), old);
      return true;
    } catch {
      return false;
    }
  };

  /** The restored rows, and nothing beside them that would change them. */
  const isRestored = (path: string): boolean =>
    Object.keys(withoutEmptyWal(bytesOf(path))).length === 1 && valueOf(path, count) === 20;

  const keptOf = (live: string, dir: string): string[] =>
    setAsidesIn(dir)
      .map((name) => join(dir, name))
      .filter((path) => path.startsWith(live));

  const stateOf = (live: string, dir: string): State => {
    if (isOld(live)) return 'old';
    const isNew = existsSync(live) && isRestored(live) && keptOf(live, dir).some(isOld);
    return isNew ? 'new' : 'neither';
  };

  /** Every byte of the old database is under the live name or in the set-aside. */
  const isOldComplete = (live: string, dir: string): boolean =>
    Object.entries(old).every(([part, hash]) =>
      [live, ...keptOf(live, dir)].some(
        (path) => existsSync(path + part) && bytesOf(path)[part] === hash,
      ),
    );

  /** What the disturbed jobs left, for the proof that the table of states was walked through. */
  const outcomes = new Map<string, number>();
  const tell = (outcome: string): void => {
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  };
  let tally: { runs: number; missed: number } | undefined;
  const results: string[] = [];
  beforeEach(() => {
    outcomes.clear();
    tally = undefined;
  });
  afterEach(function () {
    if (tally === undefined) return;
    const ends = [...outcomes].sort().map(([outcome, times]) => `${times} ${outcome}`);
    const { runs, missed } = tally;
    results.push(`${this.currentTest?.title}: ${runs} runs, ${missed} missed (${ends.join('; ')})`);
  });
  after(() => {
    if (isThorough) console.log(`\n${results.join('\n')}`);
  });

  /** What is wrong after a disturbed job, then after its recovery. */
  const judge = async (
    dir: string,
    how: How,
    goal: Record<How, State>,
    databases: readonly string[] = ['app.db'],
  ): Promise<string[]> => {
    const wrong: string[] = [];
    const lives = databases.map((name) => join(dir, name));
    const states = (): string =>
      [...new Set(lives.map((live) => stateOf(live, dir)))].join(' and ');
    if (!lives.every((live) => isOldComplete(live, dir)))
      wrong.push('a part of the old database is lost');
    const interrupted = findInterrupted(dir);
    if (interrupted.length === 0) {
      tell(`${states()}, without an intent`);
      if (states() !== 'old' && states() !== 'new') wrong.push(`${states()}, and no intent`);
      return wrong;
    }
    for (const { intent, can, items, words } of interrupted) {
      if (!can.includes(how)) {
        wrong.push(`cannot ${how}: ${words}`);
        continue;
      }
      await recoverInterrupted({ intent, how }, quiet);
      tell(`${items.at(-1)?.live} with an intent, ${how}`);
      if (states() !== goal[how]) wrong.push(`${how} led to ${states()}`);
    }
    if (leftoversIn(dir).length > 0) wrong.push(`left ${leftoversIn(dir).join()}`);
    return wrong;
  };

  const shown = ({ line }: Operation): string =>
    line
      .replace(/^\d+ +/, '')
      .replaceAll(folder(), '')
      .slice(0, 140);

  const canFill = ({ call }: Operation): boolean =>
    /^(openat|link|linkat|mkdir|rename|write|pwrite64)$/.test(call);

  const isKilled = ({ code, signal }: Ended): boolean => signal === 'SIGKILL' || code === 137;

  const goal = { finish: 'new', 'roll-back': 'old' } as const;
  const turned = { finish: 'old', 'roll-back': 'new' } as const;
  const allStates = (how: How): string[] => [
    `new with an intent, ${how}`,
    'new, without an intent',
    `old with an intent, ${how}`,
    'old, without an intent',
  ];

  /** What is wrong with the answer of a job that was to bring `end` about. */
  const told = (
    dir: string,
    code: number | null,
    end: State,
    databases: readonly string[] = ['app.db'],
  ): string[] => {
    const isThere = databases.every((name) => stateOf(join(dir, name), dir) === end);
    if (code === 0 && !isThere) return ['said that all went well'];
    const isOver = findInterrupted(dir).length === 0;
    return code === 1 && isThere && isOver ? ['reported an error although all was done'] : [];
  };

  const whatFails = (kind: Kind, operations: Operation[]): Operation[] =>
    kind === 'ENOSPC' ? operations.filter(canFill) : operations;

  /** Strikes each operation in turn, and collects what is wrong after it. */
  const strike = async (
    kind: Kind,
    operations: readonly Operation[],
    once: (lane: number, options: string[]) => Promise<Ended>,
    judgeOne: (lane: number, index: number, ended: Ended) => Promise<string[]>,
  ): Promise<void> => {
    const wrong: string[] = [];
    let missed = 0;
    await inLanes(lanes, operations.entries(), async ([index, operation], lane) => {
      let ended: Ended;
      let isHit: boolean;
      let tries = 0;
      // Node writes to pipes of its own as well, not as often each time, and ends itself when that fails.
      do {
        ended = await once(lane, disturb(operation, injections[kind]));
        isHit = kind === 'KILL' ? isKilled(ended) : hasHit(dirOf(lane), folder(`trace${lane}`));
      } while (!isHit && ++tries < 6);
      if (!isHit) missed++;
      if (!isHit && kind !== 'KILL') return;
      const found = await judgeOne(lane, index, ended);
      if (kind !== 'KILL' && ended.code !== 0 && ended.stdout === '') found.push('no error');
      wrong.push(...found.map((one) => `${one} <- ${shown(operation)}`));
    });
    tally = { runs: operations.length, missed };
    assert.deepEqual(wrong, []);
    // Of a small sample one hit is enough: which calls Node makes in between differs from run to run.
    const most = operations.length < 8 ? operations.length : operations.length / 2;
    assert.ok(missed < most, `${missed} of ${operations.length} missed`);
  };

  /** The first snapshot of a database gives it its identity; after that, each restore does the same operations. */
  const identify = async (): Promise<void> => {
    for (let lane = 0; lane < lanes; lane++) {
      reset(lane);
      assert.equal((await job(lane, 'apply', requestIn(lane))).code, 0);
    }
  };

  for (const [kind, how, choose] of [
    ['KILL', 'finish', (all) => sampleOf(all, 10)],
    ['KILL', 'roll-back', (all) => sampleOf(all.toReversed(), 10)],
    ['EIO', 'roll-back', (all) => sampleOf(all, 5)],
    ['ENOSPC', 'finish', (all) => sampleOf(all, 4)],
  ] as const satisfies [Kind, How, (all: Operation[]) => Operation[]][]) {
    itWhere(kind !== 'ENOSPC')(
      `by ${kind} at any operation, is old, new, or can ${how}`,
      async () => {
        await identify();
        reset(0);
        const undisturbed = await job(0, 'apply', requestIn(0));
        assert.equal(undisturbed.code, 0, undisturbed.stdout);
        assert.equal(stateOf(liveIn(dirOf(0)), dirOf(0)), 'new');
        await strike(
          kind,
          choose(whatFails(kind, operations(0))),
          (lane, options) => {
            reset(lane);
            return job(lane, 'apply', requestIn(lane), options);
          },
          async (lane, _index, { code }) => {
            const dir = dirOf(lane);
            return [...told(dir, code, 'new'), ...(await judge(dir, how, goal))];
          },
        );
        // A sample need not come to all of them.
        if (kind === 'KILL' && isThorough)
          assert.deepEqual([...outcomes.keys()].sort(), allStates(how).sort());
        if (kind === 'KILL')
          for (const outcome of outcomes.keys())
            assert.ok(allStates(how).includes(outcome), outcome);
      },
    );
  }

  for (const [kind, most] of [
    ['KILL', 5],
    ['EIO', 2],
    ['ENOSPC', 0],
  ] as const) {
    if (most === 0 && !isThorough) continue;
    itWhere(kind === 'KILL')(
      `by ${kind}, of two members of a bundle, brings both to the same end`,
      async () => {
        const databases = ['app.db', 'two.db'];
        const requestOfTwo = (lane: number): ReturnType<typeof applyRequest> => ({
          ...requestIn(lane),
          backup: bundlePath,
          items: databases.map((name) => ({ member: 'app.db', target: join(dirOf(lane), name) })),
        });
        // The first run gives the databases of a lane their identities; the ones after it all do the same.
        for (const lane of [...Array(lanes).keys(), 0]) {
          reset(lane, databases);
          const undisturbed = await job(lane, 'apply', requestOfTwo(lane));
          assert.equal(undisturbed.code, 0, undisturbed.stdout);
        }
        const all = operations(0);
        const first = all.findIndex(
          ({ call, line }) => call === 'rename' && line.includes('intent.json'),
        );
        assert.ok(first > 0, 'no intent');
        // Before the intent is there, nothing is touched that is not private.
        const some = isThorough ? all : all.slice(first);
        await strike(
          kind,
          sampleOf(whatFails(kind, some), most),
          (lane, options) => {
            reset(lane, databases);
            return job(lane, 'apply', requestOfTwo(lane), options);
          },
          async (lane, index, { code }) => {
            const dir = dirOf(lane);
            const how = index % 2 === 0 ? 'finish' : 'roll-back';
            const words = told(dir, code, 'new', databases);
            return [...words, ...(await judge(dir, how, goal, databases))];
          },
        );
        if (kind === 'KILL')
          assert.ok(
            [...outcomes.keys()].some((outcome) => outcome.includes('with an intent')),
            [...outcomes.keys()].join(),
          );
      },
    );
  }

  for (const [kind, most] of [
    ['KILL', 7],
    ['EIO', 3],
    ['ENOSPC', 0],
  ] as const) {
    if (most === 0 && !isThorough) continue;
    itWhere(kind === 'KILL')(
      `by ${kind} at any operation of an undo, has all of the old and of the restored`,
      async () => {
        const restoreAndUndo = async (
          lane: number,
          straceOptions: string[] = [],
        ): Promise<Ended> => {
          reset(lane);
          const { items } = await applyRestore(requestIn(lane), quiet);
          const request = { setAside: items[0]?.setAside, toolVersion: '0' };
          return job(lane, 'undo', request, straceOptions);
        };
        assert.equal((await restoreAndUndo(0)).code, 0);
        await strike(
          kind,
          sampleOf(whatFails(kind, operations(0)), most),
          restoreAndUndo,
          async (lane, index, { code }) => {
            const dir = dirOf(lane);
            const found = told(dir, code, 'old');
            const how = index % 2 === 0 ? 'finish' : 'roll-back';
            found.push(...(await judge(dir, how, turned)));
            const restored = [liveIn(dir), ...keptOf(liveIn(dir), dir)];
            if (!restored.some((path) => existsSync(path) && isRestored(path)))
              found.push('the restored database is lost');
            return found;
          },
        );
      },
    );
  }

  it('finds no free links: copies instead, and restores and undoes as well', async () => {
    const noLinks = ['-e', 'inject=link,linkat:error=EPERM'];
    reset(0);
    const dir = dirOf(0);
    const ended = await job(0, 'apply', requestIn(0), noLinks);
    assert.equal(ended.code, 0, ended.stdout);
    assert.equal(stateOf(liveIn(dir), dir), 'new');
    const [setAside] = keptOf(liveIn(dir), dir);
    const undone = await job(0, 'undo', { setAside, toolVersion: '0' }, noLinks);
    assert.equal(undone.code, 0, undone.stdout);
    assert.equal(stateOf(liveIn(dir), dir), 'old');
    assert.deepEqual(leftoversIn(dir), []);
  });
});
