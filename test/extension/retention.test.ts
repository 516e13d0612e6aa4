import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import * as vscode from 'vscode';
import {
  auditLines,
  backUp,
  editManifest,
  inWorkspace,
  makeDatabase,
  removeLater,
  rowOf,
  run,
  uriOf,
  useBackupsFolder,
  withSetting,
  type BackUpResult,
} from './workspace.ts';
import { itInPart } from '../support/operations.ts';

interface RetentionResult {
  removed: string[];
  kept: number;
}

const forMe = vscode.ConfigurationTarget.Global;
const afterBackup = <T>(use: () => Promise<T>): Promise<T> =>
  withSetting('retention.afterBackup', true, use, forMe);

let made = 100;

/** `count` backups, made from one, dated an hour apart, the newest an hour ago. Newest first. */
async function history(database: string, count: number): Promise<string[]> {
  const first = await backUp(database);
  return Array.from({ length: count }, (_, index) => {
    // Two histories may begin in the same second.
    const path = first.replace(/(-\d+)?(\.db)$/, `-${++made}$2`);
    copyFileSync(first, path);
    copyFileSync(`${first}.json`, `${path}.json`);
    const createdAt = new Date(Date.now() - (index + 1) * 3_600_000).toISOString();
    editManifest(path, (manifest) => ({ ...manifest, createdAt }));
    if (index === count - 1) for (const one of [first, `${first}.json`]) rmSync(one);
    return path;
  });
}

describe('retention after a backup', () => {
  before(() => {
    removeLater('pruned');
    makeDatabase('data/pruned.db');
    makeDatabase('data/other.db');
    return useBackupsFolder('pruned');
  });
  after(() => useBackupsFolder(undefined));

  it('is not for the workspace to switch on', async () => {
    const target = vscode.ConfigurationTarget.Workspace;
    const configuration = vscode.workspace.getConfiguration('sqliteBackup');
    await assert.rejects(async () => configuration.update('retention.afterBackup', true, target));
    const path = inWorkspace('.vscode/settings.json');
    mkdirSync(dirname(path), { recursive: true });
    const before = existsSync(path) ? readFileSync(path, 'utf8') : '{}';
    const old = await history('data/pruned.db', 2);
    writeFileSync(
      path,
      JSON.stringify({
        ...(JSON.parse(before) as object),
        'sqliteBackup.retention.afterBackup': true,
        'sqliteBackup.retention.keepLast': 1,
      }),
    );
    try {
      await settled(
        () => vscode.workspace.getConfiguration('sqliteBackup.retention').get('keepLast') === 1,
      );
      await backUp('data/pruned.db');
      assert.ok(old.every((one) => existsSync(one)));
    } finally {
      writeFileSync(path, before);
      await settled(
        () => vscode.workspace.getConfiguration('sqliteBackup.retention').get('keepLast') === 0,
      );
    }
  });

  itInPart('does nothing while it is off, and nothing without a rule', async () => {
    const old = await history('data/pruned.db', 2);
    await withSetting('retention.keepLast', 1, () => backUp('data/pruned.db'));
    await afterBackup(() => backUp('data/pruned.db'));
    assert.ok(old.every((one) => existsSync(one)));
  });

  it('removes backups of the database just backed up with their manifests, and of no other', async () => {
    const [old, other] = [await history('data/pruned.db', 3), await history('data/other.db', 3)];
    const [pinned, damaged] = old;
    assert.ok(pinned !== undefined && damaged !== undefined);
    await run('pin', rowOf(pinned));
    const path = await withSetting('retention.keepLast', 1, () =>
      afterBackup(() => backUp('data/pruned.db')),
    );
    assert.deepEqual(
      old.map((one) => [existsSync(one), existsSync(`${one}.json`)]),
      [
        [true, true],
        [false, false],
        [false, false],
      ],
    );
    assert.ok(existsSync(path));
    assert.ok(other.every((one) => existsSync(one)));
  });

  itInPart(
    'that cannot be done is told with the backup, which is good all the same, and removes nothing',
    async () => {
      const old = await history('data/pruned.db', 2);
      const { backups, retention } = await withSetting('retention.keepLast', 1.5, () =>
        afterBackup(() => run<BackUpResult>('backUp', uriOf('data/pruned.db'))),
      );
      assert.equal(backups[0]?.verified, 'ok');
      assert.deepEqual(retention?.removed, []);
      assert.match(retention.problems.join(), /^keepLast must be a whole number .* not 1\.5\./);
      assert.ok(old.every((one) => existsSync(one) && existsSync(`${one}.json`)));
    },
  );

  itInPart('removes what it can, and names what it cannot', async function () {
    const old = await history('data/pruned.db', 3);
    const [, stuck = ''] = old;
    const makeStuck = (flag: '+i' | '-i'): boolean =>
      process.platform === 'linux' && spawnSync('chattr', [flag, stuck]).status === 0;
    // Only root can, and not on every file system.
    if (!makeStuck('+i')) this.skip();
    try {
      const { backups, retention } = await withSetting('retention.keepLast', 1, () =>
        afterBackup(() => run<BackUpResult>('backUp', uriOf('data/pruned.db'))),
      );
      assert.equal(backups[0]?.verified, 'ok');
      assert.equal(retention?.problems.length, 1);
      assert.ok(retention.problems[0]?.includes(stuck), retention.problems[0]);
      assert.ok(!retention.removed.includes(stuck));
      assert.deepEqual(
        old.map((one) => existsSync(one)),
        [false, true, false],
      );
      assert.ok(existsSync(`${stuck}.json`));
    } finally {
      makeStuck('-i');
    }
  });

  itInPart('leaves one line in the audit log for each backup that it removes', async () => {
    const old = await history('data/pruned.db', 2);
    await withSetting('retention.keepLast', 1, () => afterBackup(() => backUp('data/pruned.db')));
    const lines = await auditLines();
    for (const path of old) {
      const line = lines.find((one) => one['path'] === path);
      const { what, trigger, result } = line ?? {};
      assert.deepEqual([what, trigger, result], ['prune', 'manual', 'ok'], path);
    }
  });

  itInPart('keeps the last good one when what comes after it is damaged or failed', async () => {
    makeDatabase('data/failing.db');
    const [damaged, good] = await history('data/failing.db', 2);
    assert.ok(damaged !== undefined && good !== undefined);
    writeFileSync(damaged, readFileSync(damaged).subarray(0, 4096));
    writeFileSync(inWorkspace('data/failing.db'), 'no database any more');
    await withSetting('retention.keepLast', 1, () =>
      afterBackup(() => run('backUp', vscode.Uri.file(inWorkspace('data/failing.db')))),
    );
    assert.ok(existsSync(good));
    assert.ok(existsSync(damaged));
  });
});

