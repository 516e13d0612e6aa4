import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { planRestore, type RestorePlan } from '../../src/core/restore/plan.ts';
import { encodeForShell, quoteForPowerShell } from '../../src/core/runbook/handCommands.ts';
import {
  renderMarkdown,
  renderPowerShell,
  renderShell,
  runbookSteps,
  stepIds,
  stepTitles,
} from '../../src/core/runbook/runbook.ts';
import { createDatabase, snapshot, withDatabase } from '../support/databases.ts';
import { run } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const now = new Date('2026-11-21T13:45:02Z');
const nastyNames = [
  "it's",
  'two  blanks "quoted"',
  '$(touch pwned) `touch pwned`',
  '-rf',
  'line\nbreak; touch pwned',
  'back\\slash*?[x]',
  '```\ntouch pwned\n```',
  '’curly‘',
];

describe('the runbook', () => {
  const folder = useTempFolder();

  const planFor = (backup: string, target: string): Promise<RestorePlan> =>
    planRestore({ backup, items: [{ target }] }, { onProgress: () => undefined });

  it('numbers its steps as the page does, in every form', async () => {
    const live = createDatabase(folder('app.db'));
    const plan = await planFor((await snapshot(live)).path, live);
    const expected = stepIds.map((id, number) => `${number}. ${stepTitles[id]}`);
    const found = (text: string, mark: RegExp): (string | undefined)[] =>
      [...text.matchAll(mark)].map(([, title]) => title);
    assert.deepEqual(found(renderMarkdown(plan, { now }), /^## (.*)$/gm), expected);
    for (const render of [renderShell, renderPowerShell])
      assert.deepEqual(found(render(plan, { now }), /^# (\d\. .*)$/gm), expected);
  });

  it('has its steps in order, each with both shells where there is something to run', async () => {
    const live = createDatabase(folder('app.db'));
    const steps = runbookSteps(await planFor((await snapshot(live)).path, live), { now });
    assert.deepEqual(
      steps.map(({ id }) => id),
      ['plan', 'stop', 'move', 'copy', 'restart', 'verify', 'clean-up'],
    );
    for (const { id, sh, powershell, text } of steps) {
      assert.ok(text.length > 0, id);
      assert.equal(sh.length > 0, powershell.length > 0, id);
      assert.equal(sh.length > 0, !['restart', 'clean-up'].includes(id), id);
    }
    assert.equal(steps.at(-1)?.options.length, 2);
  });

  it('names the set-aside of each database, and not that of one that is called alike', async () => {
    const live = createDatabase(folder('app.db'));
    const plan = await planFor((await snapshot(live)).path, live);
    const own = `${live}.bad-20261121_134502Z`;
    const alike = `${live}.bad-copy.db.bad-20261121_134502Z`;
    const move = runbookSteps(plan, { now, setAsides: [alike, own] })[2];
    assert.match(move?.text ?? '', /app\.db\.bad-20261121_134502Z with/);
    const commands = move?.sh.join('\n') ?? '';
    assert.ok(commands.includes(`=${own}'`));
    assert.ok(!commands.includes(alike));
  });

  it('writes names so that sh reads each as it is, and PowerShell too', async function () {
    assert.equal(quoteForPowerShell("it's `$x ‘a’"), "'it''s `$x ‘‘a’’'");
    assert.equal(quoteForPowerShell('a\n’b'), "('' + 'a' + [char]10 + '’’b')");
    if (process.platform === 'win32') this.skip(); // There is no sh.
    for (const name of nastyNames) {
      const { stdout } = await run(['sh', '-c', `printf %b '${encodeForShell(name)}'`]);
      assert.equal(stdout, name);
    }
  });

  it('shows no name that could hide what it is', () => {
    assert.equal(encodeForShell('a\u202eb.db'), 'a\\0342\\0200\\0256b.db');
    assert.equal(encodeForShell('שלום ä 数.db'), 'שלום ä 数.db');
  });

  it('has nothing in its blocks for sh that a shell reads before sh does', async () => {
    for (const name of nastyNames) {
      const live = createDatabase(folder(name.replaceAll('/', '_')));
      const plan = await planFor((await snapshot(live, { folder: folder('b') })).path, live);
      const steps = runbookSteps(plan, { now });
      const blocks = [...steps, ...steps.flatMap(({ options }) => options)].flatMap(({ sh }) => sh);
      assert.equal(blocks.length, 7);
      for (const block of blocks) {
        // Of the quotes only those around the words are left, and fish reads these two in them.
        assert.doesNotMatch(block, /[!\t]|\\\\|\\'/);
        assert.doesNotMatch(block.replace(/'[^']*'/g, 'word'), /[^ \w\\\n<=/-]/);
      }
    }
  });

  it('is inert as Markdown, whatever tables and files are called, and holds what was done', async () => {
    const live = createDatabase(folder('a <b> [c](d) `e` _f_.db'));
    withDatabase(live, (db) => db.exec('CREATE TABLE "x\n## [y](command:z)" (a)'));
    const { path: backup } = await snapshot(live);
    rmSync(live);
    const text = renderMarkdown(await planFor(backup, live), { now }, [
      { step: 'stop', at: now.toISOString(), text: 'stopped <it>' },
    ]);
    const prose = text.replace(/^(`{3,})\w+\n[\s\S]*?\n\1$/gm, '');
    assert.doesNotMatch(prose, /^## \[y/m);
    assert.doesNotMatch(prose.replace('- [x] ', ''), /(?<!\\)[<[`]/);
    assert.match(prose, /- \[x\] 2026-11-21T13:45:02.000Z: stopped \\<it\\>/);
  });

  it('has a PowerShell script that stops at the first failure and quotes every name', async () => {
    const live = createDatabase(folder("it's $env:x `n.db"), { journalMode: 'wal' });
    const { path: backup } = await snapshot(live);
    const script = renderPowerShell(await planFor(backup, live), { now });
    assert.match(script, /^\$ErrorActionPreference = 'Stop'/);
    assert.ok(script.includes(quoteForPowerShell(live)));
    assert.ok(script.includes("it''s $env:x `n.db"));
    // Outside of its strings no name is left.
    assert.doesNotMatch(script.replace(/'(?:[^']|'')*'/g, "''"), /it's|n\.db|env:x/);
  });
});
