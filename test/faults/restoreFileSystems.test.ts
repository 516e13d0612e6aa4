import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync } from 'node:fs';
import type { PlainError } from '../../src/core/errors.ts';
import { bytesOf, createDatabase, snapshot } from '../support/databases.ts';
import { useMounts } from '../support/mounts.ts';
import {
  asNobody,
  endProcessesAfterEach,
  fixture,
  isLinuxRoot,
  needProgram,
  run,
} from '../support/processes.ts';
import { applyRequest, leftoversIn, setAsidesIn } from '../support/restores.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('a restore on file systems of all kinds', function () {
  endProcessesAfterEach();
  const mounts = useMounts();
  const folder = useTempFolder();
  let backup = '';

  before(function () {
    if (!isLinuxRoot) this.skip(); // Only root on Linux may mount.
  });

  beforeEach(async () => {
    backup = (await snapshot(createDatabase(folder('app.db'), { rows: 10_000 }))).path;
    mkdirSync(folder('d'));
  });

  const mount = (...options: string[]): string => mounts.mount(folder('d'), ...options);

  const restore = async (
    live: string,
    prefix: string[] = [],
  ): Promise<{ code: number | null; error?: PlainError }> => {
    const request = JSON.stringify(applyRequest(backup, live, { folder: folder('safety') }));
    const { code, stdout } = await run([
      ...prefix,
      process.execPath,
      fixture('restoreJob.ts'),
      'apply',
      request,
    ]);
    return stdout === '' ? { code } : { code, error: JSON.parse(stdout) as PlainError };
  };

  const createLive = (): string => createDatabase(folder('d/app.db'), { rows: 7 });

  const expectOld = (live: string, before: Record<string, string>): void => {
    assert.deepEqual(bytesOf(live), before);
    assert.deepEqual(setAsidesIn(folder('d')), []);
    assert.deepEqual(leftoversIn(folder('d')), []);
  };

  it('without room is target-full, with the needed and the free bytes, and changes nothing', async () => {
    mount('-t', 'tmpfs', '-o', 'size=1m', 'tmpfs');
    const live = createLive();
    const before = bytesOf(live);
    const { code, error } = await restore(live);
    assert.deepEqual([code, error?.code], [1, 'target-full']);
    assert.match(error?.message ?? '', /needed.*free/);
    expectOld(live, before);
  });

  it('mounted read-only, or of another user, is refused with access, and changes nothing', async () => {
    const live = createLive();
    const before = bytesOf(live);
    chmodSync(folder(), 0o755);
    chmodSync(backup, 0o644);
    chmodSync(`${backup}.json`, 0o644);
    mkdirSync(folder('safety'));
    chmodSync(folder('safety'), 0o777);
    assert.equal((await restore(live, asNobody)).error?.code, 'access');
    expectOld(live, before);
    mount('--bind', folder('d'));
    execFileSync('mount', ['-o', 'remount,bind,ro', folder('d')]);
    const { code, error } = await restore(live);
    assert.deepEqual([code, error?.code], [1, 'access']);
    expectOld(live, before);
  });

  it('with a live file that must not change is refused, and changes nothing', async function () {
    needProgram('chattr', 'e2fsprogs');
    const live = createLive();
    const before = bytesOf(live);
    try {
      execFileSync('chattr', ['+i', live], { stdio: 'ignore' });
    } catch {
      this.skip(); // This file system has no such attribute.
    }
    const { code, error } = await restore(live);
    execFileSync('chattr', ['-i', live]);
    assert.deepEqual([code, error?.code], [1, 'access']);
    expectOld(live, before);
  });
});
