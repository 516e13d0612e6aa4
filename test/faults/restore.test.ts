import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { findInterrupted, recoverInterrupted } from '../../src/core/recovery.ts';
import { applyRestore } from '../../src/core/restore.ts';
import { bytesOf, createDatabase, snapshot, valueOf } from '../support/databases.ts';
import {
  endProcessesAfterEach,
  fixture,
  holdOpen,
  kill,
  needProgram,
  run,
  type Ended,
} from '../support/processes.ts';
import { applyRequest, leftoversIn, quiet, setAsidesIn } from '../support/restores.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const calls =
  'openat,link,linkat,unlink,unlinkat,rmdir,mkdir,rename,write,pwrite64,fsync,fdatasync,ftruncate,chmod,fchmod,chown';
const insert = "INSERT INTO items (name) VALUES ('only in the WAL')";
const count = 'SELECT count(*) FROM items';

interface Operation {
  call: string;
  /** Which of these calls of the main thread it is, from 1. */
  nth: number;
  line: string;
}

/** Where a disturbed restore has come to. */
type State = 'old' | 'new' | 'neither';

describe('a restore that is disturbed', function () {
  endProcessesAfterEach();
  const folder = useTempFolder();
  let live = '';
  let backup = '';
  let old: Record<string, string> = {};

  before(function () {
    if (process.platform !== 'linux') this.skip(); // strace exists there only.
    needProgram('strace', 'strace');
  });

  beforeEach(async () => {
    backup = (
      await snapshot(createDatabase(folder('app.db'), { rows: 20, journalMode: 'wal' }), {
        folder: folder('backups'),
      })
    ).path;
    // What the application left behind: rows that only the WAL has.
    mkdirSync(folder('kept'));
    const holder = await holdOpen(
      createDatabase(folder('kept/app.db'), { rows: 25 }),
      'PRAGMA journal_mode = wal',
      insert,
    );
    await kill(holder);
    live = folder('d/app.db');
    reset();
  });

  const reset = (): void => {
    rmSync(folder('d'), { recursive: true, force: true });
    rmSync(folder('safety'), { recursive: true, force: true });
    mkdirSync(folder('d'));
    for (const part of ['', '-wal', '-shm'])
      copyFileSync(folder(`kept/app.db${part}`), live + part);
    old = bytesOf(live);
  };

  const job = (what: string, request: object, ...straceOptions: string[]): Promise<Ended> =>
    run([
      ...['strace', '-f', '-y', '-o', folder('trace'), '-e', `trace=${calls}`],
      ...straceOptions,
      process.execPath,
      fixture('restoreJob.ts'),
      what,
      JSON.stringify(request),
    ]);

  /** The operations of the last, undisturbed job on the folder of the database that change something. */
  const operations = (): Operation[] => {
    const lines = readFileSync(folder('trace'), 'utf8').split('\n');
    const main = lines[0]?.split(' ')[0];
    const counts = new Map<string, number>();
    const found: Operation[] = [];
    for (const line of lines) {
      const [, pid, call] = /^(\d+) +(\w+)\(/.exec(line) ?? [];
      if (call === undefined || pid !== main) continue;
      const nth = (counts.get(call) ?? 0) + 1;
      counts.set(call, nth);
      const changes = call !== 'openat' || line.includes('O_CREAT');
      if (changes && line.includes(folder('d'))) found.push({ call, nth, line });
    }
    assert.ok(found.length > 15, `${found.length} operations`);
    return found;
  };

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

  const stateOf = (): State => {
    const kept = setAsidesIn(folder('d')).map((name) => folder('d', name));
    if (isOld(live)) return 'old';
    return existsSync(live) && isRestored(live) && kept.some(isOld) ? 'new' : 'neither';
  };

  /** Every byte of the old database is under the live name or in the set-aside. */
  const isOldComplete = (): boolean => {
    const names = [live, ...setAsidesIn(folder('d')).map((name) => folder('d', name))];
    return Object.entries(old).every(([part, hash]) =>
      names.some((path) => existsSync(path + part) && bytesOf(path)[part] === hash),
    );
  };

  /** What the disturbed jobs left, for the proof that the table of states was walked through. */
  const outcomes = new Set<string>();
  const note = (outcome: string): void => void outcomes.add(outcome);

  /** What is wrong after a disturbed job, then after its recovery. */
  const judge = async (
    how: 'finish' | 'roll-back',
    goal: Record<typeof how, State>,
  ): Promise<string[]> => {
    const wrong: string[] = [];
    if (!isOldComplete()) wrong.push('a part of the old database is lost');
    const interrupted = findInterrupted(folder('d'));
    if (interrupted.length === 0) {
      const state = stateOf();
      note(`${state}, without an intent`);
      if (state === 'neither') wrong.push('neither old nor new, and no intent');
      return wrong;
    }
    for (const { intent, can, items, words } of interrupted) {
      if (!can.includes(how)) {
        wrong.push(`cannot ${how}: ${words}`);
        continue;
      }
      await recoverInterrupted({ intent, how }, quiet);
      note(`${items[0]?.live} with an intent, ${how}`);
      if (stateOf() !== goal[how]) wrong.push(`${how} led to ${stateOf()}`);
    }
    if (leftoversIn(folder('d')).length > 0) wrong.push(`left ${leftoversIn(folder('d')).join()}`);
    return wrong;
  };

  const shown = ({ line }: Operation): string =>
    line
      .replace(/^\d+ +/, '')
      .replaceAll(folder(), '')
      .slice(0, 140);

  const request = (): object => applyRequest(backup, live, { folder: folder('safety') });

  for (const [kind, injection, how] of [
    ['KILL', 'signal=KILL', 'finish'],
    ['KILL', 'signal=KILL', 'roll-back'],
    ['EIO', 'error=EIO', 'roll-back'],
    ['ENOSPC', 'error=ENOSPC', 'finish'],
  ] as const) {
    it(`by ${kind} at any operation, is old, new, or can ${how}`, async function () {
      this.timeout(600_000);
      outcomes.clear();
      const undisturbed = await job('apply', request());
      assert.equal(undisturbed.code, 0, undisturbed.stdout);
      assert.equal(stateOf(), 'new');
      const wrong: string[] = [];
      const canFill = /^(openat|link|linkat|mkdir|rename|write|pwrite64)$/;
      const all = operations().filter(({ call }) => kind !== 'ENOSPC' || canFill.test(call));
      for (const operation of all) {
        reset();
        const { call, nth } = operation;
        const ended = await job(
          'apply',
          request(),
          '-e',
          `inject=${call}:${injection}:when=${nth}`,
        );
        if (kind !== 'KILL' && ended.code === 0 && stateOf() !== 'new')
          wrong.push(`said that all went well <- ${shown(operation)}`);
        const found = await judge(how, { finish: 'new', 'roll-back': 'old' });
        if (kind !== 'KILL' && ended.code !== 0 && ended.stdout === '') found.push('no error');
        wrong.push(...found.map((one) => `${one} <- ${shown(operation)}`));
      }
      assert.deepEqual(wrong, []);
      if (kind !== 'KILL') return;
      assert.deepEqual(
        [...outcomes].sort(),
        [
          `new with an intent, ${how}`,
          'new, without an intent',
          `old with an intent, ${how}`,
          'old, without an intent',
        ].sort(),
      );
    });
  }

  it('by KILL at any operation of an undo, has all of the old and of the restored', async function () {
    this.timeout(600_000);
    outcomes.clear();
    const restoreAndUndo = async (...straceOptions: string[]): Promise<Ended> => {
      reset();
      const { items } = await applyRestore(
        applyRequest(backup, live, { folder: folder('safety') }),
        quiet,
      );
      return job('undo', { setAside: items[0]?.setAside, toolVersion: '0' }, ...straceOptions);
    };
    assert.equal((await restoreAndUndo()).code, 0);
    const wrong: string[] = [];
    for (const [index, operation] of operations().entries()) {
      const { call, nth } = operation;
      await restoreAndUndo('-e', `inject=${call}:signal=KILL:when=${nth}`);
      const how = index % 2 === 0 ? 'finish' : 'roll-back';
      const found = await judge(how, { finish: 'old', 'roll-back': 'new' });
      const restored = [live, ...setAsidesIn(folder('d')).map((name) => folder('d', name))];
      if (!restored.some((path) => existsSync(path) && isRestored(path)))
        found.push('the restored database is lost');
      wrong.push(...found.map((one) => `${one} <- ${shown(operation)}`));
    }
    assert.deepEqual(wrong, []);
  });

  it('finds no free links: copies instead, and restores and undoes as well', async () => {
    const noLinks = 'inject=link,linkat:error=EPERM';
    const ended = await job('apply', request(), '-e', noLinks);
    assert.equal(ended.code, 0, ended.stdout);
    assert.equal(stateOf(), 'new');
    const [kept = ''] = setAsidesIn(folder('d'));
    const undone = await job(
      'undo',
      { setAside: folder('d', kept), toolVersion: '0' },
      '-e',
      noLinks,
    );
    assert.equal(undone.code, 0, undone.stdout);
    assert.equal(stateOf(), 'old');
    assert.deepEqual(
      readdirSync(folder('d')).filter((name) => name.startsWith('.')),
      [],
    );
  });
});
