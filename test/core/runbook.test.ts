import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { planRestore, type RestorePlan } from '../../src/core/restore/plan.ts';
import { quoteForPowerShell, quoteForShell } from '../../src/core/runbook/handCommands.ts';
import {
  renderMarkdown,
  renderPowerShell,
  renderShell,
  runbookSteps,
} from '../../src/core/runbook/runbook.ts';
import {
  contentOf,
  createDatabase,
  snapshot,
  valueOf,
  withDatabase,
} from '../support/databases.ts';
import {
  type Ended,
  endProcessesAfterEach,
  holdOpen,
  kill,
  needProgram,
  run,
} from '../support/processes.ts';
import { setAsidesIn } from '../support/restores.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const now = new Date('2026-11-21T13:45:02Z');
const insert = "INSERT INTO items (name) VALUES ('after the backup')";
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
  endProcessesAfterEach();
  const folder = useTempFolder();

  const planFor = (backup: string, target: string): Promise<RestorePlan> =>
    planRestore({ backup, items: [{ target }] }, { onProgress: () => undefined });

  /** What a person would run who follows the Markdown: every line of every block marked `sh`. */
  const commandsIn = (markdown: string): string =>
    [...markdown.matchAll(/^(`{3,})sh\n([\s\S]*?)\n\1$/gm)].map(([, , text]) => text).join('\n');

  const follow = (commands: string): Promise<Ended> =>
    run(['sh', '-eu', '-c', commands], { cwd: folder() });

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
    assert.match(move?.text ?? '', /app\.db\.bad-20261121_134502Z\./);
    const commands = move?.sh.join('\n') ?? '';
    assert.ok(commands.includes(`'${own}'`));
    assert.ok(!commands.includes(alike));
  });

  it('quotes for both shells, whatever the name', async () => {
    for (const name of nastyNames) {
      const { stdout } = await run(['sh', '-c', `printf %s ${quoteForShell(name)}`]);
      assert.equal(stdout, name);
    }
    assert.equal(quoteForPowerShell("it's `$x ‘a’"), "'it''s `$x ‘‘a’’'");
  });

  describe('followed by a script', function () {
    before(function () {
      this.timeout(120_000); // The programs may have to be installed first.
      if (process.platform === 'win32') this.skip(); // There is no sh.
      needProgram('sqlite3', 'sqlite3');
      needProgram('lsof', 'lsof');
    });

    for (const name of ['app.db', ...nastyNames.map((one) => `${one.replaceAll('/', '_')}.db`)]) {
      it(`restores ${JSON.stringify(name)} beside a stale -wal, and touches nothing else`, async () => {
        mkdirSync(folder('data'));
        const live = createDatabase(folder('data', name), { journalMode: 'wal' });
        const { path: backup } = await snapshot(live, { folder: folder('backups') });
        const expected = contentOf(backup);
        chmodSync(live, 0o640);
        await kill(await holdOpen(live, insert, insert));
        const plan = await planFor(backup, live);
        const markdown = renderMarkdown(plan, { now });
        const { code, stderr } = await follow(commandsIn(markdown));
        assert.equal(code, 0, stderr);
        assert.equal(
          withDatabase(live, (db) => db.pragma('journal_mode', { simple: true })),
          'wal',
        );
        assert.deepEqual(contentOf(live), expected);
        assert.equal(statSync(live).mode & 0o777, 0o640);
        const [kept = ''] = setAsidesIn(folder('data'));
        assert.equal(valueOf(folder('data', kept), 'SELECT count(*) FROM items'), 102);
        assert.ok(!readdirSync(folder('data')).some((one) => one.includes('restoring')));
        for (const one of [folder(), folder('data')]) assert.ok(!existsSync(`${one}/pwned`));
      });
    }

    it('restores to a new file', async () => {
      const { path: backup } = await snapshot(createDatabase(folder('app.db')));
      const live = folder('new.db');
      const { code, stderr } = await follow(renderShell(await planFor(backup, live), { now }));
      assert.equal(code, 0, stderr);
      assert.deepEqual(contentOf(live), contentOf(backup));
      assert.equal(statSync(live).mode & 0o777, 0o600);
    });

    it('stops at the first thing that does not hold, with the old database in its place', async () => {
      const live = createDatabase(folder('app.db'), { journalMode: 'wal' });
      const { path: backup } = await snapshot(live);
      const script = renderShell(await planFor(backup, live), { now });
      const holder = await holdOpen(live, insert);
      assert.notEqual((await follow(script)).code, 0);
      await kill(holder);
      withDatabase(backup, (db) => db.exec(insert));
      assert.notEqual((await follow(script)).code, 0);
      assert.deepEqual(setAsidesIn(folder()), []);
      assert.equal(valueOf(live, 'SELECT count(*) FROM items'), 101);
      const [step] = setAsidesIn(folder());
      assert.equal(step, undefined);
    });

    it('does not go on over a -wal that was written after the move', async () => {
      const live = createDatabase(folder('app.db'), { journalMode: 'wal' });
      const { path: backup } = await snapshot(live);
      withDatabase(live, (db) => db.exec('SELECT 1 FROM items')); // Its end takes the siblings away.
      const steps = runbookSteps(await planFor(backup, live), { now });
      const commandsOf = (id: string): string =>
        steps.find((step) => step.id === id)?.sh.join('\n') ?? '';
      assert.equal((await follow(commandsOf('move'))).code, 0);
      await kill(await holdOpen(live, insert));
      assert.notEqual((await follow(commandsOf('copy'))).code, 0);
      assert.equal(valueOf(live, 'SELECT count(*) FROM items'), 101);
    });

    it('goes back the same way', async () => {
      const live = createDatabase(folder('app.db'), { journalMode: 'wal' });
      const { path: backup } = await snapshot(live);
      await kill(await holdOpen(live, insert));
      const plan = await planFor(backup, live);
      assert.equal((await follow(renderShell(plan, { now }))).code, 0);
      const [undo] = runbookSteps(plan, { now }).at(-1)?.options ?? [];
      assert.equal((await follow(undo?.sh.join('\n') ?? '')).code, 0);
      assert.equal(valueOf(live, 'SELECT count(*) FROM items'), 101);
      assert.deepEqual(setAsidesIn(folder()), []);
      assert.notEqual((await follow(undo?.sh.join('\n') ?? '')).code, 0);
      assert.equal(
        valueOf(live, 'SELECT count(*) FROM items'),
        101,
        'there was nothing to put back',
      );
    });

    it('does not call a database free where nobody can look', async () => {
      const live = createDatabase(folder('app.db'));
      const steps = runbookSteps(await planFor((await snapshot(live)).path, live), { now });
      const [, stop] = steps;
      const commands = stop?.sh.join('\n') ?? '';
      assert.equal((await follow(commands)).code, 0);
      assert.notEqual((await follow(`PATH=/nowhere\n${commands}`)).code, 0);
    });
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
