import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkpointsFolder } from '../../src/core/checkpoint/store.ts';
import type { RestoreHooks } from '../../src/core/job.ts';
import { syncBranches } from '../../src/core/states/branches.ts';
import { inProcess, takingInto } from '../support/checkpoints.ts';
import { useDataFolder } from '../support/dataFolders.ts';
import { valueOf, withDatabase } from '../support/databases.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('the note that a state was put back', () => {
  const folder = useTempFolder();
  useDataFolder(() => folder('data'));
  const git = (...args: string[]): void => {
    const as = ['-c', 'user.name=a', '-c', 'user.email=a@example.com'];
    execFileSync('git', [...as, ...args], { cwd: folder('tree'), stdio: 'pipe' });
  };

  it('that cannot be written leaves the state of each branch its name', async () => {
    mkdirSync(folder('tree'));
    git('init', '-q', '-b', 'main');
    writeFileSync(folder('tree/.gitignore'), '*.db\n');
    git('add', '.');
    git('commit', '-qm', 'first');
    const live = folder('tree/app.db');
    const { checkpoints, ...taking } = takingInto(checkpointsFolder(undefined));
    assert.ok(checkpoints);
    let beforeIt = (): void => undefined;
    const hooks: RestoreHooks = {
      ...inProcess,
      keepOut: (paths) => {
        beforeIt();
        return inProcess.keepOut(paths);
      },
    };
    const sync = async (): Promise<string[]> => {
      const request = { in: folder('tree'), how: 'restore' as const, copies: false, taking };
      const { databases } = await syncBranches(request, hooks);
      return databases.map(({ outcome }) => outcome);
    };
    withDatabase(live, (db) => db.exec('CREATE TABLE of_main (a)'));
    await sync();
    git('switch', '-qc', 'feature');
    await sync();
    withDatabase(live, (db) => db.exec('CREATE TABLE of_feature (a)'));
    git('switch', '-q', 'main');
    assert.deepEqual(await sync(), ['restored']);

    git('switch', '-q', 'feature');
    let [away, name] = ['', ''];
    beforeIt = (): void => {
      const names = readdirSync(checkpoints).filter((one) => one.endsWith('.json'));
      name = names.find((one) => /"name": ?"feature"/.test(read(one))) ?? '';
      away = folder('away.json');
      renameSync(join(checkpoints, name), away);
    };
    const read = (one: string): string => readFileSync(join(checkpoints, one), 'utf8');
    assert.deepEqual(await sync(), ['restored']);
    renameSync(away, join(checkpoints, name));
    beforeIt = (): void => undefined;
    const tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'of_feature'";
    assert.equal(valueOf(live, tables), 1);
    await sync();
    git('switch', '-q', 'main');
    assert.deepEqual(await sync(), ['restored']);
    assert.equal(valueOf(live, tables), 0);
  });
});
