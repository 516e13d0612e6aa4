import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createDatabase, sha256, snapshot } from '../support/databases.ts';
import {
  type Copy,
  inFrontOf,
  type Machine,
  machineIn,
  needEngines,
  type SendAnswer,
  setUpMirror,
} from '../support/offsite.ts';
import { itInPart, itThorough } from '../support/operations.ts';
import {
  cliEntry,
  endAfterEach,
  endProcessesAfterEach,
  run,
  runCli,
} from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

interface State {
  sentAt?: string;
  provedAt?: string;
  sampledAt?: string;
  triedAt?: string;
  engineProcess?: { pid: number; mark: string };
}

describe('what is remembered of copies off the machine', () => {
  const folder = useTempFolder();
  endProcessesAfterEach();
  let laptop: Machine;
  let backup: string;

  before(function () {
    needEngines(this, 'rclone');
  });

  beforeEach(async () => {
    laptop = machineIn(folder('laptop'));
    backup = (await snapshot(createDatabase(folder('app.db')))).path;
    await setUpMirror(laptop, folder('mirror'));
  });

  const send = (machine = laptop): Promise<SendAnswer> =>
    machine.json<SendAnswer>('send', '--to', folder('backups'));
  const stateFile = (): string => {
    const home = folder('laptop/data/sqlite-backup/offsite');
    const name = readdirSync(home).find((one) => /^[0-9a-f]{12}\.json$/.test(one));
    return join(home, name ?? 'none');
  };
  const stateNow = (): State => JSON.parse(readFileSync(stateFile(), 'utf8')) as State;
  const proofOf = (path: string): string | undefined =>
    (JSON.parse(readFileSync(`${path}.json`, 'utf8')) as { offsite?: { provedAt?: string }[] })
      .offsite?.[0]?.provedAt;

  itInPart(
    'is in the report of Doctor, which asks the place only with --reach and shows no address',
    async () => {
      const { env, calls } = inFrontOf('rclone', folder('bin'), '');
      const watched = machineIn(folder('laptop'), env);
      const doctor = (...args: string[]): ReturnType<typeof runCli> =>
        runCli(['doctor', folder('app.db'), ...args], { env: watched.env });
      const never = await doctor();
      assert.match(
        never.stdout,
        /Off-machine copies, disk\n.*✓ The engine is rclone 1\.\S+\.\n.*i No copy was proved yet/,
      );
      assert.deepEqual(calls(), ['version']);
      assert.ok(!never.stdout.includes(folder('mirror')));
      const days = (many: number): void => {
        const provedAt = new Date(Date.now() - many * 86_400_000).toISOString();
        mkdirSync(dirname(stateFile()), { recursive: true });
        writeFileSync(stateFile(), JSON.stringify({ ...stateNow(), provedAt }));
      };
      await send();
      days(2);
      assert.match(
        (await doctor('--reach')).stdout,
        /✓ The last proof is 2 days old\.\n.*✓ disk answers/,
      );
      days(9);
      const old = await doctor();
      assert.equal(old.code, 1);
      assert.match(old.stdout, /✗ The last proof is 9 days old/);
      const without = await runCli(['doctor', folder('app.db')], {
        env: { ...laptop.env, PATH: folder('nothing') },
      });
      assert.match(without.stdout, /✗ rclone is not installed.*\n.*Install it/);
    },
  );

  it('is in an exported runbook, whose commands bring the same bytes back as they are printed', async () => {
    await send();
    const bytes = sha256(backup);
    const { env } = laptop;
    const runbook = await runCli(['runbook', backup, folder('app.db')], { env });
    assert.equal(runbook.code, 0, runbook.stderr);
    const [, ours = ''] = runbook.stdout.split('## If this machine is gone');
    const [, commands = ''] = /```sh\n([^]*?)\n```/.exec(ours) ?? [];
    assert.ok(commands !== '' && commands.split('\n').length <= 5, ours);
    for (const lost of ['backups', 'app.db', 'laptop']) rmSync(folder(lost), { recursive: true });
    mkdirSync(folder('bare'));
    const byHand = await run(['sh', '-euc', commands], { env, cwd: folder('bare') });
    assert.equal(byHand.code, 0, byHand.stderr);
    assert.equal(sha256(folder('bare/restored.db')), bytes);
  });

  itInPart('refuses the options of other actions in words', async () => {
    for (const [words, why] of [
      ['list --what all', /offsite list takes no --what\. It takes --destination and --json/],
      ['send --to x --create', /offsite send takes no --create/],
      ['fetch x --to x --all', /offsite fetch takes no --all/],
      ['setup x --to y', /offsite setup takes no --to/],
      ['prove --by-hand', /offsite prove takes no --by-hand/],
      ['prove x --all', /copies or --all, not both/],
      ['send x.db --to x', /backups or --to, not both/],
      ['status --destination disk', /--destination needs --by-hand/],
      ['status --by-hand --to x', /--by-hand takes no --to/],
    ] as const) {
      const { code, stderr } = await laptop.offsite(...words.split(' '));
      assert.equal(code, 2, words);
      assert.match(stderr, why);
    }
  });

  itInPart('says when it last sent, and not when copies were there already', async () => {
    await send();
    const { sentAt } = stateNow();
    assert.ok(sentAt !== undefined);
    const { already } = await send();
    assert.equal(already.length, 1);
    assert.equal(stateNow().sentAt, sentAt);
    rmSync(folder('laptop'), { recursive: true });
    const again = machineIn(folder('laptop'));
    await setUpMirror(again, folder('mirror'));
    assert.equal((await send(again)).already.length, 1);
    assert.equal(stateNow().sentAt, undefined);
  });

  itInPart('keeps the last good proof while the place cannot be reached', async () => {
    await send();
    const proof = proofOf(backup);
    assert.ok(proof !== undefined);
    const offline = 'case "$1" in cat) echo "dial tcp: connection refused" >&2; exit 1;; esac';
    const { env } = inFrontOf('rclone', folder('bin'), offline);
    const away = machineIn(folder('laptop'), env);
    const prove = await away.offsite('prove');
    assert.equal(prove.code, 1);
    assert.match(prove.stderr, /^disk cannot be reached/m);
    assert.doesNotMatch(prove.stderr, /sent/i);
    // The weekly sample of a send.
    const eightDaysAgo = new Date(Date.now() - 8 * 86_400_000).toISOString();
    writeFileSync(stateFile(), JSON.stringify({ ...stateNow(), sampledAt: eightDaysAgo }));
    const { trouble, waiting } = await send(away);
    assert.match(trouble?.message ?? '', /^disk cannot be reached/);
    assert.deepEqual(waiting, []);
    assert.equal(proofOf(backup), proof);
    assert.equal(stateNow().sampledAt, eightDaysAgo);
  });

  itInPart(
    'proves a sample when the last one is a week old, and what is damaged has no proof',
    async () => {
      await send();
      const daysAgo = (days: number): void => {
        const sampledAt = new Date(Date.now() - days * 86_400_000).toISOString();
        writeFileSync(stateFile(), JSON.stringify({ ...stateNow(), sampledAt }));
      };
      const old = '2026-01-01T00:00:00.000Z';
      const manifest = JSON.parse(readFileSync(`${backup}.json`, 'utf8')) as {
        offsite: { provedAt: string }[];
      };
      for (const receipt of manifest.offsite) receipt.provedAt = old;
      writeFileSync(`${backup}.json`, JSON.stringify(manifest));
      daysAgo(6);
      assert.deepEqual((await send()).proved, []);
      assert.equal(proofOf(backup), old);
      daysAgo(8);
      assert.equal((await send()).proved.length, 1);
      assert.notEqual(proofOf(backup), old);
      // A clock that was wrong.
      daysAgo(-8);
      assert.equal((await send()).proved.length, 1);

      const [name = ''] = readdirSync(folder('mirror'));
      const copy = join(folder('mirror'), name, backup.split('/').at(-1) ?? '');
      const bytes = readFileSync(copy);
      bytes.writeUInt8(bytes.readUInt8(5000) ^ 1, 5000);
      writeFileSync(copy, bytes);
      daysAgo(8);
      const { failures } = await send();
      assert.match(failures[0]?.message ?? '', /disk returns damaged data/);
      assert.equal(proofOf(backup), undefined);
    },
  );

  itInPart('downloads the details of a copy once', async () => {
    const { env, calls } = inFrontOf('rclone', folder('bin'), '');
    const watched = machineIn(folder('laptop'), env);
    const downloads = (): number => calls().filter((call) => call.startsWith('copy ')).length;
    await send(watched);
    const lists = async (): Promise<number> =>
      (await watched.json<{ copies: Copy[] }>('list')).copies.length;
    assert.equal(await lists(), 1);
    const first = downloads();
    assert.equal(await lists(), 1);
    assert.equal(downloads(), first);
    // Another one that says something else is read again.
    const [name = ''] = readdirSync(folder('mirror'));
    const there = join(folder('mirror'), name, `${backup.split('/').at(-1)}.json`);
    writeFileSync(there, '{}');
    assert.equal(await lists(), 0);
    assert.equal(downloads(), first + 1);
  });

  itInPart(
    'a second run loses nothing that the first one remembers, and a cancel says what is true',
    async () => {
      const held = folder('held');
      const script = `case "$1" in copyto) touch "${held}"; exec sleep 60;; esac`;
      const { env } = inFrontOf('rclone', folder('bin'), script);
      const slow = machineIn(folder('laptop'), env);
      const child = spawn(
        process.execPath,
        [cliEntry, 'offsite', 'send', '--to', folder('backups')],
        { env: { ...process.env, ...slow.env }, stdio: ['ignore', 'ignore', 'pipe'] },
      );
      endAfterEach(child);
      let told = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => (told += text));
      while (!existsSync(held) || stateNow().engineProcess === undefined)
        await new Promise((resolve) => setTimeout(resolve, 20));
      const { engineProcess, triedAt } = stateNow();
      assert.ok(engineProcess !== undefined && engineProcess.mark !== '');
      const second = await laptop.offsite('send', '--to', folder('backups'));
      assert.match(second.stderr, /Another process is using disk/);
      assert.deepEqual(stateNow().engineProcess, engineProcess);
      assert.equal(stateNow().triedAt, triedAt);
      child.kill('SIGINT');
      await once(child, 'close');
      assert.match(told, /Cancelled\. What was sent before stays there/);
      assert.doesNotMatch(told, /Nothing was written/);
    },
  );

  itInPart('does not take another program of the same number for its engine', async () => {
    await send();
    const engineProcess = { pid: process.pid, mark: 'of a process that is gone' };
    writeFileSync(stateFile(), JSON.stringify({ ...stateNow(), engineProcess }));
    const begun = performance.now();
    assert.equal((await send()).already.length, 1);
    assert.ok(performance.now() - begun < 9_000);
  });

  itThorough('reads with one run of restic', async function () {
    needEngines(this, 'restic');
    const { env, calls } = inFrontOf('restic', folder('bin'), '');
    const machine = machineIn(folder('second'), env);
    const where = ['--engine', 'restic', '--repository', folder('server'), '--create'];
    assert.equal((await machine.offsite('setup', 'nas', ...where)).code, 0);
    assert.equal((await send(machine)).proved.length, 1);
    assert.deepEqual(
      calls()
        .filter((call) => /^(ls|dump) /.test(call))
        .map((call) => call.split(' ')[0]),
      ['dump'],
    );
  });
});
