import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { basename } from 'node:path';
import { createDatabase, sha256, snapshot, valueOf, withDatabase } from '../support/databases.ts';
import {
  type Copy,
  inFrontOf,
  type Machine,
  machineIn,
  needEngines,
  type SendAnswer,
  setUpMirror,
} from '../support/offsite.ts';
import { itInPart } from '../support/operations.ts';
import { type Ended, endProcessesAfterEach, run, runCli } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

/** Each row of the table in docs/offsite.md, run as it says. */
describe('if this breaks', () => {
  const folder = useTempFolder();
  endProcessesAfterEach();
  let laptop: Machine;
  let live: string;
  let backup: string;
  let bytes: string;

  before(function () {
    needEngines(this, 'rclone');
  });

  beforeEach(async () => {
    laptop = machineIn(folder('laptop'));
    mkdirSync(folder('disk'));
    live = createDatabase(folder('disk/app.db'), { rows: 50 });
    backup = (await snapshot(live, { folder: folder('disk/backups') })).path;
    bytes = sha256(backup);
  });

  async function setUp(machine: Machine, ...places: string[]): Promise<void> {
    for (const name of places) await setUpMirror(machine, folder(name), name);
  }
  const send = (machine: Machine, place: string): Promise<SendAnswer> =>
    machine.json('send', '--to', folder('disk/backups'), '--destination', place);
  const list = async (machine: Machine, place: string): Promise<Copy[]> =>
    (await machine.json<{ copies: Copy[] }>('list', '--destination', place)).copies;
  const restore = ({ env }: Machine, from: string, to: string): Promise<Ended> =>
    runCli(['restore', from, to, '--yes', '--to', folder('safety')], { env });

  /** Fetches the backup from `place`, and restores it. */
  async function comesBack(machine: Machine, place: string, on: string): Promise<void> {
    const fetched = await machine.json<{ path: string }>(
      ...['fetch', basename(backup), '--to', folder(`${on}/backups`), '--destination', place],
    );
    assert.equal(sha256(fetched.path), bytes);
    const restored = await restore(machine, fetched.path, folder(`${on}/app.db`));
    assert.equal(restored.code, 0, restored.stderr);
    assert.equal(sha256(folder(`${on}/app.db`)), bytes);
  }

  const rows: Record<string, (this: Mocha.Context) => Promise<void>> = {
    async 'the database'() {
      withDatabase(live, (db) => db.exec('DELETE FROM items'));
      const restored = await restore(laptop, backup, live);
      assert.equal(restored.code, 0, restored.stderr);
      assert.equal(sha256(live), bytes);
      // What the restore has replaced is kept.
      const previous = readdirSync(folder('disk')).find((name) => /\.bad-[^.]+$/.test(name)) ?? '';
      assert.equal(valueOf(folder(`disk/${previous}`), 'SELECT count(*) FROM items'), 0);
    },

    async 'the disk'() {
      await setUp(laptop, 'away');
      await send(laptop, 'away');
      const elsewhere = await snapshot(live, { folder: folder('second/backups') });
      rmSync(folder('disk'), { recursive: true });
      mkdirSync(folder('third'));
      await comesBack(laptop, 'away', 'third');
      // A backups folder on another disk needs no engine.
      const restored = await restore(laptop, elsewhere.path, folder('second/app.db'));
      assert.equal(restored.code, 0, restored.stderr);
      assert.equal(valueOf(folder('second/app.db'), 'SELECT count(*) FROM items'), 50);
    },

    async 'the laptop'() {
      await setUp(laptop, 'away');
      await send(laptop, 'away');
      for (const lost of ['laptop', 'disk']) rmSync(folder(lost), { recursive: true });
      const fresh = machineIn(folder('new'));
      await setUp(fresh, 'away');
      assert.deepEqual(
        (await list(fresh, 'away')).map(({ name }) => name),
        [basename(backup)],
      );
      await comesBack(fresh, 'away', 'new');
    },

    async 'the cloud account'() {
      const locked = `case "$*" in *"${folder('cloud')}"*) echo "AccessDenied: account is locked: 403" >&2; exit 1;; esac`;
      await setUp(laptop, 'cloud', 'other');
      assert.equal((await send(laptop, 'cloud')).proved.length, 1);
      // Locked: it says so, and the backups here and the second destination do not need it.
      const shut = machineIn(folder('laptop'), inFrontOf('rclone', folder('bin'), locked).env);
      const denied = await shut.offsite(
        ...['send', '--to', folder('disk/backups'), '--destination', 'cloud'],
      );
      assert.equal(denied.code, 1);
      assert.match(denied.stderr, /cloud denies access/);
      assert.equal((await send(shut, 'other')).proved.length, 1);
      const verified = await runCli(['verify', backup], { env: shut.env });
      assert.equal(verified.code, 0, verified.stderr);
      withDatabase(live, (db) => db.exec('DELETE FROM items'));
      assert.equal((await restore(shut, backup, live)).code, 0);
      assert.equal(sha256(live), bytes);
      // Deleted: nothing is there, and another account at the same address gets it again.
      renameSync(folder('cloud'), folder('lost cloud'));
      assert.deepEqual(await list(laptop, 'cloud'), []);
      assert.equal((await send(laptop, 'cloud')).sent.length, 1);
      rmSync(folder('cloud'), { recursive: true });
      rmSync(folder('disk'), { recursive: true });
      mkdirSync(folder('disk'));
      await comesBack(laptop, 'other', 'disk');
    },

    async 'the password of a restic repository'() {
      needEngines(this, 'restic');
      const where = ['--engine', 'restic', '--repository', folder('vault'), '--create'];
      const made = await laptop.offsite('setup', 'vault', ...where);
      assert.match(made.stderr, /password safe: it cannot be recovered/);
      await send(laptop, 'vault');
      const guess = machineIn(folder('laptop'), { RESTIC_PASSWORD: 'guessed' });
      const refused = await guess.offsite(
        ...['fetch', basename(backup), '--to', folder('back'), '--destination', 'vault'],
      );
      assert.equal(refused.code, 1);
      assert.match(refused.stderr, /password of vault is missing or wrong/);
      assert.match(refused.stderr, /Without it, these copies cannot be read/);
      assert.ok(!readdirSync(folder()).includes('back'));
      assert.equal((await restore(guess, backup, live)).code, 0);
    },

    async 'this extension'() {
      await setUp(laptop, 'away');
      await send(laptop, 'away');
      const printed = (await laptop.offsite('status', '--by-hand')).stdout.trim().split('\n');
      for (const lost of ['laptop', 'disk']) rmSync(folder(lost), { recursive: true });
      mkdirSync(folder('bare'));
      const commands = printed.filter((line) => !line.startsWith('#'));
      assert.ok(commands.length <= 5, printed.join('\n'));
      // Engines and sqlite3 of the system, and no Node.
      const byHand = await run(['sh', '-euc', commands.join('\n')], {
        ...{ env: { PATH: '/usr/bin:/bin', HOME: folder('bare') }, cwd: folder('bare') },
      });
      assert.equal(byHand.code, 0, byHand.stderr);
      assert.equal(sha256(folder('bare/restored.db')), bytes);
    },
  };

  it('has a row for each of the following', () => {
    const docs = readFileSync('docs/offsite.md', 'utf8');
    const [, table = ''] = docs.split('## If this breaks');
    const named = [...(table.split('\n## ')[0] ?? '').matchAll(/^\| ([^|(]+?) *(?:\([^|]*)?\|/gm)];
    assert.deepEqual(named.map(([, what]) => what).slice(2), Object.keys(rows));
  });

  for (const [what, comes] of Object.entries(rows))
    (what === 'the database' ? it : itInPart)(`${what}: what the table says brings it back`, comes);
});
