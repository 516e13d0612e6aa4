import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { applyRestore } from '../../src/core/restore/apply.ts';
import {
  findInterrupted,
  type Interrupted,
  recoverInterrupted,
} from '../../src/core/restore/recovery.ts';
import { undoRestore } from '../../src/core/restore/undo.ts';
import { createDatabase, snapshot, withDatabase } from '../support/databases.ts';
import {
  Killed,
  killAt,
  type Step,
  stepsOf,
  whileDisturbed,
  withoutHardLinks,
} from '../support/disturbance.ts';
import { sampleOf } from '../support/operations.ts';
import { useMounts } from '../support/mounts.ts';
import { endProcessesAfterEach, holdOpen, isLinuxRoot, kill } from '../support/processes.ts';
import { applyRequest, leftoversIn, quiet, setAsidesIn } from '../support/restores.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const count = 'SELECT count(*) FROM items';
const [newRows, oldRows] = [100, 120];

describe('without hard links', function () {
  endProcessesAfterEach();
  const mounts = useMounts();
  const folder = useTempFolder();
  let backup = '';
  const live = (): string => folder('d/app.db');

  beforeEach(async () => {
    mkdirSync(folder('kept'));
    mkdirSync(folder('d'));
    const kept = createDatabase(folder('kept/app.db'), { journalMode: 'wal', rows: newRows });
    backup = (await snapshot(kept, { folder: folder('backups') })).path;
    const rows = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)
      INSERT INTO items (name) SELECT 'only in the WAL' FROM n`;
    await kill(await holdOpen(kept, 'PRAGMA wal_autocheckpoint = 0', rows));
  });

  const reset = (): void => {
    for (const name of readdirSync(folder('d'))) rmSync(folder('d', name), { recursive: true });
    for (const name of readdirSync(folder('kept'))) cpSync(folder('kept', name), folder('d', name));
  };

  const restore = (): ReturnType<typeof applyRestore> =>
    applyRestore(applyRequest(backup, live(), { folder: folder('safety') }), quiet);

  const rowsOf = (path: string): number => {
    rmSync(folder('look'), { recursive: true, force: true });
    mkdirSync(folder('look'));
    for (const part of ['', '-wal', '-journal'])
      if (existsSync(path + part)) cpSync(path + part, folder(`look/x.db${part}`));
    return withDatabase(folder('look/x.db'), (db) => db.prepare(count).pluck().get() as number);
  };

  const jobs: Record<'restore' | 'undo', () => Promise<() => Promise<unknown>>> = {
    restore: () => Promise.resolve(restore),
    undo: async () => {
      const { setAside = '' } = (await restore()).items[0] ?? {};
      return () => undoRestore({ setAside, toolVersion: '0' }, quiet);
    },
  };

  /** What is wrong after a kill at one operation, and after its recovery. */
  const judge = async (what: keyof typeof jobs, how: 'finish' | 'roll-back'): Promise<string[]> => {
    const wrong: string[] = [];
    const [offer] = findInterrupted(folder('d'));
    if (offer?.can.includes(how) === false) return [`cannot ${how}: ${offer.words}`];
    if (offer !== undefined) await recoverInterrupted({ intent: offer.intent, how }, quiet);
    const rows = rowsOf(live());
    const goal = (how === 'finish') === (what === 'restore') ? newRows : oldRows;
    if (offer === undefined ? rows !== newRows && rows !== oldRows : rows !== goal)
      wrong.push(`${rows} rows after ${offer === undefined ? 'no offer' : how}`);
    const kept = setAsidesIn(folder('d')).map((name) => folder('d', name));
    if (![live(), ...kept].some((path) => rowsOf(path) === oldRows)) wrong.push('rows are lost');
    if (kept.some((path) => ![newRows, oldRows].includes(rowsOf(path)))) wrong.push('half kept');
    if (offer !== undefined && leftoversIn(folder('d')).length > 0)
      wrong.push(`left ${leftoversIn(folder('d')).join()}`);
    return wrong;
  };

  for (const what of ['restore', 'undo'] as const) {
    it(`${what}, stopped at any operation, is whole, or can be finished and rolled back`, async function () {
      this.timeout(30 * 60_000);
      reset();
      let steps: Step[] = [];
      await whileDisturbed(folder('d'), withoutHardLinks(), async () => {
        const work = await jobs[what]();
        steps = await stepsOf(folder('d'), work);
      });
      const wrong: string[] = [];
      for (const [n, { nth, call, name }] of sampleOf(steps, 6).entries()) {
        reset();
        await whileDisturbed(folder('d'), withoutHardLinks(), jobs[what])
          .then((work) => whileDisturbed(folder('d'), withoutHardLinks(killAt(nth)), work))
          .catch(() => undefined);
        const how = n % 2 === 0 ? 'finish' : 'roll-back';
        const found = await whileDisturbed(folder('d'), withoutHardLinks(), () => judge(what, how));
        wrong.push(...found.map((one) => `${one} <- ${nth} ${call} ${name}`));
      }
      assert.deepEqual(wrong, []);
    });
  }

  for (const last of ['-shm', '.json'])
    it(`a roll-back that is stopped while it removes the kept copy (${last}) is told as it is, and can be finished instead`, async () => {
      reset();
      const killWhen = async (
        isLate: (step: Step) => boolean,
        action: () => Promise<unknown>,
      ): Promise<void> => {
        let isKilled = false;
        const hook = withoutHardLinks((step) => {
          isKilled ||= isLate(step);
          if (isKilled) throw new Killed(step.name);
        });
        await whileDisturbed(folder('d'), hook, action).catch(() => undefined);
        assert.ok(isKilled);
      };
      const offer = (): Interrupted => {
        const [found] = findInterrupted(folder('d'));
        assert.ok(found);
        return found;
      };
      let renames = 0;
      await killWhen(
        ({ call, name }) => call === 'rename' && name === '/app.db' && ++renames === 2,
        restore,
      );
      const { intent } = offer();
      await killWhen(
        ({ call, name }) =>
          /^(unlink|rm)$/.test(call) && name.includes('.bad-') && name.endsWith(last),
        () => recoverInterrupted({ intent, how: 'roll-back' }, quiet),
      );
      assert.match(offer().words, /app\.db: the previous database is live\.$/);
      assert.deepEqual(offer().can, ['finish', 'roll-back']);
      const finish = { intent: offer().intent, how: 'finish' } as const;
      await whileDisturbed(folder('d'), withoutHardLinks(), () =>
        recoverInterrupted(finish, quiet),
      );
      assert.equal(rowsOf(live()), newRows);
      assert.deepEqual(
        setAsidesIn(folder('d')).map((name) => rowsOf(folder('d', name))),
        [oldRows],
      );
    });

  it('restores, undoes and recovers on exFAT', async function () {
    if (!isLinuxRoot) this.skip(); // Only root on Linux may mount.
    mounts.mountExfat(folder('image'), folder('d'));
    for (const how of ['finish', 'roll-back'] as const) {
      reset();
      const undo = await jobs.undo();
      assert.equal(rowsOf(live()), newRows);
      let renames = 0;
      const isLate = ({ call, name }: Step): boolean =>
        call === 'rename' && name === '/app.db' && ++renames === 2;
      let isKilled = false;
      await whileDisturbed(
        folder('d'),
        (step) => {
          isKilled ||= isLate(step);
          if (isKilled) throw new Error('killed');
        },
        undo,
      ).catch(() => undefined);
      assert.ok(isKilled);
      assert.deepEqual(await judge('undo', how), []);
      assert.equal(rowsOf(live()), how === 'finish' ? oldRows : newRows);
    }
  });
});
