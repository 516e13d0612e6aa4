import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  linkSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import {
  findHolders,
  parseOpenFiles,
  parseRestartManager,
} from '../../src/core/holders/holders.ts';
import { holdersOf } from '../../src/core/restore/target.ts';
import { parseMounts } from '../../src/core/files/fileSystem.ts';
import { probeLock } from '../../src/core/sqlite/locks.ts';
import { bytesOf, createDatabase } from '../support/databases.ts';
import {
  asNobody,
  endProcessesAfterEach,
  holdOpen,
  isLinuxRoot,
  kill,
  root,
  run,
  start,
} from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const read = 'SELECT count(*) FROM items';
const write = "BEGIN IMMEDIATE; UPDATE items SET name = 'x' WHERE id = 1";

describe('the holders of a database', function () {
  endProcessesAfterEach();
  const folder = useTempFolder();

  before(function () {
    if (process.platform !== 'linux') this.skip(); // Elsewhere other programs have to be asked.
  });

  const pidsOf = (...paths: string[]): number[] => findHolders(paths).holders.map(({ pid }) => pid);

  for (const journalMode of ['wal', 'delete'] as const) {
    for (const [state, statements] of [
      ['idle', [read]],
      ['in a transaction', [read, write]],
    ] as const) {
      it(`are found in ${journalMode} mode, ${state}`, async () => {
        const live = createDatabase(folder('app.db'), { journalMode });
        assert.deepEqual(pidsOf(live), []);
        const { pid } = await holdOpen(live, ...statements);
        assert.deepEqual(findHolders([live]).holders, [{ pid, name: 'node' }]);
        assert.deepEqual(pidsOf(folder('other.db'), live), [pid]);
      });
    }
  }

  it('are found under any name: through links, and after a rename or a removal', async () => {
    const live = createDatabase(folder('app.db'));
    mkdirSync(folder('other'));
    symlinkSync(live, folder('soft.db'));
    linkSync(live, folder('other/hard.db'));
    const { pid } = await holdOpen(folder('soft.db'), read);
    assert.deepEqual(pidsOf(folder('other/hard.db')), [pid]);
    assert.deepEqual(holdersOf([folder('soft.db')]).holders.length, 1);
    renameSync(live, folder('renamed.db'));
    assert.deepEqual(pidsOf(folder('renamed.db')), [pid]);
    assert.deepEqual(pidsOf(live), []);
    rmSync(folder('renamed.db'));
    rmSync(folder('other/hard.db'));
    assert.deepEqual(pidsOf(folder('renamed.db')), [pid]);
  });

  it('are found through a mount that was taken away while they used it', async function () {
    if (!isLinuxRoot) this.skip(); // Only root may mount.
    for (const name of ['real', 'view']) mkdirSync(folder(name));
    const live = createDatabase(folder('real/app.db'));
    execFileSync('mount', ['--bind', folder('real'), folder('view')]);
    const { pid } = await holdOpen(folder('view/app.db'), read).finally(() =>
      execFileSync('umount', ['-l', folder('view')]),
    );
    assert.deepEqual(pidsOf(live), [pid]);
  });

  it('of other users are found by their locks, if not by their descriptors, and that is said', async function () {
    if (!isLinuxRoot) this.skip(); // Only root can become another user.
    chmodSync(folder(), 0o755);
    for (const [journalMode, expected] of [
      ['wal', 1],
      ['delete', 0],
    ] as const) {
      const live = createDatabase(folder(`${journalMode}.db`), { journalMode });
      const holder = await holdOpen(live, read);
      const script = `import { findHolders } from '${root}/src/core/holders/holders.ts';
        console.log(JSON.stringify(findHolders([process.argv[1]])));`;
      const { stdout, stderr } = await run([
        ...asNobody,
        process.execPath,
        '--input-type=module',
        '-e',
        script,
        live,
      ]);
      assert.notEqual(stdout, '', stderr);
      const found = JSON.parse(stdout) as ReturnType<typeof findHolders>;
      assert.equal(found.known, 'own-user');
      assert.equal(found.holders.length, expected, journalMode);
      await kill(holder);
    }
  });

  it('are not known completely in a container, where the processes outside are not listed', async function () {
    if (!isLinuxRoot) this.skip(); // Only root can make one.
    const live = createDatabase(folder('app.db'), { journalMode: 'wal' });
    await holdOpen(live, read);
    const script = `import { findHolders } from '${root}/src/core/holders/holders.ts';
      console.log(JSON.stringify(findHolders([process.argv[1]])));`;
    const inside = ['unshare', '--pid', '--fork', '--mount-proc'];
    const node = [process.execPath, '--input-type=module', '-e', script, live];
    const { stdout, stderr } = await run([...inside, ...node]);
    if (/unshare failed/.test(stderr)) this.skip(); // A container may not make another one.
    assert.deepEqual(JSON.parse(stdout), { holders: [], known: 'own-user' });
  });

  it('are told apart from locks alone by a probe that changes nothing', async () => {
    for (const journalMode of ['wal', 'delete'] as const) {
      const live = createDatabase(folder(`${journalMode}.db`), { journalMode });
      const names = readdirSync(folder());
      assert.equal(probeLock(live), false);
      assert.deepEqual(readdirSync(folder()), names);
      const holder = await holdOpen(live, "INSERT INTO items (name) VALUES ('x')");
      const before = bytesOf(live);
      assert.equal(probeLock(live), false, 'idle');
      assert.deepEqual(bytesOf(live), before);
      await kill(holder);
      // Its WAL stays, and is not checkpointed by looking.
      const left = bytesOf(live);
      assert.equal(probeLock(live), false);
      assert.deepEqual(bytesOf(live), left);
      const writer = await holdOpen(live, 'BEGIN IMMEDIATE');
      assert.equal(probeLock(live), true, journalMode);
      await kill(writer);
    }
  });

  for (const journalMode of ['persist', 'truncate'] as const) {
    it(`are seen by the probe in journal_mode = ${journalMode}, whose journal stays`, async () => {
      const live = createDatabase(folder('app.db'), { journalMode });
      const idle = await holdOpen(live, `PRAGMA journal_mode = ${journalMode}`, write, 'COMMIT');
      const before = bytesOf(live);
      assert.ok('-journal' in before);
      assert.equal(probeLock(live), false, 'idle');
      await kill(idle);
      for (const statements of [['BEGIN IMMEDIATE'], [write]]) {
        const writer = await holdOpen(live, `PRAGMA journal_mode = ${journalMode}`, ...statements);
        assert.equal(probeLock(live), true, statements[0]);
        await kill(writer);
      }
    });
  }

  it('are seen by the probe in the middle of a transaction, and its journal is left to a dead program', async () => {
    const live = createDatabase(folder('app.db'), { rows: 5000 });
    const { child } = await start('hotJournal.ts', live);
    const before = bytesOf(live);
    assert.equal(probeLock(live), true);
    await kill(child);
    assert.equal(probeLock(live), false);
    assert.deepEqual(bytesOf(live), before);
  });

  it('are not waited for by the probe behind a pipe in the place of a journal', () => {
    const live = createDatabase(folder('app.db'));
    execFileSync('mkfifo', [`${live}-journal`]);
    assert.equal(probeLock(live), false);
  });
});

