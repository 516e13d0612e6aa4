import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { answers } from '../../src/core/files/answering.ts';
import { pause } from '../../src/core/pause.ts';
import { Catalogs } from '../../src/editor/catalogs.ts';
import { WorkerClient } from '../../src/worker/client.ts';
import { createDatabase, snapshot } from '../support/databases.ts';
import { isLinuxRoot, needProgram, workerEntry } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

/** As a network folder whose server is gone: the driver of its file system is a process that stops. */
describe('a backups folder that hangs', function () {
  afterEach(() => {
    if (driver === 0) return;
    process.kill(driver, 'SIGCONT');
    execFileSync('umount', ['-l', folder('backups')]);
    driver = 0;
  });

  const folder = useTempFolder();
  let driver = 0;

  before(function () {
    if (!isLinuxRoot) this.skip(); // Only root on Linux may mount.
    needProgram('bindfs', 'bindfs');
  });

  beforeEach(async () => {
    await snapshot(createDatabase(folder('app.db')), { folder: folder('real') });
    mkdirSync(folder('backups'));
    const options = ['-f', '--multithreaded', '--no-allow-other'];
    driver =
      spawn('bindfs', [...options, folder('real'), folder('backups')], { stdio: 'ignore' }).pid ??
      0;
    while (readdirSync(folder('backups')).length === 0) pause(5);
  });

  const hang = (): void => {
    process.kill(driver, 'SIGSTOP');
    // Until then, one of its threads may still answer.
    const threads = `/proc/${driver}/task`;
    const isStopped = (thread: string): boolean =>
      readFileSync(`${threads}/${thread}/stat`, 'utf8').includes(') T');
    while (!readdirSync(threads).every(isStopped)) pause(1);
  };

  it('is named, however often it is looked at, holds up no other work, and is listed when it answers', async () => {
    const errors: unknown[] = [];
    const worker = new WorkerClient({ entry: workerEntry });
    const again = Promise.withResolvers<void>();
    const catalogs = new Catalogs(
      worker,
      { error: (_text, error) => errors.push(error) },
      again.resolve,
    );
    assert.equal((await catalogs.list(folder('backups'))).length, 1);
    hang();
    // More often than this process has threads for files.
    for (let looks = 0; looks < 8; looks++)
      assert.deepEqual(await catalogs.list(folder('backups')), []);
    assert.match(catalogs.problemOf(folder('backups')) ?? '', /backups does not answer/);
    assert.equal(errors.length, 1, 'it is told once');
    assert.ok((await stat(folder('app.db'))).size > 0);
    assert.equal(await answers(folder('real')), true);
    const { databases } = await worker.call('inspect', { paths: [folder('app.db')] });
    assert.equal(databases.length, 1);
    await assert.rejects(worker.call('list', { folder: folder('backups') }), {
      code: 'deadline',
      message: /does not answer\. Nothing was changed/,
    });

    process.kill(driver, 'SIGCONT');
    await again.promise;
    assert.equal((await catalogs.list(folder('backups'))).length, 1);
    assert.equal(catalogs.problemOf(folder('backups')), undefined);
    assert.ok(existsSync(folder('backups')));
  });
});
