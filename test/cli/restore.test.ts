import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { applyRestore, moveAside } from '../../src/core/restore/apply.ts';
import { bundleOf } from '../support/bundles.ts';
import { bytesOf, createDatabase, overwrite, valueOf, withDatabase } from '../support/databases.ts';
import {
  asNobody,
  cliEntry,
  type Ended,
  endProcessesAfterEach,
  holdOpen,
  isLinuxRoot,
  kill,
  run,
  runCli,
} from '../support/processes.ts';
import {
  applyRequest,
  leftoversIn,
  prepareRestore,
  quiet,
  setAsidesIn,
} from '../support/restores.ts';
import { useTempFolder } from '../support/tempFolders.ts';
import { itInPart } from '../support/operations.ts';

const json = <T>({ stdout }: Ended): T => JSON.parse(stdout) as T;
const count = 'SELECT count(*) FROM items';

interface PlanJson {
  targetExists: boolean;
  verified: string;
  holders: { pid: number; name: string }[];
  tables: { name: string; lost: number; gained: number; changed: number }[];
  schema: { same: boolean; diff: string };
  migrations: { verdict: string };
  steps: { id: string }[];
}

interface RestoredJson {
  restored: string;
  setAside: string | null;
  safetySnapshot: string | null;
  verified: string;
}

