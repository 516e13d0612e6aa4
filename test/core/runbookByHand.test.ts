import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { planRestore } from '../../src/core/restore/plan.ts';
import { renderMarkdown, renderShell } from '../../src/core/runbook/runbook.ts';
import { bytesOf, contentOf, valueOf, withDatabase } from '../support/databases.ts';
import { before as comesBefore, count, HandRestore, insert } from '../support/handBlocks.ts';
import { endProcessesAfterEach, needProgram } from '../support/processes.ts';
import { setAsidesIn } from '../support/restores.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('the blocks of a runbook, run by sh', function () {
  endProcessesAfterEach();
  const folder = useTempFolder();
  let hand: HandRestore;
  let live = '';
  let backup = '';

  before(function () {
    this.timeout(120_000); // The programs may have to be installed first.
    if (process.platform === 'win32') this.skip(); // There is no sh.
    needProgram('sqlite3', 'sqlite3');
  });

  beforeEach(async () => {
    hand = await HandRestore.prepare(folder);
    ({ live, backup } = hand);
  });

  it('restore, say GOOD at each step, and go back', async () => {
    chmodSync(live, 0o640);
    await hand.plan();
    for (const step of ['plan', 'stop', 'move', 'copy', 'verify'] as const)
      await hand.expectGood(hand.blocks[step]);
    assert.deepEqual(contentOf(live), contentOf(backup));
    assert.equal(
      withDatabase(live, (db) => db.pragma('journal_mode', { simple: true })),
      'wal',
    );
    assert.equal(statSync(live).mode & 0o777, 0o640);
    assert.equal(hand.rowsIn(hand.kept), 102);
    await hand.expectGood(hand.blocks.undo);
    assert.equal(valueOf(live, count), 102);
    assert.equal(statSync(live).mode & 0o777, 0o640);
    assert.equal(hand.rowsIn(`${hand.kept}.restored`), 100);
    await hand.expectBad(hand.blocks.undo, /BAD: .*there already/);
    assert.equal(valueOf(live, count), 102);
    await hand.expectGood(hand.blocks.remove);
    assert.deepEqual(setAsidesIn(folder('d')), []);
    hand.expectNothingLeft();
  });

  it('restore as one script of the export, and stop it at the first failure', async () => {
    const request = { backup, items: [{ target: live }] };
    const plan = await planRestore(request, { onProgress: () => undefined });
    const options = { now: new Date() };
    writeFileSync(`${backup}-real`, readFileSync(backup));
    appendFileSync(backup, 'x');
    await hand.expectBad(renderShell(plan, options), /BAD: .*SHA-256 differs/);
    assert.deepEqual(setAsidesIn(folder('d')), []);
    copyFileSync(`${backup}-real`, backup);
    const markdown = renderMarkdown(plan, options);
    const inSh = [...markdown.matchAll(/^(`{3,})sh\n([\s\S]*?)\n\1$/gm)].map(([, , text]) => text);
    await hand.expectGood(`set -e\n${inSh.join('\n')}`);
    assert.deepEqual(contentOf(live), contentOf(backup));
  });

  it('refuse what the step before has not prepared', async () => {
    const old = bytesOf(live);
    await hand.expectBad(hand.blocks.copy, /BAD: the current database is not kept/);
    await hand.expectBad(hand.blocks.verify, /BAD: .*cannot tell whether step 3 has run/);
    await hand.expectBad(hand.blocks.undo, /BAD: .*is not kept/);
    await hand.expectBad(hand.blocks.remove, /BAD: .*is not there\. Nothing was deleted/);
    await hand.expectGood(hand.blocks.move);
    await hand.expectBad(hand.blocks.verify, /BAD: .*still the previous database/);
    await hand.expectBad(hand.blocks.undo, /BAD: .*is the previous database already/);
    assert.deepEqual(bytesOf(live), old);
    await hand.expectGood(hand.blocks.copy);
    await hand.expectBad(hand.blocks.move, /BAD: .*there already, and .* is not the same/);
    await hand.expectBad(hand.blocks.copy, /BAD: .*has run already/);
    assert.equal(hand.rowsIn(hand.kept), 102);
    rmSync(live);
    await hand.expectBad(hand.blocks.verify, /BAD: .*is not there/);
    await hand.expectBad(hand.blocks.remove, /BAD: .*may be the last copy/);
    await hand.expectGood(hand.blocks.undo);
    assert.equal(valueOf(live, count), 102);
    hand.expectNothingLeft();
  });

  it('show half of a database to no program that opens it between the siblings and the rename', async () => {
    await hand.expectGood(hand.blocks.move);
    const writes = `sqlite3 "${live}" ".timeout 100" "${count}; ${insert}" 2>"${folder('said')}"`;
    const env = comesBefore(folder('bin'), { mv: `case "$*" in *.new*) ${writes} ;; esac` });
    await hand.expectGood(hand.blocks.copy, env);
    assert.match(readFileSync(folder('said'), 'utf8'), /locked/);
    assert.deepEqual(contentOf(live), contentOf(backup));
    assert.equal(hand.rowsIn(hand.kept), 102);
  });

  it('restore without hard links', async () => {
    const env = comesBefore(folder('bin'), { ln: 'exit 1' });
    for (const step of ['move', 'copy', 'verify', 'undo'] as const)
      await hand.expectGood(hand.blocks[step], env);
    assert.equal(valueOf(live, count), 102);
  });

  it('restore where only a -wal is left over, which they keep', async () => {
    rmSync(live);
    await hand.plan();
    const [wal] = Object.values(bytesOf(live));
    for (const step of ['move', 'copy', 'verify'] as const)
      await hand.expectGood(hand.blocks[step]);
    assert.deepEqual(contentOf(live), contentOf(backup));
    assert.equal(statSync(live).mode & 0o777, 0o600);
    const [keptWal = ''] = readdirSync(folder('d')).filter((name) => /bad-.*-wal$/.test(name));
    assert.deepEqual(Object.values(bytesOf(folder('d', keptWal))), [wal]);
    await hand.expectGood(hand.blocks.undo);
    assert.ok(!existsSync(live));
    assert.equal(hand.rowsIn(`${folder('d', keptWal).replace(/-wal$/, '')}.restored`), 100);
  });
});