describe('other systems', () => {
  it('name a file system as shared by what mount prints on macOS', () => {
    const output = `/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
/dev/disk3s5 on /System/Volumes/Data (apfs, local, journaled, nobrowse)
//me@nas/My Share on /Volumes/My Share (smbfs, nodev, nosuid, mounted by me)
`;
    assert.equal(parseMounts(output, '/Users/me/app.db'), undefined);
    assert.equal(parseMounts(output, '/Volumes/My Share/app.db'), 'smbfs');
    assert.equal(parseMounts(output, '/Volumes/My Share 2/app.db'), undefined);
    assert.equal(parseMounts('', '/app.db'), undefined);
  });

  it('name holders through lsof', () => {
    const text = 'p501\ncPython\nf7\np501\nf8\np777\ncnode\n';
    assert.deepEqual(parseOpenFiles(text), [
      { pid: 501, name: 'a program' },
      { pid: 777, name: 'node' },
    ]);
    assert.deepEqual(parseOpenFiles(''), []);
  });

  it('name holders through the Restart Manager', () => {
    assert.deepEqual(parseRestartManager('12 node\r\n40 Some App\r\n\r\nnoise\r\n'), [
      { pid: 12, name: 'node' },
      { pid: 40, name: 'Some App' },
    ]);
  });
});