describe('the command line, restoring', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();
  let live = '';
  let backup = '';

  beforeEach(async () => {
    ({ live, backup } = await prepareRestore(folder('app.db')));
  });

  itInPart('says with 2 what is missing or contradicts itself, and changes nothing', async () => {
    const before = bytesOf(live);
    const wrong = [
      ['restore'],
      ['restore', backup],
      ['restore', backup, live],
      ['restore', backup, live, '--plan', '--yes'],
      ['restore', backup, live, 'more', '--yes'],
      ['restore', backup, live, '--yes', '--finish'],
      ['restore', '--undo', live, '--recover', folder()],
      ['restore', '--recover', folder(), '--finish', '--roll-back'],
      ['restore', '--undo', live, '--yes'],
      ['runbook', backup],
      ['runbook', backup, live, '--format', 'html'],
    ];
    const ended = await Promise.all(wrong.map((args) => runCli(args)));
    assert.deepEqual(
      ended.map(({ code }) => code),
      wrong.map(() => 2),
    );
    assert.deepEqual(bytesOf(live), before);
  });

  itInPart(
    'says to another user that programs of other users cannot be seen, and restores',
    async function () {
      if (!isLinuxRoot) this.skip(); // Only root may become another user.
      chmodSync(folder(), 0o755);
      execFileSync('chown', ['-R', 'nobody', folder()]);
      const command = [process.execPath, cliEntry, 'restore', backup, live, '--yes'];
      const { code, stderr } = await run([...asNobody, ...command], {
        env: { ...process.env, HOME: folder(), XDG_DATA_HOME: folder('data') },
      });
      assert.equal(code, 0, stderr);
      assert.match(stderr, /Programs of other users.* cannot be seen from here/);
      assert.equal(valueOf(live, count), 100);
    },
  );

  it('plans as the contract says, and only reads', async () => {
    const before = [bytesOf(live), readdirSync(folder())];
    const ended = await runCli(['restore', backup, live, '--plan', '--json']);
    assert.equal(ended.code, 0);
    const plan = json<PlanJson>(ended);
    assert.deepEqual(Object.keys(plan).slice(0, 9), [
      'backup',
      'target',
      'targetExists',
      'verified',
      'holders',
      'tables',
      'schema',
      'migrations',
      'steps',
    ]);
    assert.deepEqual(plan.tables, [{ name: 'items', lost: 1, gained: 0, changed: 0 }]);
    assert.deepEqual(
      [plan.targetExists, plan.verified, plan.holders, plan.schema, plan.migrations.verdict],
      [true, 'ok', [], { same: true, diff: '' }, 'unknown'],
    );
    assert.equal(plan.steps.length, 7);
    assert.deepEqual([bytesOf(live), readdirSync(folder())], before);
    const words = await runCli(['restore', backup, live, '--plan']);
    assert.match(words.stdout, /items: 1 row lost, 0 rows brought back, 0 rows changed/);
  });

  it('ends with 1 where the backup is damaged or not there', async () => {
    overwrite(backup, 5000, Buffer.from('damage'));
    const plan = await runCli(['restore', backup, live, '--plan', '--json']);
    assert.deepEqual([plan.code, json<PlanJson>(plan).verified], [1, 'damaged']);
    const ended = await runCli(['restore', backup, live, '--yes']);
    assert.equal(ended.code, 1);
    assert.match(ended.stderr, /damaged/);
    assert.equal((await runCli(['restore', folder('none'), live, '--yes'])).code, 1);
    assert.equal(valueOf(live, count), 101);
  });

  it('restores, names what is kept, and undoes', async () => {
    const args = ['restore', backup, live, '--yes', '--to', folder('safety'), '--json'];
    mkdirSync(join(dirname(live), `.${basename(live)}-litestream`));
    const ended = await runCli(args);
    assert.equal(ended.code, 0, ended.stderr);
    assert.match(ended.stderr, /Litestream replicates .*Stop Litestream before the restore/);
    const restored = json<RestoredJson>(ended);
    assert.deepEqual(Object.keys(restored), ['restored', 'setAside', 'safetySnapshot', 'verified']);
    assert.deepEqual([restored.restored, restored.verified], [live, 'ok']);
    assert.ok(restored.safetySnapshot?.startsWith(folder('safety')));
    assert.equal(valueOf(live, count), 100);
    const undone = await runCli(['restore', '--undo', restored.setAside ?? '', '--json']);
    assert.equal(undone.code, 0, undone.stderr);
    assert.equal(json<RestoredJson>(undone).restored, live);
    assert.equal(valueOf(live, count), 101);
  });

  itInPart(
    'asks for --unproved without a manifest, and takes a damaged backup to a new file only',
    async () => {
      const restore = (target: string, ...options: string[]): Promise<Ended> =>
        runCli(['restore', backup, target, '--yes', ...options]);
      rmSync(`${backup}.json`);
      const refused = await restore(live);
      assert.equal(refused.code, 1);
      assert.match(refused.stderr, /has no backup details .*--unproved/s);
      assert.equal(valueOf(live, count), 101);
      const accepted = await restore(live, '--unproved');
      assert.equal(accepted.code, 0, accepted.stderr);
      assert.match(accepted.stdout, /verified as far as possible/);
      assert.match(accepted.stderr, /not compared with what was backed up/);
      overwrite(backup, 9000, Buffer.alloc(3000, 7));
      assert.match((await restore(live, '--damaged')).stderr, /never replaces a file/);
      const salvaged = await restore(folder('salvage.db'), '--damaged');
      assert.match(salvaged.stdout, /salvage\.db: damaged/);
      assert.ok(existsSync(folder('salvage.db')));
    },
  );

  it('puts the safety snapshot beside the database where no folder is named', async () => {
    const ended = await runCli(['restore', backup, live, '--yes', '--json']);
    assert.match(json<RestoredJson>(ended).safetySnapshot ?? '', /\/app_\d{8}_\d{6}Z\.db$/);
  });

  itInPart(
    'ends with 1 while somebody has it open, naming them, unless told to ignore that',
    async function () {
      if (process.platform !== 'linux') this.skip(); // Elsewhere other programs have to be asked.
      const holder = await holdOpen(live, count);
      const plan = json<PlanJson>(await runCli(['restore', backup, live, '--plan', '--json']));
      assert.deepEqual(plan.holders, [{ pid: holder.pid, name: 'node' }]);
      const refused = await runCli(['restore', backup, live, '--yes']);
      assert.equal(refused.code, 1);
      assert.match(refused.stderr, new RegExp(`node \\(pid ${holder.pid}\\)`));
      const ended = await runCli(['restore', backup, live, '--yes', '--ignore-holders', '--json']);
      assert.equal(ended.code, 0, ended.stderr);
      const { setAside } = json<RestoredJson>(ended);
      const refusedUndo = await runCli(['restore', '--undo', setAside ?? '']);
      assert.equal(refusedUndo.code, 1);
      await kill(holder);
      assert.equal((await runCli(['restore', '--undo', setAside ?? ''])).code, 0);
    },
  );

  itInPart('lists interrupted restores, finishes them or rolls them back', async () => {
    assert.equal((await runCli(['restore', '--recover', folder(), '--json'])).code, 0);
    for (const [how, rows] of [
      ['--roll-back', 101],
      ['--finish', 100],
    ] as const) {
      await moveAside(applyRequest(backup, live), quiet);
      const listed = await runCli(['restore', '--recover', folder(), '--json']);
      assert.equal(listed.code, 1);
      const { interrupted } = json<{ interrupted: { can: string[] }[] }>(listed);
      assert.deepEqual(interrupted[0]?.can, ['finish', 'roll-back']);
      const ended = await runCli(['restore', '--recover', folder(), how]);
      assert.equal(ended.code, 0, ended.stderr);
      assert.equal(valueOf(live, count), rows);
      assert.deepEqual(leftoversIn(folder()), []);
    }
  });

  it('recovers what can be, beside what is no intent, and says what is live', async () => {
    const junk = folder('.sqlite-backup-restore-00000000-1-000000000000.json');
    writeFileSync(junk, '{"__proto__":');
    await moveAside(applyRequest(backup, live), quiet);
    renameSync(live, folder('away.db'));
    createDatabase(live, { rows: 1 });
    const { code, stdout, stderr } = await runCli([
      'restore',
      '--recover',
      folder(),
      '--roll-back',
    ]);
    assert.equal(code, 1);
    assert.match(
      stdout,
      /app\.db: another file is live: neither the previous database nor the restored/,
    );
    assert.match(stderr, /is not a valid note of a restore/);
    assert.equal(valueOf(live, count), 1);
    assert.equal(leftoversIn(folder()).length, 1, 'nobody deletes what is not ours');
  });

  itInPart('restores a member of a bundle; the only database need not be named', async () => {
    const other = createDatabase(folder('other.db'), { rows: 7 });
    const two = (await bundleOf([live, other], { name: 'two' })).path;
    const one = (await bundleOf([other], { name: 'one' })).path;
    const target = folder('new.db');
    const refused = await Promise.all([
      runCli(['restore', two, target, '--yes']),
      runCli(['restore', two, target, '--plan', '--member', 'none.db']),
      runCli(['runbook', two, target]),
    ]);
    for (const { code, stderr } of refused) {
      assert.equal(code, 1);
      assert.match(stderr, /Its databases: app\.db, other\.db\./);
      assert.match(stderr, /--member NAME/);
    }
    const member = ['--member', 'app.db'];
    const planned = await runCli(['restore', two, live, '--plan', '--json', ...member]);
    assert.equal(planned.code, 0, planned.stderr);
    assert.deepEqual(json<PlanJson>(planned).tables, [
      { name: 'items', lost: 0, gained: 0, changed: 0 },
    ]);
    withDatabase(live, (db) => db.exec('DELETE FROM items WHERE id <= 20'));
    const restored = await runCli(['restore', two, live, '--yes', '--json', ...member]);
    assert.equal(json<RestoredJson>(restored).verified, 'ok');
    assert.equal(valueOf(live, count), 101);
    const [printed, filled] = await Promise.all([
      runCli(['runbook', one, target, '--format', 'sh']),
      runCli(['restore', one, folder('filled.db'), '--yes']),
    ]);
    assert.equal(filled.code, 0, filled.stderr);
    assert.equal(valueOf(folder('filled.db'), count), 7);
    assert.match(printed.stdout, /^ {2}'MEMBER_1=other\.db' \\$/m);
  });

  it('prints the runbook in three forms', async () => {
    const forms = [
      ['markdown', /^# Restore /],
      ['sh', /^#!\/bin\/sh\nset -eu/],
      ['powershell', /^\$ErrorActionPreference/],
    ] as const;
    const print = async ([format, expected]: (typeof forms)[number]): Promise<void> => {
      const ended = await runCli(['runbook', backup, live, '--format', format]);
      assert.equal(ended.code, 0, ended.stderr);
      assert.match(ended.stdout, expected);
    };
    await Promise.all(forms.map(print));
  });

  it('never removes a set-aside when it prunes, and lists it as foreign', async () => {
    await applyRestore(applyRequest(backup, live, { folder: folder() }), quiet);
    const [kept = ''] = setAsidesIn(folder());
    const pruned = await runCli(['prune', '--to', folder(), '--keep-last', '1', '--json']);
    assert.equal(pruned.code, 0);
    assert.ok(existsSync(folder(kept)));
    const listed = await runCli(['list', '--to', folder(), '--json']);
    const { backups } = json<{ backups: { path: string; foreign: boolean }[] }>(listed);
    assert.equal(backups.find(({ path }) => path === folder(kept))?.foreign, true);
    const found = await runCli(['find', folder(), '--json']);
    assert.ok(!found.stdout.includes('.bad-'));
  });
});
