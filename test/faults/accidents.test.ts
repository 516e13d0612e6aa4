import assert from 'node:assert/strict';
import { existsSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { countRows } from '../../src/core/checkpoint/rows.ts';
import { findLosses, findLostColumns, lossText } from '../../src/core/manifest/loss.ts';
import { lookMs } from '../../src/editor/protection/watched.ts';
import { ResidentClient } from '../../src/worker/residentClient.ts';
import { readAddress } from '../../src/worker/residentProtocol.ts';
import { contentOf, withDatabase } from '../support/databases.ts';
import {
  endProcessesAfterEach,
  isAlive,
  run,
  runCli,
  waitUntil,
  workerEntry,
  type Ended,
} from '../support/processes.ts';
import {
  makeProject,
  type MigrationTool,
  migrationTools,
  whyMissing,
  workSql,
  writeFiles,
} from '../support/migrationTools.ts';
import { LossWatch, mostLooks } from '../support/lossWatch.ts';
import { everyNth, isThorough } from '../support/operations.ts';
import { useDataFolder } from '../support/dataFolders.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const accidents = ['run', 'failed', 'reset', 'dropped', 'removed'] as const;

/** When a database was last written; undefined where it is gone. */
function lastWriteOf(path: string): number | undefined {
  const times = [path, `${path}-wal`].flatMap(
    (one) => statSync(one, { throwIfNoEntry: false })?.mtimeMs ?? [],
  );
  return existsSync(path) ? Math.max(...times) : undefined;
}

/** Real tools, installed for the purpose: a run of all takes minutes. A normal run replays one that needs none. */
describe('an accident with a migration tool', function () {
  this.timeout(isThorough ? 30 * 60_000 : 60_000);
  endProcessesAfterEach();
  const folder = useTempFolder();
  useDataFolder(() => folder('data'));
  const env = (): Record<string, string> => ({ XDG_DATA_HOME: folder('data') });
  const work = (...names: string[]): string => folder('work', ...names);

  const inProject = async (tool: MigrationTool, command: string[]): Promise<Ended> =>
    run(command, { cwd: work(), env: { ...env(), ...tool.env } });
  const succeed = async (tool: MigrationTool, command: string[]): Promise<string> => {
    const { code, stdout, stderr } = await inProject(tool, command);
    assert.equal(code, 0, `${command.join(' ')}\n${stdout}\n${stderr}`);
    return stdout;
  };

  /** Two migrations are applied, and a person has worked since. */
  const prepare = async (tool: MigrationTool, journalMode: string): Promise<void> => {
    mkdirSync(work());
    await makeProject(tool, work());
    await succeed(tool, tool.migrate);
    withDatabase(work('app.db'), (db) => {
      db.pragma(`journal_mode = ${journalMode}`);
      db.exec(workSql);
    });
  };

  const isAsBefore = (content: unknown): boolean =>
    existsSync(work('app.db')) &&
    JSON.stringify(contentOf(work('app.db'))) === JSON.stringify(content);

  it('is told apart from ordinary runs of the tools: at most one false alarm', async function () {
    if (!isThorough) this.skip(); // Real tools.
    const alarms: string[] = [];
    let runs = 0;
    for (const tool of migrationTools) {
      const problem = await whyMissing(tool);
      if (problem !== undefined) {
        console.log(`    ${tool.name} cannot be had: ${problem}`);
        continue;
      }
      rmSync(work(), { recursive: true, force: true });
      await prepare(tool, runs % 2 === 0 ? 'wal' : 'delete');
      writeFiles(work(), tool.third('run'));
      let before = countRows(work('app.db'), 1000);
      // What a day is made of: a look, a migration, one that has nothing to do, a look.
      for (const command of [tool.status, tool.migrate, tool.migrate, tool.status]) {
        await succeed(tool, command);
        runs += 1;
        const now = countRows(work('app.db'), 1000);
        const losses = [...findLosses(before, now), ...findLostColumns(before, now)];
        alarms.push(...losses.map((loss) => `${tool.name}: ${lossText(loss)}`));
        before = now;
      }
    }
    console.log(`    ${alarms.length} false alarms in ${runs} ordinary runs`);
    assert.ok(runs >= 20 && alarms.length <= 1, alarms.join('\n'));
  });

  for (const tool of isThorough ? migrationTools : migrationTools.slice(-1)) {
    describe(`, ${tool.name}`, () => {
      before(async function () {
        const problem = await whyMissing(tool);
        if (problem === undefined) return;
        console.log(`    ${tool.name} cannot be had: ${problem}`);
        this.skip();
      });

      const commandOf = (accident: (typeof accidents)[number]): string[] => {
        if (accident === 'reset') return tool.reset;
        if (accident === 'removed') return ['rm', '-f', 'app.db', 'app.db-wal', 'app.db-shm'];
        writeFiles(work(), tool.third(accident));
        return tool.migrate;
      };

      for (const accident of everyNth(accidents, 2, 0))
        for (const journalMode of everyNth(['delete', 'wal'], 2, accident === 'reset' ? 0 : 1))
          it(`behind run, ${accident}, in mode ${journalMode}: the state before comes back`, async () => {
            await prepare(tool, journalMode);
            const status = await succeed(tool, tool.status);
            const content = contentOf(work('app.db'));
            const command = commandOf(accident);
            const ended = await runCli(['run', '--', ...command], {
              cwd: work(),
              env: { ...env(), ...tool.env },
            });
            const isFailure = accident === 'failed';
            assert.equal(ended.code !== 0, isFailure, ended.stderr);
            const [, id = ''] = /checkpoint app\.db ([0-9a-f]{12})/.exec(ended.stderr) ?? [];
            assert.notEqual(id, '', ended.stderr);
            // A tool that works in a transaction leaves nothing of what has failed.
            assert.ok(
              isFailure || !isAsBefore(content),
              `nothing has happened: ${ended.stdout} ${ended.stderr}`,
            );
            if (!isAsBefore(content) && accident !== 'run')
              assert.match(ended.stderr, /orders had 500 rows|is gone|is empty/);
            if (accident !== 'run') assert.match(ended.stderr, new RegExp(`restore ${id} app.db`));
            await restore(id);
            assert.deepEqual(contentOf(work('app.db')), content);
            // The code of the next migration is not what is asked about.
            await forget(accident);
            assert.equal(await succeed(tool, tool.status), status);
          });

      it('after a task has taken the checkpoint: the state before comes back', async () => {
        await prepare(tool, 'wal');
        const status = await succeed(tool, tool.status);
        const content = contentOf(work('app.db'));
        await withResident(async (client) => {
          // What the task of the editor asks for.
          const { checkpoints, failures } = await client.call('checkpoint', {
            databases: [{ database: work('app.db'), recordAs: { path: 'app.db' } }],
            ...{
              cause: { kind: 'task', text: 'migrate' },
              trigger: 'task',
              force: false,
            },
            ...{
              busyTimeoutMs: 1000,
              largestBytes: 1e9,
              largestTotalBytes: 1e9,
              toolVersion: '0',
            },
          });
          assert.deepEqual(failures, []);
          await inProject(tool, tool.reset);
          assert.ok(!isAsBefore(content), 'nothing has happened');
          await restore(checkpoints[0]?.id ?? '');
          assert.deepEqual(contentOf(work('app.db')), content);
          assert.equal(await succeed(tool, tool.status), status);
        });
      });

      for (const accident of isThorough
        ? (['reset', 'dropped', 'removed'] as const)
        : (['reset'] as const))
        it(`is told by the loss alarm, ${accident}: at the latest ${mostLooks} looks after it`, async () => {
          await prepare(tool, accident === 'dropped' ? 'delete' : 'wal');
          const command = commandOf(accident);
          await withResident(async (client) => {
            const watch = new LossWatch(work('app.db'), client);
            try {
              await waitUntil(() => watch.isKnown, 'its rows are known', 60_000);
              const startedAt = Date.now();
              const { code, stderr } = await inProject(tool, command);
              assert.equal(code, 0, stderr);
              const looksBefore = watch.looks;
              const actAt = lastWriteOf(work('app.db')) ?? Date.now();
              assert.ok(actAt >= startedAt - 1000, 'the tool has written');
              await waitUntil(() => watch.told !== undefined, 'it is told', 60_000);
              const { text = '', at = 0, looks = 0 } = watch.told ?? {};
              console.log(
                `    ${tool.name}, ${accident}: ${((at - actAt) / 1000).toFixed(1)} s, ${looks - looksBefore} looks: ${text}`,
              );
              assert.match(text, /orders had 500 rows|the file is gone|is empty/);
              // A look a second leaves as long again for the count before ten seconds are over.
              assert.ok(mostLooks * lookMs <= 5000);
              assert.ok(looks - looksBefore <= mostLooks, `${looks - looksBefore} looks`);
            } finally {
              watch.stop();
            }
          });
        });

      const withResident = async (
        use: (client: ResidentClient) => Promise<void>,
      ): Promise<void> => {
        const client = new ResidentClient({ entry: workerEntry, idleMs: 1000 });
        try {
          await use(client);
        } finally {
          const pid = readAddress()?.pid;
          client.dispose();
          if (pid !== undefined)
            await waitUntil(() => !isAlive(pid), 'the resident worker has ended', 20_000);
        }
      };
      const restore = async (id: string): Promise<void> => {
        const { code, stderr } = await runCli(['restore', id, 'app.db', '--yes'], {
          cwd: work(),
          env: env(),
        });
        assert.equal(code, 0, stderr);
      };
      const forget = async (accident: (typeof accidents)[number]): Promise<void> => {
        if (accident === 'reset' || accident === 'removed') return;
        for (const name of Object.keys(tool.third(accident))) rmSync(work(name));
        await makeProject(tool, work());
      };
    });
  }
});
