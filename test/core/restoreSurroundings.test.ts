import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { checkDatabase } from '../../src/core/doctor/database.ts';
import { applyRestore, moveAside } from '../../src/core/restore/apply.ts';
import { planRestore } from '../../src/core/restore/plan.ts';
import { findInterrupted, recoverInterrupted } from '../../src/core/restore/recovery.ts';
import { undoRestore } from '../../src/core/restore/undo.ts';
import { bytesOf, snapshot, valueOf, withDatabase } from '../support/databases.ts';
import {
  asNobody,
  endProcessesAfterEach,
  fixture,
  holdOpen,
  isLinuxRoot,
  run,
} from '../support/processes.ts';
import { applyRequest, prepareRestore, quiet } from '../support/restores.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('what lies around the target of a restore', () => {
  const mounted: string[] = [];
  afterEach(() => {
    for (const path of mounted.splice(0)) execFileSync('umount', ['-l', path]);
  });
  const folder = useTempFolder();
  endProcessesAfterEach();
  let live = '';
  let backup = '';

  beforeEach(async () => {
    ({ live, backup } = await prepareRestore(folder('app.db')));
  });

  const remarks = async (target = live): Promise<string> => {
    const request = { backup, items: [{ target }], trustManifest: true };
    const { findings } = await planRestore(request, { onProgress: () => undefined });
    return findings.map(({ message }) => message).join('\n');
  };

  it('is not mentioned where there is nothing to say', async () => {
    assert.equal(await remarks(), '');
    assert.equal(await remarks(folder('new.db')), '');
  });

  it('is told in the plan: other names, replicas, a -wal without its database', async () => {
    linkSync(live, folder('other.db'));
    mkdirSync(folder('.app.db-litestream'));
    writeFileSync(folder('app.db-info'), '{}');
    const words = await remarks();
    assert.match(words, /app\.db has 2 names \(hard links\)/);
    assert.match(words, /Litestream replicates .*remove \.app\.db-litestream:/);
    assert.match(words, /replica of a libSQL server \(app\.db-info\)/);
    for (const name of ['other.db', 'app.db', 'app.db-info']) rmSync(folder(name));
    writeFileSync(`${live}-wal`, 'newest transactions');
    assert.match(await remarks(), /does not exist, but app\.db-wal is there/);
  });

  it('is told of Litestream by its tables too, beside a program that writes, behind many other tables', async () => {
    withDatabase(live, (db) => db.exec('CREATE VIEW _litestream_seq AS SELECT 1'));
    assert.equal(await remarks(), '');
    const others = Array.from(
      { length: 200 },
      (_, n) => `CREATE TABLE other_${n} (id, name, note)`,
    );
    await holdOpen(
      live,
      ...['PRAGMA journal_mode = wal', others.join(';'), 'CREATE TABLE _litestream_lock (id)'],
      ...['PRAGMA wal_checkpoint(TRUNCATE)', 'INSERT INTO other_1 VALUES (1, 2, 3)'],
    );
    assert.match(
      await remarks(),
      /has a table of Litestream \(_litestream_lock\).* run litestream reset/,
    );
    const checks = await checkDatabase(live);
    assert.ok(checks.some(({ text }) => /table of Litestream/.test(text)));
  });

  it('does not count the names that a restore between its steps gives to the database', async () => {
    withDatabase(live, (db) => db.pragma('journal_mode = wal'));
    const request = applyRequest(backup, live, { folder: folder('safety') });
    const moved = await moveAside(request, quiet);
    assert.equal(statSync(live).nlink, 2);
    assert.equal(await remarks(), '');
    const { manifest } = await snapshot(live, { folder: folder('meanwhile') });
    assert.doesNotMatch(JSON.stringify(manifest), /hard.link/);
    const checks = await checkDatabase(live);
    assert.deepEqual(
      checks.filter(({ text }) => text.includes('hard links')),
      [],
    );
    linkSync(live, folder('other.db'));
    assert.match(await remarks(), /app\.db has 2 names \(hard links\)/);
    rmSync(folder('other.db'));
    await recoverInterrupted({ intent: moved.intent, how: 'roll-back' }, quiet);
  });

  it('refuses a database that is mounted as a single file before anything is named, with a way on', async function () {
    if (!isLinuxRoot) this.skip(); // Only root on Linux may mount.
    const { setAside = '' } =
      (await applyRestore(applyRequest(backup, live), quiet)).items[0] ?? {};
    execFileSync('mount', ['--bind', live, live]);
    mounted.push(live);
    const before = [bytesOf(live), readdirSync(folder())];
    const refusal = { code: 'access', message: /mounted as a single file/ };
    await assert.rejects(applyRestore(applyRequest(backup, live), quiet), refusal);
    await assert.rejects(moveAside(applyRequest(backup, live), quiet), refusal);
    await assert.rejects(undoRestore({ setAside, toolVersion: '0' }, quiet), refusal);
    assert.deepEqual([bytesOf(live), readdirSync(folder())], before);
    assert.match(await remarks(), /Restore to a new file\. Then stop the programs/);
  });

  it('refuses the file of another user in a sticky folder, which this user could not replace', async function () {
    if (!isLinuxRoot) this.skip(); // Only root may give files away.
    chmodSync(folder(), 0o1777);
    chmodSync(live, 0o666);
    for (const path of [backup, `${backup}.json`]) chownSync(path, 65534, 65534);
    const names = readdirSync(folder());
    const request = JSON.stringify(applyRequest(backup, live, { folder: folder('safety') }));
    const job = [process.execPath, fixture('restoreJob.ts'), 'apply', request];
    const { code, stdout } = await run([...asNobody, ...job]);
    assert.equal(code, 1);
    assert.match(
      stdout,
      /belongs to another user, in a folder where only its owner may replace it/,
    );
    assert.deepEqual(readdirSync(folder()), names);
    assert.equal(valueOf(live, 'SELECT count(*) FROM items'), 101);
  });

  it('shows an interrupted restore in the folder of the link that it followed', async () => {
    mkdirSync(folder('links'));
    symlinkSync(live, folder('links/app.db'));
    symlinkSync(folder('none'), folder('links/dangling.db'));
    await moveAside(applyRequest(backup, folder('links/app.db')), quiet);
    assert.equal(findInterrupted(folder('links')).length, 1);
    assert.deepEqual(findInterrupted(folder('links')), findInterrupted(folder()));
  });

  it('is another file when a name is not UTF-8, and that is refused', async () => {
    const target = folder('\uFFFD\uFFFD.db');
    const restoring = applyRestore(applyRequest(backup, live, { items: [{ target }] }), quiet);
    await assert.rejects(restoring, { code: 'bad-name', message: /not a name in UTF-8/ });
  });
});
