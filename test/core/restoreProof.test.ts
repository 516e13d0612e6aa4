import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { basename } from 'node:path';
import { copyWhole } from '../../src/core/files/copying.ts';
import { applyRestore, moveAside } from '../../src/core/restore/apply.ts';
import { archiveSetAside } from '../../src/core/restore/archive.ts';
import { undoRestore } from '../../src/core/restore/undo.ts';
import { bundleOf } from '../support/bundles.ts';
import {
  bytesOf,
  createDatabase,
  flipValue,
  overwrite,
  snapshot,
  valueOf,
} from '../support/databases.ts';
import { whileDisturbed } from '../support/disturbance.ts';
import { endProcessesAfterEach, holdOpen, isLinuxRoot, kill, start } from '../support/processes.ts';
import {
  applyRequest,
  insertItem,
  leftoversIn,
  prepareRestore,
  quiet,
  setAsidesIn,
} from '../support/restores.ts';
import { useTempFolder } from '../support/tempFolders.ts';
import { ThirdParty } from '../support/thirdParty.ts';
import { itInPart, itWhere } from '../support/operations.ts';

const count = 'SELECT count(*) FROM items';

describe('what a restore proves and remembers', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();
  let live = '';
  let backup = '';

  /** 100 rows in the backup, 101 live. */
  beforeEach(async () => {
    ({ live, backup } = await prepareRestore(folder('app.db')));
  });

  const restore = (
    changes: Parameters<typeof applyRequest>[2] = {},
  ): ReturnType<typeof applyRestore> => applyRestore(applyRequest(backup, live, changes), quiet);
  const undo = (
    setAside: string | undefined,
    acceptUnproved = false,
  ): ReturnType<typeof undoRestore> =>
    undoRestore({ setAside: setAside ?? '', toolVersion: '0', acceptUnproved }, quiet);

  describe('a backup that no manifest proves', () => {
    for (const [what, spoil] of [
      ['is missing', () => rmSync(`${backup}.json`)],
      ['is cut off', () => truncateSync(`${backup}.json`, 200)],
      ['is of a later format', () => change('"format": 1', '"format": 2')],
      ['is of a bundle', () => change('"kind": "snapshot"', '"kind": "bundle"')],
    ] as const) {
      it(`because it ${what}, is refused, and restored as it is only when that is said`, async () => {
        flipValue(backup, 'item 50');
        spoil();
        const before = [bytesOf(live), readdirSync(folder())];
        for (const attempt of [() => restore(), () => moveAside(applyRequest(backup, live), quiet)])
          await assert.rejects(attempt, { code: 'not-proved', message: /has no backup details/ });
        assert.deepEqual([bytesOf(live), readdirSync(folder())], before);
        const [item] = (await restore({ acceptUnproved: true })).items;
        assert.equal(item?.verified, 'partial');
        assert.match(item.findings[0]?.message ?? '', /not compared with what was backed up/);
        assert.equal(valueOf(live, count), 100);
      });
    }

    const change = (from: string, to: string): void => {
      const text = readFileSync(`${backup}.json`, 'utf8');
      assert.ok(text.includes(from));
      writeFileSync(`${backup}.json`, text.replace(from, to));
    };

    itInPart('is one state of it when a program writes to it all the time', async () => {
      const source = createDatabase(folder('busy.db'), {
        journalMode: 'wal',
        sql: 'CREATE TABLE pairs (a INTEGER, b INTEGER); INSERT INTO pairs VALUES (0, 0)',
      });
      await start('restlessPairs.ts', source);
      for (let n = 0; n < 3; n++) {
        const request = applyRequest(source, folder(`copy${n}.db`), { acceptUnproved: true });
        await applyRestore(request, quiet);
        assert.equal(valueOf(folder(`copy${n}.db`), 'SELECT count(*) FROM pairs WHERE a <> b'), 0);
        assert.equal(valueOf(folder(`copy${n}.db`), 'PRAGMA integrity_check'), 'ok');
      }
    });
  });

  it('a backup that gets shorter while it is copied is an error, and no endless work', async () => {
    const sizeBytes = statSync(backup).size;
    const cut = applyRestore(applyRequest(backup, live), {
      ...quiet,
      onProgress({ phase, doneBytes }) {
        if (phase === 'stage' && doneBytes === 0) truncateSync(backup, sizeBytes / 2);
      },
    });
    await assert.rejects(cut, { code: 'backup-damaged' });
    assert.equal(valueOf(live, count), 101);
    assert.deepEqual(leftoversIn(folder()), []);
    const large = folder('large');
    writeFileSync(large, Buffer.alloc(3_000_000));
    const copying = (): void =>
      copyWhole(large, folder('copy'), { onBytes: () => truncateSync(large, 1_000_000) });
    assert.throws(copying, { code: 'source-busy', message: /changed while it was copied/ });
    assert.ok(!existsSync(folder('copy')));
  });

  it('what a program holds right after is not checked yet, and stays where it is', async function () {
    if (process.platform !== 'linux') this.skip(); // The other program is followed by /proc.
    this.timeout(30_000);
    const other = await ThirdParty.start(folder('mailbox'));
    const { items } = await applyRestore(applyRequest(backup, live), {
      ...quiet,
      onProgress({ phase }) {
        if (phase === 'prove') other.run(live, 'BEGIN EXCLUSIVE');
      },
    });
    other.run(live, "INSERT INTO items (name) VALUES ('of the program')");
    other.run(live, 'COMMIT');
    assert.equal(other.run(live, count), 101);
    assert.match(items[0]?.verified ?? '', /unchecked|ok/);
    assert.deepEqual(setAsidesIn(folder()), [basename(items[0]?.setAside ?? '')]);
    assert.deepEqual(leftoversIn(folder()), []);
  });

  describe('a set-aside', () => {
    for (const [what, spoil, words] of [
      ['is damaged', (path: string) => flipValue(path, 'item 50'), /has changed since it was kept/],
      ['is empty', (path: string) => truncateSync(path, 0), /has changed since it was kept/],
      ['lacks its -wal', (path: string) => rmSync(`${path}-wal`), /-wal is missing/],
      [
        'has another journal',
        (path: string) => writeFileSync(`${path}-journal`, 'x'),
        /was not there when/,
      ],
    ] as const) {
      itWhere(what === 'is damaged' || what === 'lacks its -wal')(
        `that ${what} is put back only when that is said`,
        async () => {
          await kill(await holdOpen(live, 'PRAGMA wal_autocheckpoint = 0', insertItem));
          const { setAside = '' } = (await restore()).items[0] ?? {};
          spoil(setAside);
          const before = [bytesOf(live), bytesOf(setAside)];
          await assert.rejects(undo(setAside), { code: 'backup-damaged', message: words });
          assert.deepEqual([bytesOf(live), bytesOf(setAside)], before);
          const { findings } = await undo(setAside, true);
          assert.match(findings[0]?.message ?? '', words);
        },
      );
    }

    it('that nothing is recorded of is put back, and that is told', async () => {
      const { setAside = '' } = (await restore()).items[0] ?? {};
      const moved = folder('app.db.bad-20260101_000000Z');
      renameSync(setAside, moved);
      const { findings } = await undo(moved);
      assert.match(findings[0]?.message ?? '', /No record says what .* held/);
      assert.equal(valueOf(live, count), 101);
    });

    it('that a program was let go on with is put back with what it has written, and that is told', async () => {
      const other = await ThirdParty.start(folder('mailbox'));
      other.run(live, insertItem);
      const { setAside = '' } = (await restore({ ignoreHolders: true })).items[0] ?? {};
      assert.equal(other.run(live, insertItem), 1);
      other.end();
      assert.equal(valueOf(live, count), 100);
      const { findings } = await undo(setAside);
      assert.equal(findings[0]?.code, 'written-since');
      assert.equal(valueOf(live, count), 103);
    });

    it('is not archived as loose files because a disk is full, and stays', async () => {
      const { setAside = '' } = (await restore()).items[0] ?? {};
      const before = bytesOf(setAside);
      mkdirSync(folder('archive'));
      const full = (step: { call: string }): void => {
        if (step.call === 'open' || step.call === 'copyFile')
          throw Object.assign(new Error('ENOSPC: injected'), { code: 'ENOSPC', syscall: 'write' });
      };
      await whileDisturbed(folder('archive'), full, async () => {
        const request = { path: setAside, folder: folder('archive'), toolVersion: '0' };
        await assert.rejects(archiveSetAside(request, quiet), { code: 'target-full' });
      });
      assert.deepEqual(bytesOf(setAside), before);
      assert.deepEqual(readdirSync(folder('archive')), []);
    });
  });

  describe('mode, owner and group', function () {
    before(function () {
      if (!isLinuxRoot) this.skip(); // Only root may give files away.
    });

    for (const kind of ['a snapshot', 'a bundle'] as const) {
      it(`are in ${kind}, and come back when the live file is gone`, async () => {
        chmodSync(live, 0o664);
        chownSync(live, 1234, 4321);
        const member = kind === 'a bundle' ? { member: 'app.db' } : {};
        const made = kind === 'a bundle' ? await bundleOf([live]) : await snapshot(live);
        rmSync(live);
        const items = [{ target: live, ...member }];
        await applyRestore(applyRequest(made.path, live, { items }), quiet);
        const { mode, uid, gid } = statSync(live);
        assert.deepEqual([mode & 0o777, uid, gid], [0o664, 1234, 4321]);
        // Another name is another file.
        const beside = [{ target: folder('other.db'), ...member }];
        await applyRestore(applyRequest(made.path, live, { items: beside }), quiet);
        assert.equal(statSync(folder('other.db')).mode & 0o777, 0o600);
      });
    }
  });

  it('a damaged backup goes to a new file when that is said, and never over another', async () => {
    overwrite(backup, 9000, Buffer.alloc(3000, 7));
    await assert.rejects(restore(), { code: 'backup-damaged' });
    await assert.rejects(restore({ acceptUnproved: true }), { code: 'backup-damaged' });
    await assert.rejects(restore({ acceptDamaged: true }), { code: 'name-taken' });
    const target = folder('salvage.db');
    const [item] = (await restore({ items: [{ target }], acceptDamaged: true })).items;
    assert.equal(item?.verified, 'damaged');
    assert.ok(item.findings.length > 0);
    assert.deepEqual(readFileSync(target), readFileSync(backup));
    overwrite(backup, 0, Buffer.alloc(100, 7));
    const second = folder('second.db');
    await restore({ items: [{ target: second }], acceptDamaged: true });
    assert.deepEqual(readFileSync(second), readFileSync(backup));
    assert.deepEqual(leftoversIn(folder()), []);
  });
});
