import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chownSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { makePrivateFolder } from '../../src/core/files/workplace.ts';
import { createDatabase } from '../support/databases.ts';
import { endProcessesAfterEach, isLinuxRoot, kill, runCli, start } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('private copies in the temporary folder', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();
  beforeEach(() => mkdirSync(folder('tmp')));
  const left = (): string[] => readdirSync(folder('tmp')).sort();
  const cli = (...args: string[]): ReturnType<typeof runCli> =>
    runCli(args, { cwd: folder(), env: { TMPDIR: folder('tmp') } });
  const nameOfDead = (): string => {
    const parts = basename(makePrivateFolder(folder()).path).split('-');
    parts[4] = String(spawnSync('true').pid);
    return parts.join('-');
  };

  for (const [what, args] of [
    ['a comparison', ['compare', 'app.db', 'app.db']],
    ['a verification', ['verify', 'backup.db']],
    ['a test restore', ['verify', '--drill', 'backup.db']],
  ] as const) {
    it(`that a killed process left are removed by ${what}, those of a living process stay`, async () => {
      // In WAL mode neither is read where it is.
      const live = createDatabase(folder('app.db'), { journalMode: 'wal' });
      createDatabase(folder('backup.db'), { journalMode: 'wal' });
      const killed = await start('copyHolder.ts', live, folder('tmp'));
      const [gone] = left();
      await kill(killed.child);
      await start('copyHolder.ts', live, folder('tmp'));
      const [kept] = left().filter((name) => name !== gone);
      await cli(...args);
      assert.deepEqual(left(), [kept]);
    });
  }

  it('are left alone when they belong to another user, are links, or are not ours by name', async () => {
    const names = [nameOfDead(), nameOfDead(), '.tmp-sqlite-backup-', 'other'];
    const [foreign = '', link = '', ...rest] = names;
    createDatabase(folder('app.db'), { journalMode: 'wal' });
    if (isLinuxRoot) {
      mkdirSync(folder('tmp', foreign));
      chownSync(folder('tmp', foreign), 1234, 1234);
    }
    mkdirSync(folder('theirs'));
    writeFileSync(folder('theirs/precious'), '');
    symlinkSync(folder('theirs'), folder('tmp', link));
    for (const name of rest) mkdirSync(folder('tmp', name));
    const before = left();
    assert.equal((await cli('compare', 'app.db', 'app.db')).code, 0);
    assert.deepEqual([left(), readdirSync(folder('theirs'))], [before, ['precious']]);
  });
});
