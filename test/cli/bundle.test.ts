import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createDatabase, pagesOf, sha256 } from '../support/databases.ts';
import { itInPart } from '../support/operations.ts';
import { endProcessesAfterEach, holdOpen, runCli, type Ended } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';
import { rawZip } from '../support/zips.ts';

interface BundleResult {
  bundle: {
    path: string;
    sizeBytes: number;
    sha256: string;
    cut: string;
    complete: boolean;
    members: { name: string; kind: string; sizeBytes: number; sha256: string; verified: string }[];
  } | null;
  failures: { path: string; code: string; message: string; hint: string }[];
}

function json<T>({ stdout }: Ended): T {
  return JSON.parse(stdout) as T;
}

describe('the command line, bundles', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();
  const cli = (...args: string[]): Promise<Ended> => runCli(args, { cwd: folder() });

  beforeEach(() => {
    mkdirSync(folder('data'));
    createDatabase(folder('data/app.db'), { journalMode: 'wal' });
    createDatabase(folder('users.db'));
    mkdirSync(folder('uploads'));
    writeFileSync(folder('uploads/a.txt'), 'a');
    writeFileSync(folder('.env'), 'X=1');
  });

  for (const [args, message] of [
    [['bundle', '--to', 'b'], /at least one database/],
    [['bundle', 'users.db', '--to', 'b', '--compression', 'zstd'], /store, fast, balanced, small/],
    [['bundle', 'users.db', '--to', 'b', '--method', 'quick'], /exact or compact/],
    [['bundle', 'users.db', '--to', 'b', '--name', ' '], /--name takes a name/],
    [['bundle', 'users.db'], /--to DIR/],
    [['extract'], /takes a bundle/],
    [['extract', 'x.zip'], /--to DIR/],
  ] as const) {
    it(`says how, with 2 and nothing on stdout: ${args.join(' ')}`, async () => {
      const ended = await cli(...args);
      assert.deepEqual([ended.code, ended.stdout], [2, '']);
      assert.match(ended.stderr, message);
      assert.ok(!existsSync(folder('b')));
    });
  }

  it('bundles, lists, verifies and extracts', async () => {
    const args = [
      'data/app.db',
      'users.db',
      '--to',
      'b',
      '--include',
      'uploads/**',
      '--include',
      '.env',
    ];
    const ended = await cli('bundle', ...args, '--name', 'shop', '--json');
    assert.deepEqual([ended.code, ended.stderr], [0, '']);
    const { bundle, failures } = json<BundleResult>(ended);
    assert.deepEqual(failures, []);
    assert.deepEqual([bundle?.cut, bundle?.complete], ['one-instant', true]);
    const path = bundle?.path ?? '';
    assert.equal(bundle?.sha256, sha256(path));
    const names = bundle.members.map(({ name, kind, verified }) => [name, kind, verified]);
    assert.deepEqual(names, [
      ['data/app.db', 'database', 'ok'],
      ['users.db', 'database', 'ok'],
      ['files/.env', 'companion', null],
      ['files/uploads/a.txt', 'companion', null],
    ]);
    const list = await cli('list', '--to', 'b', '--json');
    const [listed] = json<{ backups: { kind: string; cut: string; members: object[] }[] }>(
      list,
    ).backups;
    assert.deepEqual(
      [listed?.kind, listed?.cut, listed?.members],
      ['bundle', 'one-instant', bundle.members],
    );
    const verified = await cli('verify', path, '--drill');
    assert.equal(verified.code, 0);
    assert.match(verified.stdout, /^ok .*\.zip\n +Restore tested\.\n$/);
    const extracted = await cli('extract', path, '--to', 'out', '--json');
    const { files } = json<{ files: { member: string; path: string; sha256: string }[] }>(
      extracted,
    );
    assert.equal(extracted.code, 0);
    assert.deepEqual(
      files.map(({ member, path: to }) => [member, to]),
      bundle.members.map(({ name }) => [name, folder('out', name)]),
    );
    assert.equal(pagesOf(folder('out/data/app.db')), pagesOf(folder('data/app.db')));
    const again = await cli('extract', path, 'users.db', '--to', 'out');
    assert.deepEqual([again.code, again.stdout], [1, '']);
    assert.match(again.stderr, /already exists/);
    assert.equal((await cli('extract', path, 'users.db', '--to', 'one')).code, 0);
    assert.deepEqual(readdirSync(folder('one')), ['users.db']);
  });

  itInPart('makes none when a member fails, unless that is allowed', async () => {
    await holdOpen(folder('users.db'), 'BEGIN EXCLUSIVE');
    const args = [
      'bundle',
      'data/app.db',
      'users.db',
      'no.db',
      '--to',
      'b',
      '--busy-timeout',
      '0.1',
    ];
    const refused = await cli(...args, '--json');
    const { bundle, failures } = json<BundleResult>(refused);
    assert.deepEqual([refused.code, bundle], [1, null]);
    assert.deepEqual(
      failures.map(({ path, code }) => [path, code]),
      [[folder('no.db'), 'source-missing']],
      'before anything is opened',
    );
    assert.ok(!existsSync(folder('b')));
    const person = await cli(...args);
    assert.deepEqual([person.code, person.stdout], [1, '']);
    assert.match(person.stderr, /no\.db does not exist[\s\S]*--allow-incomplete/);
    const allowed = await cli(...args, '--allow-incomplete', '--json');
    const made = json<BundleResult>(allowed);
    assert.deepEqual([allowed.code, made.bundle?.complete], [0, false]);
    assert.deepEqual(made.failures.map(({ code }) => code).sort(), [
      'source-busy',
      'source-missing',
    ]);
    assert.match((await cli('list', '--to', 'b')).stdout, /bundle of 1, incomplete/);
  });

  it('says to people what it did', async () => {
    const ended = await cli(
      'bundle',
      'data/app.db',
      'users.db',
      '--to',
      'b',
      '--include',
      'none/**',
    );
    assert.equal(ended.code, 0);
    assert.match(
      ended.stdout,
      /^Bundled 2 databases at the same moment: .* verified\.\n {2}.*\.zip\n$/,
    );
    assert.match(ended.stderr, /none\/\*\* matched no file/);
  });

  it('claims one moment for the databases alone, not for the files beside them', async () => {
    const args = ['bundle', 'data/app.db', 'users.db', '--to', 'b', '--include', 'uploads/**'];
    const { stdout } = await cli(...args);
    assert.match(
      stdout,
      /^Bundled 2 databases at the same moment, \d+ files? copied beside them: /,
    );
    const one = await cli('bundle', 'users.db', '--to', 'b', '--include', 'uploads/**');
    assert.match(one.stdout, /^Bundled 1 database, \d+ files? copied beside it: .* verified\.\n/);
  });

  it('fails every database for what is wrong with the folder', async () => {
    writeFileSync(folder('b'), 'a file');
    const ended = await cli('bundle', 'users.db', '--to', 'b', '--json');
    const { bundle, failures } = json<BundleResult>(ended);
    assert.deepEqual([ended.code, bundle, failures.map(({ code }) => code)], [1, null, ['access']]);
    assert.equal(readFileSync(folder('b'), 'utf8'), 'a file');
  });

  it('ends with 1 for a zip that is damaged, and reads one of others', async () => {
    const content = readFileSync(folder('users.db'));
    writeFileSync(
      folder('theirs.zip'),
      rawZip([
        { name: 'x.db', data: content, deflate: true },
        { name: 'VERSION', data: '1' },
      ]),
    );
    const good = await cli('verify', 'theirs.zip', '--json');
    assert.equal(good.code, 0);
    assert.equal(json<{ results: { status: string }[] }>(good).results[0]?.status, 'partial');
    const listed = json<{ backups: { kind: string; foreign: boolean; cut: null }[] }>(
      await cli('list', '--to', '.', '--json'),
    ).backups.find(({ kind }) => kind === 'bundle');
    assert.deepEqual([listed?.foreign, listed?.cut], [true, null]);
    writeFileSync(folder('evil.zip'), rawZip([{ name: '../x.db', data: content }]));
    assert.equal((await cli('verify', 'evil.zip')).code, 1);
    assert.equal((await cli('extract', 'evil.zip', '--to', 'out')).code, 1);
    assert.ok(!existsSync(folder('out')) && !existsSync(folder('../x.db')));
  });
});
