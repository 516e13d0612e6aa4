import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, linkSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Check } from '../../src/core/doctor/check.ts';
import { type DoctorSubject, examine } from '../../src/core/doctor/doctor.ts';
import { verifyBackup } from '../../src/core/verify/verifyBackup.ts';
import { WorkerClient } from '../../src/worker/client.ts';
import { runDoctor } from '../../src/worker/doctor.ts';
import { createDatabase, flipValue, snapshot } from '../support/databases.ts';
import {
  asNobody,
  cliEntry,
  endProcessesAfterEach,
  holdOpen,
  isLinuxRoot,
  run,
  runCli,
  workerEntry,
} from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('Doctor', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();
  let database = '';
  beforeEach(() => (database = createDatabase(folder('app.db'))));

  const ofFolder = (path: string, now?: Date): Promise<Check[]> =>
    examine({ kind: 'backupsFolder', path, databases: [{ title: 'app.db', path: database }] }, now);
  const ofDatabase = (path = database): Promise<Check[]> => examine({ kind: 'database', path });
  const problems = (checks: Check[]): string[] =>
    checks.filter(({ status }) => status === 'problem').map(({ text }) => text);
  const texts = (checks: Check[]): string => checks.map(({ text }) => text).join('\n');

  describe('of a backups folder', () => {
    it('that is a file, or may not be written, says what to do', async function () {
      writeFileSync(folder('file'), '');
      for (const path of [folder('file'), folder('file/below')]) {
        const [check] = await ofFolder(path);
        assert.equal(check?.status, 'problem');
        assert.match(check.text, /is a file, not a folder/);
        assert.match(check.advice ?? '', /another backups folder/);
      }
      if (!isLinuxRoot) this.skip(); // Root writes everywhere, so another user asks.
      mkdirSync(folder('b'));
      chmodSync(folder(), 0o755);
      const asked = [
        ...asNobody,
        process.execPath,
        cliEntry,
        'doctor',
        database,
        '--to',
        folder('b'),
      ];
      const { code, stdout } = await run(asked, {
        env: { HOME: '/nonexistent', XDG_DATA_HOME: '' },
      });
      assert.equal(code, 1);
      assert.match(stdout, /✗ .*\/b cannot be written\.\n {6}Change its permissions/);
      assert.match(stdout, /✗ The data folder .* cannot be written/);
    });

    it('that does not exist is no problem, and is not made', async () => {
      const checks = await ofFolder(folder('new/b'));
      assert.match(texts(checks), /does not exist yet/);
      assert.deepEqual(problems(checks), []);
      rmSync(database);
      assert.throws(() => rmSync(folder('new')), { code: 'ENOENT' });
    });

    it('inside a work tree tells what git clean does', async () => {
      execFileSync('git', ['init', '-q', folder()]);
      const [found] = problems(await ofFolder(folder('backups')));
      assert.match(found ?? '', /not ignored: git add may commit/);
      writeFileSync(folder('.gitignore'), 'backups/\n');
      mkdirSync(folder('backups'));
      const checks = await ofFolder(folder('backups'));
      assert.match(texts(checks), /ignored: git clean -fdX removes the backups/);
    });

    it('that a cloud client syncs is told, and one that is only called alike is not', async () => {
      mkdirSync(folder('Dropbox/b'), { recursive: true });
      assert.match(texts(await ofFolder(folder('Dropbox/b'))), /cloud client/);
      mkdirSync(folder('MyDropboxes'));
      assert.doesNotMatch(texts(await ofFolder(folder('MyDropboxes'))), /cloud client/);
    });

    it('tells of each database how old its last good backup and its last test restore are', async () => {
      mkdirSync(folder('b'));
      assert.match(
        problems(await ofFolder(folder('b'))).join(),
        /app\.db: there is no good backup/,
      );
      const { path } = await snapshot(database, { folder: folder('b') });
      assert.match(
        texts(await ofFolder(folder('b'))),
        /newest good backup is from the last 24 hours/,
      );
      assert.match(texts(await ofFolder(folder('b'))), /has had a test restore yet/);
      await verifyBackup({ path, drill: true, folder: folder() }, () => undefined);
      const inTenDays = new Date(Date.now() + 10 * 24 * 3600_000);
      const later = texts(await ofFolder(folder('b'), inTenDays));
      assert.match(later, /newest good backup is 10 days old/);
      assert.match(later, /last test restore was 10 days ago/);
      flipValue(path, 'item 1');
      await verifyBackup({ path, drill: false, folder: folder() }, () => undefined);
      const found = problems(await ofFolder(folder('b'))).join('\n');
      assert.match(found, /1 backup is damaged, such as app_/);
      assert.match(found, /there is no good backup/);
      // A database of the same name elsewhere is another one.
      mkdirSync(folder('other'));
      const other = createDatabase(folder('other/app.db'));
      const subject: DoctorSubject = {
        kind: 'backupsFolder',
        path: folder('b'),
        databases: [{ title: 'other/app.db', path: other }],
      };
      assert.match(texts(await examine(subject)), /other\/app\.db: there is no good backup/);
    });
  });

  describe('of a database', () => {
    it('that cannot be backed up says the same as the backup would', async () => {
      writeFileSync(folder('text.db'), 'text\n'.repeat(1000));
      for (const path of [folder('missing.db'), folder('text.db'), folder()])
        assert.equal(problems(await ofDatabase(path)).length, 1, path);
      assert.deepEqual(problems(await ofDatabase()), []);
    });

    it('with a second name, or whose files a program has lost, tells it', async function () {
      linkSync(database, folder('second.db'));
      assert.match(texts(await ofDatabase()), /2 names \(hard links\)/);
      if (process.platform !== 'linux') this.skip();
      rmSync(folder('second.db'));
      await holdOpen(database, 'SELECT * FROM items');
      rmSync(database);
      const [, lost] = problems(await ofDatabase());
      assert.match(lost ?? '', /node \(pid \d+\) has deleted or replaced files of it open/);
    });
  });

  it('of the machine names the versions and loads SQLite, and shows no name of the user', async () => {
    const checks = await examine({ kind: 'environment', toolVersion: '1.2.3' });
    assert.match(
      texts(checks),
      /^SQLite Backup 1\.2\.3, Node\.js .*\nSQLite 3\.\d+\.\d+ is loaded\./,
    );
    const below = mkdtempSync(join(homedir(), 'doctor-'));
    try {
      const path = join(below, 'no.db');
      assert.match(texts(await ofDatabase(path)), /^~/);
      assert.ok(!texts(await ofDatabase(path)).includes(homedir()));
    } finally {
      rmSync(below, { recursive: true });
    }
  });

  it('prints one report on the command line, or one document', async () => {
    const { path } = await snapshot(database, { folder: folder('b') });
    assert.ok(path);
    const shown = await runCli(['doctor', '--to', 'b'], { cwd: folder() });
    assert.match(shown.stdout, /^This machine\n {2}✓ SQLite Backup/);
    assert.match(shown.stdout, /\n\napp\.db\n {2}✓ .*rollback mode\.\n\nBackups folder b\n/);
    const { stdout } = await runCli(['doctor', 'no.db', '--json'], { cwd: folder() });
    const { sections } = JSON.parse(stdout) as { sections: { title: string }[] };
    assert.deepEqual(
      sections.map(({ title }) => title),
      ['This machine', 'no.db'],
    );
  });

  it('goes on to the next subject when one gives no answer', async () => {
    writeFileSync(folder('hangs.cjs'), "process.on('message', () => undefined);");
    const workers = {
      environment: new WorkerClient({ entry: folder('hangs.cjs') }),
      database: new WorkerClient({ entry: workerEntry }),
    };
    const oneHangs = {
      call: (method: 'examine', subject: DoctorSubject, options: object) =>
        workers[subject.kind === 'environment' ? 'environment' : 'database'].call(
          method,
          subject,
          subject.kind === 'environment' ? options : {},
        ),
    } as unknown as WorkerClient;
    const request = {
      toolVersion: '0',
      databases: [{ title: 'app.db', path: database }],
      folders: [],
    };
    const [machine, second] = await runDoctor(oneHangs, request, { patienceMs: 500 });
    assert.equal(machine?.checks[0]?.status, 'problem');
    assert.match(machine.checks[0].text, /no answer within 0\.5 s/);
    assert.equal(second?.checks[0]?.status, 'ok');
  });
});
