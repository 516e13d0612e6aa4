import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { contentOf, withDatabase } from '../support/databases.ts';
import {
  makeProject,
  migrationTools,
  whyMissing,
  workSql,
  writeFiles,
} from '../support/migrationTools.ts';
import { isThorough } from '../support/operations.ts';
import { endProcessesAfterEach, run, runCli } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

/** Real tools are installed for a whole run. A normal run replays one that needs none. */
describe('two branches with other migrations', function () {
  this.timeout(isThorough ? 20 * 60_000 : 60_000);
  endProcessesAfterEach();
  const folder = useTempFolder();
  const work = (...names: string[]): string => folder('work', ...names);

  for (const tool of isThorough ? migrationTools : migrationTools.slice(-1))
    it(`${tool.name} finds its own state on each, switched back and forth`, async function () {
      const problem = await whyMissing(tool);
      if (problem !== undefined) {
        console.log(`    ${tool.name} cannot be had: ${problem}`);
        this.skip();
      }
      const env = {
        XDG_DATA_HOME: folder('data'),
        HOME: folder('home'),
        GIT_CONFIG_NOSYSTEM: '1',
        ...tool.env,
      };
      const succeed = async (command: string[]): Promise<string> => {
        const { code, stdout, stderr } = await run(command, { cwd: work(), env });
        assert.equal(code, 0, `${command.join(' ')}\n${stdout}\n${stderr}`);
        return stdout;
      };
      const git = (...args: string[]): Promise<string> => succeed(['git', ...args]);
      mkdirSync(folder('home'));
      writeFileSync(folder('home/.gitconfig'), '[user]\nname = A\nemail = a@example.com\n');
      mkdirSync(work());
      await makeProject(tool, work());
      writeFileSync(
        work('.gitignore'),
        '*.db\n*.db-*\nnode_modules\nintrospected\n__pycache__\n*.pyc\n',
      );
      await git('init', '-q', '-b', 'main');
      await git('add', '.');
      await git('commit', '-qm', 'two migrations');
      await succeed(tool.migrate);
      withDatabase(work('app.db'), (db) => {
        db.pragma('journal_mode = wal');
        db.exec(workSql);
      });
      assert.equal((await runCli(['git', 'install'], { cwd: work(), env })).code, 0);
      const onMain = { status: await succeed(tool.status), content: contentOf(work('app.db')) };

      await git('switch', '-qc', 'feature');
      writeFiles(work(), tool.third('run'));
      await git('add', '.');
      await git('commit', '-qm', 'a third migration');
      await succeed(tool.migrate);
      const onFeature = { status: await succeed(tool.status), content: contentOf(work('app.db')) };
      assert.notDeepEqual(onFeature.content, onMain.content);

      for (const [branch, expected] of [
        ['main', onMain],
        ['feature', onFeature],
        ['main', onMain],
        ['feature', onFeature],
      ] as const) {
        await git('switch', '-q', branch);
        // What a tool generates is made again from the database.
        rmSync(work('introspected'), { recursive: true, force: true });
        assert.deepEqual(contentOf(work('app.db')), expected.content, branch);
        assert.equal(await succeed(tool.status), expected.status, branch);
      }
    });
});
