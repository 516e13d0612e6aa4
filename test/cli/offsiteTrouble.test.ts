import assert from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { toPlainError } from '../../src/core/errors.ts';
import { reasonOf, trouble } from '../../src/core/offsite/trouble.ts';
import { createDatabase, sha256, snapshot } from '../support/databases.ts';
import {
  type Copy,
  inFrontOf,
  type Machine,
  machineIn,
  needEngines,
  type SendAnswer,
  serve,
  setUpMirror,
  startProxy,
} from '../support/offsite.ts';
import { itInPart, itThorough } from '../support/operations.ts';
import { endProcessesAfterEach } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('trouble off the machine', () => {
  const folder = useTempFolder();
  endProcessesAfterEach();

  /** A restic that answers with these lines of a shell. */
  function standIn(script: string): Machine {
    const { env } = inFrontOf('restic', folder('bin'), script);
    return machineIn(folder('laptop'), env);
  }
  const setup = ['setup', 'nas', '--engine', 'restic', '--repository', 'sftp:me@nas:/x'];

  it('of an engine that is too old, or no engine, is told with the way to a newer one', async () => {
    for (const [answer, why] of [
      ['restic 0.13.1 compiled with go1.18', /too old: 0\.13\.1, not 0\.14/],
      ['another program of that name', /too old: another program of that name/],
    ] as const) {
      const ended = await standIn(`echo "${answer}"; exit 0`).offsite(...setup);
      assert.equal(ended.code, 1);
      assert.match(ended.stderr, why);
      assert.match(ended.stderr, /Install it/);
      assert.ok(!existsSync(folder('laptop/data/sqlite-backup/offsite/destinations.json')));
    }
  });

  itInPart('has the same words from codes of new versions and from words of old ones', async () => {
    const cases: [version: string, code: number, said: string, why: RegExp][] = [
      ['0.18.0', 10, 'Fatal: repository does not exist', /has no restic repository yet/],
      ['0.18.0', 12, 'Fatal: anything', /password of nas is missing or wrong/],
      ['0.18.0', 10, 'dial tcp: i/o timeout', /nas cannot be reached/],
      ['0.14.0', 1, 'Fatal: unable to open config file: x', /has no restic repository yet/],
      ['0.14.0', 1, 'Fatal: wrong password or no key found', /password of nas is missing or wrong/],
      ['0.14.0', 1, 'dial tcp 10.0.0.1:22: connection refused', /nas cannot be reached/],
      ['0.14.0', 1, 'RequestTimeTooSkewed: the difference', /because a clock is wrong/],
      ['0.14.0', 1, 'open: no space left on device', /nas is full/],
      ['0.14.0', 1, 'ciphertext verification failed', /returns damaged data/],
      ['0.14.0', 1, 'ssh: permission denied (publickey)', /nas denies access/],
      ['0.14.0', 1, 'Load(<data/1>): unexpected EOF', /nas cannot be reached/],
      ['0.14.0', 1, 'open pack: input/output error', /says nothing about the copies/],
      ['0.14.0', 1, 'no idea', /restic failed for nas: no idea/],
    ];
    for (const [version, code, said, why] of cases) {
      const script = `[ "$1" = version ] && { echo "restic ${version}"; exit 0; }; echo "${said}" >&2; exit ${code}`;
      const ended = await standIn(script).offsite(...setup);
      assert.equal(ended.code, 1, said);
      assert.match(ended.stderr, why);
      assert.doesNotMatch(ended.stderr, /\bsent\b/i);
    }
  });

  it('of the machine or its service is no verdict about a repository or a copy', () => {
    const cases: [code: number, said: string, reason: string][] = [
      [1, 'unable to open config file: Head: x509: certificate signed by', 'certificate'],
      [10, 'tls: failed to verify certificate: x509: certificate has expired', 'certificate'],
      [1, 'Load(<data/1a>) returned error: 429 Too Many Requests', 'overloaded'],
      [1, 'Load(<index/1a>): unexpected HTTP response (500)', 'overloaded'],
      [1, 'unable to open config file: SlowDown: reduce your rate', 'overloaded'],
      [1, 'Load(<data/1a>): read /repo/data/1a: input/output error', 'machine'],
      [1, 'unable to create lock in backend: too many open files', 'machine'],
      [10, 'unable to open config file: cannot allocate memory', 'machine'],
      [1, 'Load(<data/1a>): an error that no version had', 'failed'],
      // What was read and is wrong, or is missing alone, is a verdict all the same.
      [1, 'Load(<data/1a>) returned error: 500\nciphertext verification failed', 'damaged'],
      [1, 'Load(<data/1a>) returned error: open 1a: no such file or directory', 'damaged'],
      [10, 'repository does not exist: unable to open config file', 'no-repository'],
      // Counts in a report of progress.
      [1, '500 files, 429 new, 1a500 5xx', 'failed'],
    ];
    for (const [code, said, reason] of cases)
      assert.equal(reasonOf('restic', code, said), reason, said);
    for (const reason of ['certificate', 'machine', 'overloaded'] as const) {
      const { message, hint } = toPlainError(trouble(reason, { name: 'nas', engine: 'restic' }));
      assert.match(message, /nas/);
      assert.match(hint ?? '', /again|Check/);
    }
  });

  it('of the machine is told with the line that names it', () => {
    const said = 'files\nopen pack: input/output error\n1 / 1 files deleted';
    const { message } = toPlainError(trouble('machine', { name: 'nas', engine: 'restic' }, said));
    assert.match(message, /: open pack: input\/output error\. This says nothing/);
  });

  it('of damage names the command of the engine that was used', () => {
    const hintOf = (engine: string): string =>
      toPlainError(trouble('damaged', { name: 'nas', engine })).hint ?? '';
    assert.match(hintOf('restic'), /`restic check/);
    assert.match(hintOf('rclone'), /`rclone hashsum/);
    assert.doesNotMatch(hintOf('rclone'), /restic/);
  });

  it('of names: Windows paths are read, and what leads out of a folder is not fetched', async () => {
    const tags = [
      'sqlite-backup',
      `sha=${'a'.repeat(64)}`,
      'at=2026-01-01T00:00:00.000Z',
      'size=5',
    ];
    const of = (id: string, path: string, more = `${path}.json`): object => ({
      ...{ id: id.repeat(64), paths: [more, path], hostname: 'pc', tags, time: 'x' },
    });
    const snapshots = [
      of('1', 'C:\\Users\\me\\backups\\app.db'),
      of('2', '/home/me/backups/..'),
      of('3', '/home/me/other.db', '/home/me/unlike.json'),
      { ...of('4', '/home/me/no tags.db'), tags: null },
      { ...of('5', '/home/me/wrong.db'), tags: ['sqlite-backup', 'sha=x', 'at=y'] },
    ];
    mkdirSync(folder('bin'));
    writeFileSync(folder('bin/answer'), JSON.stringify(snapshots));
    const machine = standIn(
      `case "$1" in version) echo "restic 0.14.0";; snapshots) cat "${folder('bin/answer')}";; esac; exit 0`,
    );
    assert.equal((await machine.offsite(...setup)).code, 0);
    const { copies } = await machine.json<{ copies: Copy[] }>('list');
    assert.deepEqual(copies.map(({ name }) => name).sort(), ['..', 'app.db']);
    const bad = await machine.offsite('fetch', '2222', '--to', folder('back'));
    assert.equal(bad.code, 1);
    assert.ok(!existsSync(folder('back')));
  });

  itInPart('of a slow place is none: a copy takes as long as it takes', async function () {
    needEngines(this, 'rclone');
    const { path } = await snapshot(createDatabase(folder('app.db'), { rows: 400 }));
    const { port } = await serve('webdav', folder('server'));
    // Longer than the patience with a place that does not answer.
    const proxy = await startProxy(port, 40_000);
    try {
      const laptop = machineIn(folder('laptop'), {
        ...{ RCLONE_CONFIG_DAV_TYPE: 'webdav', RCLONE_CONFIG_DAV_VENDOR: 'other' },
        RCLONE_CONFIG_DAV_URL: `http://127.0.0.1:${proxy.port}`,
      });
      await setUpMirror(laptop, 'dav:copies');
      const begun = performance.now();
      const { proved } = await laptop.json<SendAnswer>('send', '--to', folder('backups'));
      assert.ok(performance.now() - begun > 1500);
      assert.deepEqual(
        proved.map((one) => sha256((one as unknown as { path: string }).path)),
        [sha256(path)],
      );
    } finally {
      proxy.close();
    }
  });

  const together = async (engine: string, repository: string): Promise<void> => {
    const machines: Machine[] = [];
    for (const who of ['one', 'two']) {
      const { path } = await snapshot(createDatabase(folder(`${who}.db`), { rows: 500 }), {
        folder: folder(`backups-${who}`),
      });
      assert.ok(existsSync(path));
      const machine = machineIn(folder(who));
      const args = ['--engine', engine, '--repository', repository, '--create'];
      const made = await machine.offsite('setup', 'shared', ...args);
      assert.equal(made.code, 0, made.stderr);
      machines.push(machine);
    }
    const answers = await Promise.all(
      machines.map((machine, n) =>
        machine.json<SendAnswer>('send', '--to', folder(`backups-${['one', 'two'][n]}`)),
      ),
    );
    for (const { sent, proved, failures } of answers)
      assert.deepEqual([sent.length, proved.length, failures], [1, 1, []]);
    const [one, two] = machines;
    const { copies } = (await one?.json<{ copies: Copy[] }>('list')) ?? { copies: [] };
    assert.equal(copies.length, 2);
    // Each finds what the other has sent.
    const other = copies.find(({ name }) => name.startsWith('one'));
    const fetched = await two?.json<{ path: string }>(
      ...['fetch', other?.name ?? '', '--to', folder('back')],
    );
    assert.equal(sha256(fetched?.path ?? ''), other?.sha256);
  };

  itInPart('comes of no two machines that send to one place at once', async function () {
    needEngines(this, 'rclone');
    await together('rclone', folder('shared'));
  });

  itThorough(
    'comes of no two machines that send to one restic repository at once',
    async function () {
      needEngines(this, 'restic');
      await together('restic', folder('shared'));
    },
  );
});