describe('Apply Retention', () => {
  before(() => {
    removeLater('applied');
    makeDatabase('data/applied.db');
    return useBackupsFolder('applied');
  });
  after(() => useBackupsFolder(undefined));

  it('finds nothing to do in an empty folder', async () => {
    assert.deepEqual(await run('applyRetention'), { removed: [], kept: 0 });
  });

  itInPart('removes nothing without a rule, and counts what stays', async () => {
    const old = await history('data/applied.db', 3);
    const { removed, kept } = await run<RetentionResult>('applyRetention');
    assert.deepEqual([removed, kept], [[], 3]);
    assert.ok(old.every((one) => existsSync(one)));
  });

  itInPart('leaves the backups of other workspaces in a shared folder alone', async () => {
    const old = await history('data/applied.db', 2);
    for (const path of old) {
      editManifest(path, (manifest) => ({
        ...manifest,
        source: { ...manifest.source, workspace: 'another-project', id: 'another-database' },
      }));
    }
    const before = await run<RetentionResult>('applyRetention');
    assert.equal(before.kept, 3);
    await withSetting('retention.keepLast', 3, async () => {
      assert.deepEqual(await run('applyRetention'), { removed: [], kept: 3 });
    });
    assert.ok(old.every((one) => existsSync(one)));
  });
});

/** Waits until something that VS Code reads from a file is known. */
async function settled(isSo: () => boolean): Promise<void> {
  for (let tries = 0; !isSo(); tries++) {
    assert.ok(tries < 100, 'it did not come about');
    await new Promise((settle) => setTimeout(settle, 50));
  }
}
