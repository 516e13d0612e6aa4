import assert from 'node:assert/strict';
import { readdirSync, renameSync, writeFileSync } from 'node:fs';
import { applyRestore, moveAside, putInPlace } from '../../src/core/restore/apply.ts';
import { archiveSetAside } from '../../src/core/restore/archive.ts';
import { isClaimed, sweepClaims, whileClaimed } from '../../src/core/restore/claim.ts';
import { findInterrupted, recoverInterrupted } from '../../src/core/restore/recovery.ts';
import { deleteSetAside } from '../../src/core/restore/setAside.ts';
import { undoRestore } from '../../src/core/restore/undo.ts';
import { bytesOf, valueOf, writeBytes } from '../support/databases.ts';
import { endProcessesAfterEach, kill, start } from '../support/processes.ts';
import {
  applyRequest,
  leftoversIn,
  prepareRestore,
  quiet,
  setAsidesIn,
} from '../support/restores.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const count = 'SELECT count(*) FROM items';

describe('a database that one restore is at work on', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();
  let live = '';
  let backup = '';

  beforeEach(async () => {
    ({ live, backup } = await prepareRestore(folder('app.db')));
  });

  const restore = (hooks = quiet): ReturnType<typeof applyRestore> =>
    applyRestore(applyRequest(backup, live), hooks);
  const claimed = { code: 'target-in-use', message: /^Another restore .*is working on .*app\.db/ };

  it('is refused to every other kind of work, in this process and in others, and nothing changes', async () => {
    const kept = (await restore()).items[0]?.setAside ?? '';
    const { intent } = await moveAside(applyRequest(backup, live), quiet);
    const { child } = await start('claimer.ts', live);
    const before = [bytesOf(live), bytesOf(kept), readdirSync(folder()).sort()];
    for (const attempt of [
      () => restore(),
      () => moveAside(applyRequest(backup, live), quiet),
      () => putInPlace({ intent }, quiet),
      () => recoverInterrupted({ intent, how: 'finish' }, quiet),
      () => recoverInterrupted({ intent, how: 'roll-back' }, quiet),
      () => undoRestore({ setAside: kept, toolVersion: '0' }, quiet),
      () => deleteSetAside(kept),
      () => archiveSetAside({ path: kept, folder: folder('archive'), toolVersion: '0' }, quiet),
    ])
      await assert.rejects(attempt, claimed);
    assert.deepEqual([bytesOf(live), bytesOf(kept), readdirSync(folder()).sort()], before);
    const [found] = findInterrupted(folder());
    assert.deepEqual(found?.can, []);
    assert.match(found.words, /Another process is working on .*app\.db/);
    await kill(child);
    assert.deepEqual(findInterrupted(folder())[0]?.can, ['finish', 'roll-back']);
    await putInPlace({ intent }, quiet);
    assert.equal(valueOf(live, count), 100);
    assert.deepEqual(leftoversIn(folder()), []);
  });

  it('is restored by one of two that come at the same moment', async () => {
    let other: Promise<unknown> = Promise.resolve();
    await restore({
      ...quiet,
      async beforePublish() {
        other = assert.rejects(restore(), claimed);
        await other;
      },
    });
    await other;
    assert.equal(valueOf(live, count), 100);
    const [kept = '', ...more] = setAsidesIn(folder());
    assert.deepEqual(more, []);
    assert.equal(valueOf(folder(kept), count), 101);
    assert.deepEqual(leftoversIn(folder()), []);
  });

  it('is not restored again while an earlier restore has stopped half-way', async () => {
    const kept = (await restore()).items[0]?.setAside ?? '';
    const { intent } = await moveAside(applyRequest(backup, live), quiet);
    renameSync(live, folder('taken away')); // As a process that was killed leaves it, only worse.
    const unfinished = { code: 'target-in-use', message: /earlier restore .* stopped half-way/ };
    await assert.rejects(restore(), unfinished);
    await assert.rejects(undoRestore({ setAside: kept, toolVersion: '0' }, quiet), unfinished);
    await recoverInterrupted({ intent, how: 'roll-back' }, quiet);
    await restore();
    assert.equal(valueOf(live, count), 100);
  });

  it('is not held up by an intent that cannot be read, nor by what killed processes left', async () => {
    const kept = (await restore()).items[0]?.setAside ?? '';
    const broken = writeBytes(folder('.sqlite-backup-restore-0123abcd-1-0123456789ab.json'), '');
    const { child } = await start('claimer.ts', live);
    await kill(child);
    assert.equal(leftoversIn(folder()).length, 2);
    await deleteSetAside(kept);
    await restore();
    assert.deepEqual(
      leftoversIn(folder()).map((name) => folder(name)),
      [broken],
    );
    assert.deepEqual(findInterrupted(folder())[0]?.can, []);
  });
});

describe('the claim of a live path', () => {
  const folder = useTempFolder();

  it('is one for all spellings that a file system may take for one name', async () => {
    const composed = folder('\u00c4pp.db');
    await whileClaimed([composed], async () => {
      assert.ok(isClaimed(folder('a\u0308PP.DB')));
      assert.ok(!isClaimed(folder('other.db')));
      await assert.rejects(
        whileClaimed([folder('other.db'), composed], () => undefined),
        { code: 'target-in-use' },
      );
      assert.ok(!isClaimed(folder('other.db')));
    });
    assert.ok(!isClaimed(composed));
    assert.deepEqual(leftoversIn(folder()), []);
  });

  it('of a set that names one file twice is taken once', async () => {
    assert.equal(await whileClaimed([folder('a.db'), folder('A.db')], () => 7), 7);
  });

  it('is not swept while it is held, and not taken from a file that only looks like one', async () => {
    const other = folder('.sqlite-backup-claim-not');
    writeFileSync(other, 'mine');
    await whileClaimed([folder('a.db')], () => {
      sweepClaims(folder());
      assert.ok(isClaimed(folder('a.db')));
    });
    assert.deepEqual(leftoversIn(folder()), ['.sqlite-backup-claim-not']);
  });
});
