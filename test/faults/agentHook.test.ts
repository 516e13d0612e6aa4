import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dialects, sendToHook } from '../support/agentHooks.ts';
import { createDatabase } from '../support/databases.ts';
import { isLinuxRoot, runCli } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('the hook of agents on a read-only disk', function () {
  this.timeout(60_000);
  const folder = useTempFolder();

  before(function () {
    if (!isLinuxRoot) this.skip();
  });
  /** A disk of its own, which is there for the time of `use`. */
  async function onDisk(use: () => Promise<void>): Promise<void> {
    mkdirSync(folder('disk'));
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', folder('disk')]);
    try {
      await use();
    } finally {
      execFileSync('umount', [folder('disk')]);
    }
  }
  const protectDisk = (): void => void execFileSync('mount', ['-o', 'remount,ro', folder('disk')]);
  const hookBefore = (work: string, data: string): ReturnType<typeof sendToHook> =>
    sendToHook(dialects.claude({ event: 'PreToolUse', cwd: work, tool: 'Bash' }), {
      env: { XDG_DATA_HOME: data },
    });

  it('saves a database that lies there', () =>
    onDisk(async () => {
      mkdirSync(folder('disk/work/.git'), { recursive: true });
      createDatabase(folder('disk/work/app.db'), { rows: 10 });
      protectDisk();
      const { code, answer } = await hookBefore(folder('disk/work'), folder('data'));
      assert.deepEqual([code, answer], [0, {}]);
      const env = { XDG_DATA_HOME: folder('data') };
      const { stdout } = await runCli(['list', '--checkpoints', '--json'], { env });
      assert.equal((JSON.parse(stdout) as { checkpoints: unknown[] }).checkpoints.length, 1);
    }));

  it('asks when nothing can be saved there, and never ends with an error', () =>
    onDisk(async () => {
      mkdirSync(folder('work/.git'), { recursive: true });
      createDatabase(folder('work/app.db'), { rows: 10 });
      mkdirSync(folder('disk/data'));
      protectDisk();
      const { code, answer } = await hookBefore(folder('work'), folder('disk/data'));
      assert.equal(code, 0);
      assert.equal(answer.hookSpecificOutput?.permissionDecision, 'ask', JSON.stringify(answer));
    }));
});
