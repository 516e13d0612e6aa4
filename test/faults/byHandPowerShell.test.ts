import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { appendFileSync, rmSync, writeFileSync } from 'node:fs';
import { bytesOf, contentOf, valueOf, withDatabase } from '../support/databases.ts';
import { count, type HandBlocks, handBlocks, HandRestore, insert } from '../support/handBlocks.ts';
import { endProcessesAfterEach, run } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const hasPwsh = spawnSync('pwsh', ['-NoProfile', '-Command', 'exit 0']).status === 0;

describe('the blocks of a runbook in PowerShell (run only where there is pwsh)', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();
  let hand: HandRestore;
  let blocks: HandBlocks;

  beforeEach(async () => {
    hand = await HandRestore.prepare(folder, "it's ‘curly’ $env:x `n.db");
    const { backup, live } = hand;
    blocks = await handBlocks({ backup, items: [{ target: live }] }, 'powershell');
  });

  const good = async (block: string): Promise<boolean> => {
    writeFileSync(folder('block.ps1'), `\ufeff${block}\n`);
    const { code, stdout, stderr } = await run([
      'pwsh',
      '-NoProfile',
      '-File',
      folder('block.ps1'),
    ]);
    if (code === 0) assert.match(stdout, /GOOD: /);
    else assert.match(stderr, /BAD: /);
    return code === 0;
  };

  it('are one script block each, with names only before its first function', () => {
    for (const block of Object.values(blocks)) {
      assert.match(block, /^& \{\n\$ErrorActionPreference = 'Stop'\n[\s\S]*\n\}$/);
      const [names = '', script = ''] = block.split(/\n(?=function )/);
      assert.ok(names.includes('curly'));
      assert.ok(!script.includes('curly'));
    }
  });

  it('restore, say GOOD at each step, and go back', async function () {
    if (!hasPwsh) this.skip();
    for (const step of ['plan', 'stop', 'move', 'copy', 'verify'] as const)
      assert.ok(await good(blocks[step]), step);
    assert.deepEqual(contentOf(hand.live), contentOf(hand.backup));
    assert.equal(hand.rowsIn(hand.kept), 102);
    assert.ok(await good(blocks.undo));
    assert.equal(valueOf(hand.live, count), 102);
    assert.ok(await good(blocks.remove));
  });

  it('refuse what the step before has not prepared, and what has changed since', async function () {
    if (!hasPwsh) this.skip();
    const old = bytesOf(hand.live);
    for (const step of ['copy', 'verify', 'undo', 'remove'] as const)
      assert.ok(!(await good(blocks[step])), step);
    assert.deepEqual(bytesOf(hand.live), old);
    assert.ok(await good(blocks.move));
    assert.ok(!(await good(blocks.verify)));
    withDatabase(hand.live, (db) => db.exec(insert));
    assert.ok(!(await good(blocks.copy)));
    assert.equal(valueOf(hand.live, count), 103);
    rmSync(hand.live);
    assert.ok(!(await good(blocks.remove)));
    appendFileSync(hand.backup, 'x');
    assert.ok(!(await good(blocks.plan)));
  });
});
