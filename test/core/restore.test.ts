import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { basename } from 'node:path';
import { setAsideNames } from '../../src/core/manifest/names.ts';
import { applyRestore, moveAside, putInPlace } from '../../src/core/restore/apply.ts';
import { proveRestored } from '../../src/core/restore/proof.ts';
import { findInterrupted, recoverInterrupted } from '../../src/core/restore/recovery.ts';
import { deleteSetAside, listSetAsides } from '../../src/core/restore/setAside.ts';
import { undoRestore } from '../../src/core/restore/undo.ts';
import { liveStateOf } from '../../src/core/sqlite/siblings.ts';
import {
  bytesOf,
  contentOf,
  createDatabase,
  overwrite,
  sha256,
  siblingsBeside,
  valueOf,
  withDatabase,
  writeBytes,
} from '../support/databases.ts';
import { endProcessesAfterEach, holdOpen, isLinuxRoot, kill } from '../support/processes.ts';
import {
  applyRequest,
  insertItem,
  leftoversIn,
  prepareRestore,
  quiet,
  setAsidesIn,
} from '../support/restores.ts';
import { useTempFolder } from '../support/tempFolders.ts';
import { itInPart } from '../support/operations.ts';

const count = 'SELECT count(*) FROM items';

describe('a restore', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();
  let live = '';
  let backup = '';

  /** 100 rows in the backup, 101 live. */
  const prepare = async (journalMode: 'wal' | 'delete' = 'wal'): Promise<void> => {
    ({ live, backup } = await prepareRestore(folder('app.db'), journalMode));
  };

  beforeEach(() => prepare());

  const restore = (
    changes: Parameters<typeof applyRequest>[2] = {},
  ): ReturnType<typeof applyRestore> => applyRestore(applyRequest(backup, live, changes), quiet);

  const namesIn = (): string[] =>
    [...readdirSync(folder()), ...readdirSync(folder('backups'))].filter(
      (name) => !/^app\.db-(wal|shm)$/.test(name),
    );

  /** Expects a refusal with this code, after which nothing has changed. */
  const expectRefusal = async (code: string, action: () => Promise<unknown>): Promise<Error> => {
    const before = bytesOf(live);
    const names = namesIn();
    let thrown: unknown;
    try {
      await action();
    } catch (error) {
      thrown = error;
    }
    assert.ok(thrown instanceof Error, 'it was not refused');
    assert.equal(Reflect.get(thrown, 'code'), code, thrown.message);
    const after = bytesOf(live);
    if (before['-wal'] === undefined) delete after['-wal']; // Reading may leave an empty one.
    assert.deepEqual(after, before);
    assert.deepEqual(namesIn(), names);
    return thrown;
  };

  describe('is refused, and changes nothing,', () => {
    it('from a damaged backup', async () => {
      overwrite(backup, 5000, Buffer.from('damage'));
      await expectRefusal('backup-damaged', () => restore());
    });

    it('from a backup that is not there, and from text', async () => {
      await expectRefusal('source-missing', () =>
        applyRestore(applyRequest(folder('none.db'), live), quiet),
      );
      const text = writeBytes(folder('backups/notes.txt'), 'mine');
      await expectRefusal('backup-damaged', () => applyRestore(applyRequest(text, live), quiet));
    });

    it('onto the backup, a backup, a sibling, a folder, one file twice, or a missing folder', async () => {
      mkdirSync(folder('sub'));
      symlinkSync(live, folder('link.db'));
      const items = (...targets: string[]): Parameters<typeof restore>[0] => ({
        items: targets.map((target) => ({ target })),
      });
      await expectRefusal('name-taken', () => restore(items(backup)));
      await expectRefusal('bad-name', () => restore(items(`${live}-wal`)));
      await expectRefusal('bad-name', () => restore(items(`${folder('x.db')} `)));
      await expectRefusal('bad-name', () => restore(items('')));
      await expectRefusal('bad-name', () => restore(items()));
      await expectRefusal('not-a-database', () => restore(items(folder('sub'))));
      await expectRefusal('bad-name', () => restore(items(live, folder('link.db'))));
      await expectRefusal('access', () => restore(items(folder('none/app.db'))));
    });

    it('while a program has the database open, by name and pid', async function () {
      if (process.platform !== 'linux') this.skip(); // Elsewhere other programs have to be asked.
      for (const journalMode of ['wal', 'delete'] as const) {
        await prepareAgain(journalMode);
        for (const statements of [
          [],
          ["BEGIN IMMEDIATE; UPDATE items SET name = 'x' WHERE id = 1"],
        ]) {
          const holder = await holdOpen(live, count, ...statements);
          const error = await expectRefusal('target-in-use', () => restore());
          assert.match(error.message, new RegExp(`node \\(pid ${holder.pid}\\)`));
          await kill(holder);
        }
      }
    });

    it('of a name that is too long for what an undo would have to keep', async () => {
      const long = createDatabase(folder(`${'n'.repeat(222)}.db`));
      await expectRefusal('bad-name', () => restore({ items: [{ target: long }] }));
      const fresh = folder(`${'n'.repeat(248)}.db`);
      await expectRefusal('bad-name', () => restore({ items: [{ target: fresh }] }));
      await restore({ items: [{ target: folder(`${'n'.repeat(220)}.db`) }] });
    });

    it('when the database has changed since the preview', async () => {
      const liveStates = [liveStateOf(live)];
      withDatabase(live, (db) => db.exec(insertItem));
      await expectRefusal('target-in-use', () => restore({ liveStates }));
      await restore({ liveStates: [liveStateOf(live)] });
      assert.equal(valueOf(live, count), 100);
    });

    const prepareAgain = async (journalMode: 'wal' | 'delete'): Promise<void> => {
      rmSync(folder(), { recursive: true });
      mkdirSync(folder());
      await prepare(journalMode);
    };
  });

  it('brings back the rows, keeps the old database complete, and a safety snapshot of it', async () => {
    const expected = contentOf(backup);
    const [item] = (await restore()).items;
    assert.ok(item);
    assert.equal(item.verified, 'ok');
    assert.deepEqual(item.findings, []);
    assert.deepEqual(siblingsBeside(live), []);
    assert.deepEqual(contentOf(live), expected);
    assert.equal(valueOf(item.setAside ?? '', count), 101);
    assert.equal(valueOf(item.safetySnapshot ?? '', count), 101);
    assert.match(basename(item.setAside ?? ''), /^app\.db\.bad-\d{8}_\d{6}Z$/);
    assert.deepEqual(item.tables, [{ name: 'items', rows: 100 }]);
    assert.deepEqual(leftoversIn(folder()), []);
  });

  for (const journalMode of ['wal', 'delete'] as const) {
    it(`gives the file the journal mode ${journalMode} again`, async () => {
      rmSync(folder(), { recursive: true });
      mkdirSync(folder());
      await prepare(journalMode);
      await restore();
      assert.equal(
        withDatabase(live, (db) => db.pragma('journal_mode', { simple: true })),
        journalMode,
      );
    });
  }

  itInPart(
    'is not undone by a stale -wal: the application died, its siblings lie there',
    async () => {
      const holder = await holdOpen(live, insertItem, insertItem, insertItem);
      await kill(holder);
      assert.deepEqual(siblingsBeside(live), ['-wal', '-shm']);
      const [item] = (await restore()).items;
      assert.equal(valueOf(live, count), 100);
      assert.equal(valueOf(item?.setAside ?? '', count), 104);
    },
  );

  it('is not undone by a stale -wal beside a file that is gone', async () => {
    const holder = await holdOpen(live, insertItem, insertItem, insertItem);
    await kill(holder);
    rmSync(live);
    const wal = sha256(`${live}-wal`);
    const [item] = (await restore()).items;
    assert.equal(valueOf(live, count), 100);
    assert.equal(sha256(`${item?.setAside}-wal`), wal);
  });

  it('is not undone by a stale -journal', async () => {
    withDatabase(live, (db) => db.pragma('journal_mode = delete'));
    const { start } = await import('../support/processes.ts');
    const { child } = await start('hotJournal.ts', live);
    await kill(child);
    assert.deepEqual(siblingsBeside(live), ['-journal']);
    const before = bytesOf(live);
    const [item] = (await restore()).items;
    assert.equal(valueOf(live, count), 100);
    assert.equal(item?.safetyFailure?.code, 'hot-journal');
    assert.deepEqual(bytesOf(item.setAside ?? ''), before);
  });

  it('goes to a new file, which is private, and has no set-aside', async () => {
    const target = folder('restored.db');
    const [item] = (await restore({ items: [{ target }] })).items;
    assert.equal(valueOf(target, count), 100);
    assert.deepEqual([item?.setAside, item?.safetySnapshot], [undefined, undefined]);
    if (process.platform !== 'win32') assert.equal(statSync(target).mode & 0o777, 0o600);
    assert.equal(valueOf(live, count), 101);
    assert.deepEqual(setAsidesIn(folder()), []);
  });

  for (const [what, damage] of [
    ['damaged', () => overwrite(live, 0, Buffer.alloc(4096, 7))],
    ['empty', () => writeBytes(live, '')],
    ['text', () => writeBytes(live, 'not a database')],
  ] as const) {
    it(`replaces a live file that is ${what}, and keeps that`, async () => {
      damage();
      const before = sha256(live);
      const [item] = (await restore()).items;
      assert.equal(valueOf(live, count), 100);
      assert.equal(sha256(item?.setAside ?? ''), before);
      assert.ok(item?.safetyFailure);
    });
  }

  it('takes another name when that of the set-aside is taken, also by one sibling', async () => {
    const taken: string[] = [];
    // The seconds to come, in all four forms.
    for (let ms = 0; ms < 20_000; ms += 1000) {
      const [name = ''] = setAsideNames('app.db', new Date(Date.now() + ms));
      const part = ['', '-wal', '-shm', '-journal'][(ms / 1000) % 4] ?? '';
      taken.push(writeBytes(folder(name + part), 'mine'));
    }
    const [item] = (await restore()).items;
    assert.match(item?.setAside ?? '', /Z-2$/);
    for (const path of taken) assert.equal(readFileSync(path, 'utf8'), 'mine');
  });

  it('keeps a symbolic link, and replaces the file behind it', async () => {
    mkdirSync(folder('links'));
    symlinkSync('../app.db', folder('links/app.db'));
    const [item] = (await restore({ items: [{ target: folder('links/app.db') }] })).items;
    assert.ok(lstatSync(folder('links/app.db')).isSymbolicLink());
    assert.equal(item?.realTarget, live);
    assert.equal(valueOf(live, count), 100);
    assert.deepEqual(readdirSync(folder('links')), ['app.db']);
  });

  it('makes the file that a link leads to when that is missing', async () => {
    symlinkSync('new.db', folder('dangling.db'));
    await restore({ items: [{ target: folder('dangling.db') }] });
    assert.equal(valueOf(folder('new.db'), count), 100);
    assert.ok(lstatSync(folder('dangling.db')).isSymbolicLink());
  });

  it('gives the file its mode again, and as root its owner', async function () {
    if (process.platform === 'win32') this.skip(); // Modes and owners are of POSIX.
    chmodSync(live, 0o640);
    if (isLinuxRoot) chownSync(live, 1234, 4321);
    await restore();
    const { mode, uid, gid } = statSync(live);
    assert.equal(mode & 0o7777, 0o640);
    if (isLinuxRoot) assert.deepEqual([uid, gid], [1234, 4321]);
  });

  it('takes a copy by other means with its -wal, and one in WAL mode stays in it', async () => {
    const holder = await holdOpen(live, insertItem, insertItem);
    for (const part of ['', '-wal'])
      writeFileSync(folder(`copy.db${part}`), readFileSync(live + part));
    await kill(holder);
    const request = applyRequest(folder('copy.db'), live, { acceptUnproved: true });
    const [item] = (await applyRestore(request, quiet)).items;
    assert.equal(valueOf(live, count), 103);
    assert.equal(item?.verified, 'partial');
  });

  it('goes on although a program has it open when the person says so', async () => {
    await holdOpen(live, count);
    const [item] = (await restore({ ignoreHolders: true })).items;
    assert.equal(valueOf(live, count), 100);
    assert.equal(valueOf(item?.setAside ?? '', count), 101);
  });

  it('puts the old database back when what it restored is not sound afterwards', async () => {
    const before = contentOf(live);
    const error = await applyRestore(applyRequest(backup, live), {
      ...quiet,
      onProgress({ phase }) {
        if (phase === 'prove') overwrite(live, 4096, Buffer.alloc(4096, 9));
      },
    }).then(
      () => undefined,
      (thrown: unknown) => thrown as Error,
    );
    assert.equal(Reflect.get(error ?? {}, 'code'), 'backup-damaged');
    assert.match(error?.message ?? '', /previous database is live again/);
    assert.deepEqual(contentOf(live), before);
    assert.deepEqual(leftoversIn(folder()), []);
    assert.equal(setAsidesIn(folder()).length, 1);
  });

  it('removes what did not work out where nothing was before', async () => {
    const target = folder('new.db');
    await assert.rejects(
      applyRestore(applyRequest(backup, target), {
        ...quiet,
        onProgress({ phase }) {
          if (phase === 'prove') overwrite(target, 4096, Buffer.alloc(4096, 9));
        },
      }),
      { code: 'backup-damaged' },
    );
    assert.ok(!existsSync(target));
    assert.deepEqual(leftoversIn(folder()), []);
  });

  it('can be cancelled until everything is proved, and leaves nothing but the safety snapshot', async () => {
    const before = bytesOf(live);
    await assert.rejects(
      applyRestore(applyRequest(backup, live), {
        ...quiet,
        beforePublish: () => Promise.reject(new Error('no')),
      }),
      /no/,
    );
    assert.equal(bytesOf(live)[''], before['']);
    assert.deepEqual(leftoversIn(folder()), []);
    assert.deepEqual(setAsidesIn(folder()), []);
  });

  describe('of several databases', () => {
    it('stages all before the first is moved: one bad item, and nothing changes', async () => {
      const other = createDatabase(folder('other.db'));
      const before = [sha256(live), sha256(other)];
      await assert.rejects(
        restore({ items: [{ target: live }, { target: other, member: 'none.db' }] }),
        { code: 'bad-name' },
      );
      assert.deepEqual([sha256(live), sha256(other)], before);
      assert.deepEqual(leftoversIn(folder()), []);
    });

    it('in several folders, all or none', async () => {
      mkdirSync(folder('a'));
      mkdirSync(folder('b'));
      const targets = [createDatabase(folder('a/one.db'), { rows: 5 }), folder('b/two.db')];
      const { items } = await restore({ items: targets.map((target) => ({ target })) });
      for (const target of targets) assert.equal(valueOf(target, count), 100);
      assert.equal(items.filter(({ setAside }) => setAside !== undefined).length, 1);
      for (const one of ['a', 'b']) assert.deepEqual(leftoversIn(folder(one)), []);
    });

    it('brings the first back when the second fails at the last moment', async () => {
      mkdirSync(folder('a'));
      mkdirSync(folder('b'));
      const one = createDatabase(folder('a/one.db'), { rows: 5 });
      const two = createDatabase(folder('b/two.db'), { rows: 6 });
      const before = [sha256(one), sha256(two)];
      await assert.rejects(
        applyRestore(applyRequest(backup, one, { items: [{ target: one }, { target: two }] }), {
          ...quiet,
          onProgress({ phase }) {
            // Before the second can be linked, its folder loses the staged copy.
            if (phase === 'move')
              for (const name of leftoversIn(folder('b')).filter((one) => one.startsWith('.tmp-')))
                rmSync(folder('b', name, '1.db'), { force: true });
          },
        }),
      );
      assert.deepEqual([sha256(one), sha256(two)], before);
      for (const at of ['a', 'b']) {
        assert.deepEqual(leftoversIn(folder(at)), []);
        assert.deepEqual(setAsidesIn(folder(at)), []);
      }
    });
  });

  describe('step by step', () => {
    it('moves aside without taking the live database away, then puts the backup in its place', async () => {
      const moved = await moveAside(applyRequest(backup, live), quiet);
      assert.equal(valueOf(live, count), 101);
      assert.ok(existsSync(moved.items[0]?.setAside ?? ''));
      assert.equal(findInterrupted(folder()).length, 1);
      const { items } = await putInPlace({ intent: moved.intent }, quiet);
      assert.equal(valueOf(live, count), 100);
      assert.equal(items[0]?.verified, 'ok');
      assert.equal(items[0]?.safetySnapshot, moved.items[0]?.safetySnapshot);
      assert.deepEqual(findInterrupted(folder()), []);
      assert.deepEqual(leftoversIn(folder()), []);
      const [proof] = await proveRestored({ backup, items: [{ target: live }] });
      assert.deepEqual([proof?.status, proof?.findings], ['ok', []]);
    });

    it('can go back after the move', async () => {
      const before = contentOf(live);
      const { intent } = await moveAside(applyRequest(backup, live), quiet);
      const [found] = findInterrupted(folder());
      assert.deepEqual(found?.can, ['finish', 'roll-back']);
      await recoverInterrupted({ intent, how: 'roll-back' }, quiet);
      assert.deepEqual(contentOf(live), before);
      assert.deepEqual(setAsidesIn(folder()), []);
      assert.deepEqual(leftoversIn(folder()), []);
    });

    it('does not put the backup over what an application wrote after the move', async () => {
      const { intent } = await moveAside(applyRequest(backup, live), quiet);
      const holder = await holdOpen(live, insertItem);
      await kill(holder);
      await assert.rejects(putInPlace({ intent }, quiet), { code: 'target-in-use' });
      assert.deepEqual(findInterrupted(folder())[0]?.can, ['roll-back']);
      await recoverInterrupted({ intent, how: 'roll-back' }, quiet);
      assert.equal(valueOf(live, count), 102);
    });

    it('does not go where a link has led before, and does not say so', async () => {
      const other = createDatabase(folder('other.db'), { rows: 3 });
      symlinkSync(live, folder('link.db'));
      const { intent } = await moveAside(applyRequest(backup, folder('link.db')), quiet);
      rmSync(folder('link.db'));
      symlinkSync(other, folder('link.db'));
      await assert.rejects(putInPlace({ intent }, quiet), /now leads to .*other\.db/);
      assert.deepEqual([valueOf(live, count), valueOf(other, count)], [101, 3]);
      await recoverInterrupted({ intent, how: 'roll-back' }, quiet);
      assert.deepEqual(leftoversIn(folder()), []);
    });

    it('takes nothing away when what it would put back is not there', async () => {
      const { intent, items } = await moveAside(applyRequest(backup, live), quiet);
      const { setAside = '' } = items[0] ?? {};
      rmSync(live);
      renameSync(setAside, folder('elsewhere'));
      const before = namesIn();
      const action = recoverInterrupted({ intent, how: 'roll-back' }, quiet);
      await assert.rejects(action, /no longer exists/);
      assert.deepEqual(namesIn(), before);
      renameSync(folder('elsewhere'), setAside);
      await recoverInterrupted({ intent, how: 'roll-back' }, quiet);
      assert.equal(valueOf(live, count), 101);
    });

    it('does not begin when the old database is neither live nor set aside any more', async () => {
      const { intent, items } = await moveAside(applyRequest(backup, live), quiet);
      renameSync(live, folder('elsewhere'));
      rmSync(items[0]?.setAside ?? '');
      await assert.rejects(
        putInPlace({ intent }, quiet),
        /app\.db no longer exists\. This restore did not move it/,
      );
      assert.ok(!existsSync(live));
      renameSync(folder('elsewhere'), live);
      await putInPlace({ intent }, quiet);
      assert.equal(valueOf(live, count), 100);
      assert.equal(valueOf(items[0]?.setAside ?? '', count), 101);
    });

    it('says in what the live database differs from the backup by now, and calls that no damage', async () => {
      await restore();
      withDatabase(live, (db) => db.exec(insertItem));
      const [proof] = await proveRestored({ backup, items: [{ target: live }] });
      assert.equal(proof?.status, 'partial');
      assert.deepEqual(
        proof.findings.map(({ code }) => code),
        ['rows-differ'],
      );
    });
  });

  describe('undone', () => {
    it('puts the old database back, byte for byte with its siblings, and keeps the restored one', async () => {
      const holder = await holdOpen(live, insertItem);
      await kill(holder);
      const before = bytesOf(live);
      const [item] = (await restore()).items;
      const undone = await undoRestore({ setAside: item?.setAside ?? '', toolVersion: '0' }, quiet);
      assert.equal(undone.target, live);
      assert.deepEqual(bytesOf(live), before);
      assert.equal(valueOf(undone.setAside ?? '', count), 100);
      assert.deepEqual(
        setAsidesIn(folder()).map((name) => folder(name)),
        [undone.setAside],
      );
      assert.deepEqual(leftoversIn(folder()), []);
    });

    it('loses nothing that the application has written since', async () => {
      const [item] = (await restore()).items;
      const holder = await holdOpen(live, insertItem, insertItem);
      await kill(holder);
      const undone = await undoRestore({ setAside: item?.setAside ?? '', toolVersion: '0' }, quiet);
      assert.equal(valueOf(undone.setAside ?? '', count), 102);
      assert.equal(valueOf(live, count), 101);
      // And once more, the other way round.
      await undoRestore({ setAside: undone.setAside ?? '', toolVersion: '0' }, quiet);
      assert.equal(valueOf(live, count), 102);
    });

    it('works when the live file is gone, and for a set-aside that is no database', async () => {
      writeBytes(live, 'not a database');
      const [item] = (await restore()).items;
      rmSync(live);
      const undone = await undoRestore({ setAside: item?.setAside ?? '', toolVersion: '0' }, quiet);
      assert.equal(readFileSync(live, 'utf8'), 'not a database');
      assert.equal(undone.verified, 'damaged');
    });

    it('is refused while the database is open, and of files that are no set-aside', async () => {
      const [item] = (await restore()).items;
      const holder = await holdOpen(live, count);
      await expectRefusal('target-in-use', () =>
        undoRestore({ setAside: item?.setAside ?? '', toolVersion: '0' }, quiet),
      );
      await kill(holder);
      await expectRefusal('bad-name', () =>
        undoRestore({ setAside: backup, toolVersion: '0' }, quiet),
      );
      await expectRefusal('source-missing', () =>
        undoRestore({ setAside: folder('app.db.bad-20260101_000000Z'), toolVersion: '0' }, quiet),
      );
    });
  });

  describe('leaves set-asides that', () => {
    it('are listed, newest first, and deleted only by name', async () => {
      const first = (await restore()).items[0]?.setAside ?? '';
      const second = (await restore()).items[0]?.setAside ?? '';
      utimesSync(first, 0, 0);
      const listed = listSetAsides(live);
      assert.deepEqual(
        listed.map(({ path }) => path),
        [second, first],
      );
      assert.equal(listed[0]?.target, live);
      assert.deepEqual(listSetAsides(folder()), listed);
      assert.deepEqual((await deleteSetAside(first)).removed[0], first);
      assert.equal(listSetAsides(live).length, 1);
      await assert.rejects(deleteSetAside(live), { code: 'bad-name' });
      assert.ok(existsSync(live));
    });

    it('are told from a file of such a name that no restore has recorded', async () => {
      const kept = (await restore()).items[0]?.setAside ?? '';
      const stray = folder('notes.bad-20260101_000000Z');
      writeFileSync(stray, 'of another program');
      const listed = new Map(listSetAsides(folder()).map((one) => [one.path, one.isRecorded]));
      assert.deepEqual([listed.get(kept), listed.get(stray)], [true, false]);
    });

    it('are not deleted while a restore is not finished', async () => {
      const { intent, items } = await moveAside(applyRequest(backup, live), quiet);
      await assert.rejects(deleteSetAside(items[0]?.setAside ?? ''), { code: 'target-in-use' });
      await recoverInterrupted({ intent, how: 'roll-back' }, quiet);
    });
  });
});
