import assert from 'node:assert/strict';
import { existsSync, mkdirSync } from 'node:fs';
import { applyRestore } from '../../src/core/restore/apply.ts';
import { pause } from '../../src/core/pause.ts';
import { findInterrupted, recoverInterrupted } from '../../src/core/restore/recovery.ts';
import { undoRestore } from '../../src/core/restore/undo.ts';
import { bytesOf, createDatabase, snapshot, valueOf } from '../support/databases.ts';
import { Killed, type Step, whileDisturbed } from '../support/disturbance.ts';
import { endProcessesAfterEach, holdOpen, kill } from '../support/processes.ts';
import { applyRequest, leftoversIn, quiet, setAsidesIn } from '../support/restores.ts';
import { useTempFolder } from '../support/tempFolders.ts';
import { ThirdParty } from '../support/thirdParty.ts';

const count = 'SELECT count(*) FROM items';
const insert = "INSERT INTO items (name) VALUES ('of the other program')";

/** The moment in which the live name changes, and what other programs can do in it. */
describe('a restore whose database another program opens in the middle', function () {
  endProcessesAfterEach();
  const folder = useTempFolder();
  let live = '';
  let backup = '';
  let other: ThirdParty;

  before(function () {
    if (process.platform !== 'linux') this.skip(); // Who has a file open is read from /proc.
  });

  /** 100 rows in the backup. 120 live, of which the last 20 are only in the -wal of a program that was killed. */
  beforeEach(async () => {
    mkdirSync(folder('d'));
    live = createDatabase(folder('d/app.db'), { journalMode: 'wal' });
    backup = (await snapshot(live, { folder: folder('backups') })).path;
    const rows = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)
      INSERT INTO items (name) SELECT 'only in the WAL' FROM n`;
    await kill(await holdOpen(live, 'PRAGMA wal_autocheckpoint = 0', rows));
    other = await ThirdParty.start(folder('mailbox'));
  });

  const restore = (): ReturnType<typeof applyRestore> =>
    applyRestore(applyRequest(backup, live), quiet);

  /** Where the live name goes to another file. */
  const isRename = ({ call, name }: Step): boolean => call === 'rename' && name === '/app.db';
  const isUnlinkOfWal = ({ call, name }: Step): boolean =>
    call === 'unlink' && name === '/app.db-wal';

  /** The restore, with `act` before each operation that `when` picks. */
  const restoreWhile = (when: (step: Step) => boolean, act: () => void): Promise<unknown> =>
    whileDisturbed(folder('d'), (step) => void (when(step) && act()), restore);

  it('never has half of it: what the program reads is all of the old, or it waits', async () => {
    const seen = new Set<unknown>();
    await whileDisturbed(
      folder('d'),
      () => {
        if (!existsSync(live)) seen.add('missing');
        else seen.add(other.run(live, count));
        other.close(live);
      },
      restore,
    ).catch((error: unknown) => seen.add(Reflect.get(error as Error, 'code')));
    seen.delete('busy');
    for (const one of seen)
      assert.ok([100, 120, 'target-in-use'].includes(one as number), `${String(one)}`);
    assert.ok(seen.has(120));
  });

  for (const [moment, when] of [
    ['before the first name changes', isRename],
    ['after the -wal was taken away', isUnlinkOfWal],
  ] as const) {
    it(`gives way to a program that opens it ${moment}, and nothing is lost`, async () => {
      let asked = 0;
      let isDone = false;
      const restoring = restoreWhile(when, () => {
        if (!isDone) asked = other.begin(live, insert, 20_000);
        isDone = true;
        // Until it has the file open, and waits for the lock.
        while (!other.hasOpen(folder('d'))) pause(1);
      });
      await assert.rejects(restoring, { code: /target-in-use|incomplete/ });
      assert.deepEqual(other.answer(asked), 1);
      assert.equal(other.run(live, count), 121);
      other.close(live);
      for (const { intent, can } of findInterrupted(folder('d'))) {
        assert.ok(can.includes('roll-back'));
        await recoverInterrupted({ intent, how: 'roll-back' }, quiet);
      }
      assert.equal(valueOf(live, count), 121);
      assert.deepEqual(leftoversIn(folder('d')), []);
    });
  }

  describe('that was killed', () => {
    /** Killed before the operation that `when` picks; an undo when `setAside` is given. */
    const killBefore = async (when: (step: Step) => boolean, setAside?: string): Promise<void> => {
      let isKilled = false;
      const work = (): Promise<unknown> =>
        setAside === undefined ? restore() : undoRestore({ setAside, toolVersion: '0' }, quiet);
      const killed = whileDisturbed(
        folder('d'),
        (step) => {
          isKilled ||= when(step);
          if (isKilled) throw new Killed(step.name);
        },
        work,
      );
      await killed.catch(() => undefined); // What cannot be tidied up after the end is a remark.
      assert.ok(isKilled);
    };
    const secondRename = (): ((step: Step) => boolean) => {
      let renames = 0;
      return (step) => isRename(step) && ++renames === 2;
    };

    it('is described as it is when a program has written meanwhile, and nothing of that is removed', async () => {
      await killBefore(secondRename());
      const [before] = findInterrupted(folder('d'));
      assert.match(before?.words ?? '', /a complete copy of the previous database is live\.$/);
      assert.equal(other.run(live, insert), 1);
      const [found] = findInterrupted(folder('d'));
      assert.match(
        found?.words ?? '',
        /previous database is live, and a program has changed it since/,
      );
      assert.deepEqual(found?.can, ['roll-back']);
      const back = { intent: found.intent, how: 'roll-back' } as const;
      await assert.rejects(recoverInterrupted(back, quiet), { code: 'target-in-use' });
      other.close(live);
      const { remarks } = await recoverInterrupted(back, quiet);
      assert.match(
        remarks[0]?.message ?? '',
        /with later changes by a program\. It is left as it is/,
      );
      assert.equal(valueOf(live, count), 121);
      const [kept = ''] = setAsidesIn(folder('d'));
      assert.equal(valueOf(folder('d', kept), count), 120);
      assert.deepEqual(leftoversIn(folder('d')), []);
    });

    it('keeps what a program has written to the restored database when it is rolled back', async () => {
      await killBefore(({ call, name }) => call === 'unlink' && name.includes('restore-'));
      assert.equal(other.run(live, insert), 1);
      other.close(live);
      const [found] = findInterrupted(folder('d'));
      assert.match(
        found?.words ?? '',
        /restored database is live, and a program has changed it since/,
      );
      assert.deepEqual(found?.can, ['finish', 'roll-back']);
      const { remarks } = await recoverInterrupted(
        { intent: found.intent, how: 'roll-back' },
        quiet,
      );
      assert.equal(valueOf(live, count), 120);
      const [kept = ''] = setAsidesIn(folder('d'));
      assert.equal(valueOf(folder('d', kept), count), 101);
      assert.match(remarks[0]?.message ?? '', new RegExp(`it is kept as .*${kept}`));
      assert.deepEqual(leftoversIn(folder('d')), []);
    });

    it('is told the right way round when it was an undo', async () => {
      const old = bytesOf(live);
      const { items } = await restore();
      const setAside = items[0]?.setAside ?? '';
      await killBefore(secondRename(), setAside);
      const [found] = findInterrupted(folder('d'));
      assert.match(found?.words ?? '', /a complete copy of the previous database is live\.$/);
      await recoverInterrupted({ intent: found?.intent ?? '', how: 'finish' }, quiet);
      assert.deepEqual(bytesOf(live), old);
      const [kept = '', ...more] = setAsidesIn(folder('d'));
      assert.deepEqual(more, []);
      assert.equal(valueOf(folder('d', kept), count), 100);
    });
  });
});
