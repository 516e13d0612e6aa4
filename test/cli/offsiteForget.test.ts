import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { createDatabase, snapshot, withDatabase } from '../support/databases.ts';
import {
  type Copy,
  type Machine,
  machineIn,
  needEngines,
  password,
  type SendAnswer,
  setUpMirror,
} from '../support/offsite.ts';
import { itThorough } from '../support/operations.ts';
import { cliEntry, endProcessesAfterEach, needProgram } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

interface Plan {
  keep: { id: string; name: string; reasons: string[] }[];
  remove: { id: string; name: string; reasons: string[] }[];
  removed: string[];
}

describe('old copies off the machine', () => {
  const folder = useTempFolder();
  endProcessesAfterEach();
  let laptop: Machine;

  beforeEach(() => {
    laptop = machineIn(folder('laptop'));
  });

  it('go by no program and without no rule, and rclone has none', async function () {
    needEngines(this, 'rclone');
    await setUpMirror(laptop, folder('mirror'));
    for (const [words, code, why] of [
      ['forget --keep-last 2 --yes', 2, /needs a terminal: only a person removes copies/],
      ['forget', 2, /at least one rule/],
      ['forget --keep-last 0', 2, /whole number/],
      ['forget x --keep-last 2', 2, /no arguments/],
      ['forget --keep-last 2', 1, /no rules for what to keep/],
    ] as const) {
      const ended = await laptop.offsite(...words.split(' '));
      assert.equal(ended.code, code, words);
      assert.match(ended.stderr, why);
    }
  });

  // Each call of restic takes a second for its key.
  itThorough(
    'are named with reasons, and go when a person says so at a terminal',
    async function () {
      this.timeout(120_000);
      needEngines(this, 'restic');
      needProgram('script', 'bsdutils');
      const repository = folder('server');
      const where = ['--engine', 'restic', '--repository', repository, '--what', 'all', '--create'];
      assert.equal((await laptop.offsite('setup', 'nas', ...where)).code, 0);
      const paths: string[] = [];
      const change = (path: string, changes: object): void => {
        const manifest = JSON.parse(readFileSync(`${path}.json`, 'utf8')) as object;
        writeFileSync(`${path}.json`, JSON.stringify({ ...manifest, ...changes }));
      };
      const database = createDatabase(folder('app.db'));
      for (let day = 1; day <= 7; day++) {
        const rows = day === 4 ? 'id > 20' : `id = ${day}`;
        withDatabase(database, (db) => db.exec(`DELETE FROM items WHERE ${rows}`));
        const { path } = await snapshot(database);
        paths.push(path);
        const pinned = day === 1 && { pinned: true };
        change(path, { createdAt: `2026-01-0${day}T12:00:00.000Z`, ...pinned });
      }
      // A clock that was ahead takes the place of none.
      withDatabase(database, (db) => db.exec(`DELETE FROM items WHERE id = 8`));
      const { path: ahead } = await snapshot(database);
      change(ahead, { createdAt: new Date(Date.now() + 86_400_000).toISOString() });
      await snapshot(createDatabase(folder('other.db'), { rows: 3 }));
      const env = { ...process.env, ...laptop.env, RESTIC_REPOSITORY: repository };
      spawnSync('restic', ['backup', folder('app.db')], { env });
      const { sent } = await laptop.json<SendAnswer>('send', '--to', folder('backups'));
      assert.equal(sent.length, 9);

      const plan = await laptop.json<Plan>('forget', '--keep-last', '2');
      const why = (path: string): string[] | undefined =>
        plan.keep.find(({ name }) => name === basename(path))?.reasons;
      assert.deepEqual(
        plan.remove.map(({ name }) => name).sort(),
        [1, 3, 4].map((index) => basename(paths[index] ?? '')).sort(),
      );
      assert.ok(plan.remove.every(({ reasons }) => reasons[0] === 'no rule keeps it'));
      assert.deepEqual(why(ahead), ['dated in the future']);
      assert.deepEqual(why(paths[6] ?? ''), [
        'reports lost rows in items',
        'newest copy',
        'backup 1 of the newest 2',
      ]);
      assert.deepEqual(why(paths[0] ?? ''), ['pinned']);
      assert.deepEqual(why(paths[2] ?? ''), ['last backup before rows of items were lost']);
      assert.deepEqual(plan.removed, []);
      const count = async (): Promise<number> =>
        (await laptop.json<{ copies: Copy[] }>('list')).copies.length;
      assert.equal(await count(), 9);

      const command = `"${process.execPath}" "${cliEntry}" offsite forget --keep-last 2 --yes`;
      const atTerminal = spawnSync('script', ['-qfec', command, '/dev/null'], {
        ...{ env, encoding: 'utf8' },
      });
      assert.match(atTerminal.stdout, /Removed 3 copies/);
      assert.equal(await count(), 6);
      const snapshots = spawnSync('restic', ['snapshots', '--json'], { env, encoding: 'utf8' });
      assert.equal((JSON.parse(snapshots.stdout) as unknown[]).length, 7);
      assert.match(readFileSync(`${paths[1]}.json`, 'utf8'), /"removedAt"/);
      // What a person removed is not sent again.
      const again = await laptop.json<SendAnswer>('send', '--to', folder('backups'));
      assert.deepEqual([again.sent, again.waiting], [[], []]);
      const whole = spawnSync('restic', ['check', '--read-data'], { env, encoding: 'utf8' });
      assert.equal(whole.status, 0, whole.stderr);
      assert.ok(!atTerminal.stdout.includes(password));
    },
  );
});
