import assert from 'node:assert/strict';
import { existsSync, readdirSync, truncateSync } from 'node:fs';
import {
  createDatabase,
  createWithForeignCollation,
  flipValue,
  itemsSql,
  manifestOf,
  slowToCheckSql,
  withDatabase,
} from '../support/databases.ts';
import { itInPart } from '../support/operations.ts';
import { endProcessesAfterEach, holdOpen, runCli, type Ended } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

interface BackUpResult {
  backups: { path: string; database: string; method: string; verified: string }[];
  failures: { database: string; code: string; message: string; hint: string }[];
  cut?: string;
}

interface VerifyResult {
  results: {
    path: string;
    status: string;
    findings: { code: string; message: string }[];
    drill?: { status: string; at: string };
  }[];
}

function json<T>({ stdout }: Ended): T {
  return JSON.parse(stdout) as T;
}

describe('the command line', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();
  const backUp = (...args: string[]): Promise<Ended> =>
    runCli(['back-up', ...args, '--to', folder('b'), '--busy-timeout', '0.1']);

  for (const [args, message] of [
    [['--together', '--method', 'compact'], /--together needs the method exact/],
    [['--method', 'fast'], /--method is exact or compact, not fast/],
    [['--method', 'constructor'], /--method/],
    [['--method', ''], /--method/],
    [['--max-size', '0'], /--max-size takes a size/],
    [['--max-size', '-5MB'], /--max-size/],
    [['--max-size', 'big'], /--max-size takes a size such as 500MB, not big/],
    [['--max-size', '5PB'], /--max-size/],
    [['--max-size', '1e9'], /--max-size/],
  ] as const) {
    it(`says how, with 2 and nothing on stdout: back-up ${args.join(' ')}`, async () => {
      const ended = await backUp(createDatabase(folder('app.db')), ...args);
      assert.deepEqual([ended.code, ended.stdout], [2, '']);
      assert.match(ended.stderr, message);
      assert.ok(!existsSync(folder('b')));
    });
  }

  it('compacts with --method compact', async () => {
    const path = createDatabase(folder('app.db'), { sql: `${itemsSql(2000)}; DELETE FROM items` });
    const ended = await backUp(path, '--method', 'compact', '--json');
    const { backups, failures, cut } = json<BackUpResult>(ended);
    assert.deepEqual([ended.code, ended.stderr, failures, cut], [0, '', [], undefined]);
    assert.deepEqual(
      backups.map(({ method, verified }) => [method, verified]),
      [['compact', 'ok']],
    );
    assert.equal(manifestOf(backups[0]?.path ?? '').method, 'compact');
  });

  it('says of what cannot be compacted why, and what can be done instead', async () => {
    const path = createWithForeignCollation(folder('app.db'));
    const machine = await backUp(path, '--method', 'compact', '--json');
    const [failure] = json<BackUpResult>(machine).failures;
    assert.deepEqual([machine.code, failure?.code], [1, 'feature-missing']);
    const person = await backUp(path, '--method', 'compact');
    assert.deepEqual([person.code, person.stdout], [1, '']);
    assert.match(person.stderr, /cannot be compacted.*app_order[\s\S]*exact/);
    assert.ok(!existsSync(folder('b')));
  });

  it('backs up --together at one instant, and says so to programs and to people', async () => {
    const paths = ['a.db', 'b.db'].map((name) =>
      createDatabase(folder(name), { journalMode: 'wal' }),
    );
    const machine = await backUp(...paths, '--together', '--json');
    const { backups, failures, cut } = json<BackUpResult>(machine);
    assert.deepEqual([machine.code, machine.stderr, failures, cut], [0, '', [], 'one-instant']);
    assert.deepEqual(
      backups.map(({ database }) => database),
      paths,
    );
    const person = await backUp(...paths, '--together');
    assert.deepEqual([person.code, person.stderr], [0, '']);
    assert.match(
      person.stdout,
      /^Backed up .*a\.db.*verified[\s\S]*Backed up .*b\.db[\s\S]*All at the same moment\.\n$/,
    );
    assert.equal(readdirSync(folder('b')).length, 8);
  });

  it('backs up --together what can be, and ends with 1 for what cannot', async () => {
    const good = createDatabase(folder('a.db'));
    const locked = createDatabase(folder('b.db'));
    await holdOpen(locked, 'BEGIN EXCLUSIVE');
    const ended = await backUp(good, locked, folder('missing.db'), '--together', '--json');
    const { backups, failures, cut } = json<BackUpResult>(ended);
    assert.deepEqual(
      [ended.code, backups.map(({ database }) => database), cut],
      [1, [good], 'one-instant'],
    );
    assert.deepEqual(failures.map(({ database, code }) => [database, code]).sort(), [
      [locked, 'source-busy'],
      [folder('missing.db'), 'source-missing'],
    ]);
  });

  it('says nothing of an instant when there is but one database', async () => {
    const ended = await backUp(createDatabase(folder('a.db')), '--together');
    assert.equal(ended.code, 0);
    assert.doesNotMatch(ended.stdout, /moment|instant/);
  });

  itInPart('refuses what is larger than --max-size, and takes what is not', async () => {
    const path = createDatabase(folder('app.db'));
    for (const size of ['1MB', '1.5 MB', '1000000', '1gb', '999999B']) {
      assert.equal((await backUp(path, '--max-size', size)).code, 0, size);
    }
    const ended = await backUp(path, '--max-size', '20kb', '--json');
    const [failure] = json<BackUpResult>(ended).failures;
    assert.deepEqual([ended.code, failure?.code], [1, 'too-large']);
    assert.match(failure?.message ?? '', /more than the limit of 20 KB/);
  });

  it('refuses a sparse file of 20 GB without being told to', async () => {
    const path = createDatabase(folder('app.db'));
    truncateSync(path, 20e9);
    assert.equal(json<BackUpResult>(await backUp(path, '--json')).failures[0]?.code, 'too-large');
  });

  describe('verify --drill', () => {
    let backup = '';
    beforeEach(async () => {
      const path = createDatabase(folder('app.db'), {
        sql: `CREATE TABLE t (a); INSERT INTO t VALUES ('a value')`,
      });
      backup = json<BackUpResult>(await backUp(path, '--json')).backups[0]?.path ?? '';
    });

    it('proves a good one restorable, to programs and to people', async () => {
      const ended = await runCli(['verify', backup, '--drill', '--json']);
      assert.deepEqual([ended.code, ended.stderr], [0, '']);
      const [result] = json<VerifyResult>(ended).results;
      assert.deepEqual([result?.status, result?.drill?.status], ['ok', 'ok']);
      assert.match(result?.drill?.at ?? '', /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
      const person = await runCli(['verify', backup, '--drill']);
      assert.match(person.stdout, /^ok .*\n +Restore tested\.\n$/);
      assert.equal(
        json<VerifyResult>(await runCli(['verify', backup, '--json'])).results[0]?.drill,
        undefined,
      );
    });

    itInPart('of a damaged one is failed as well, and ends with 1', async () => {
      flipValue(backup, 'a value');
      const ended = await runCli(['verify', backup, '--drill', '--json']);
      const [result] = json<VerifyResult>(ended).results;
      assert.deepEqual(
        [ended.code, result?.status, result?.drill?.status],
        [1, 'damaged', 'failed'],
      );
      const listed = await runCli(['list', '--to', folder('b'), '--json']);
      assert.deepEqual(
        json<{ backups: { verified: string }[] }>(listed).backups.map(({ verified }) => verified),
        ['damaged'],
      );
    });

    it('of one that was made to be slow ends at the deadline, with 3 and the reason', async () => {
      withDatabase(backup, (db) => db.unsafeMode().exec(slowToCheckSql));
      const ended = await runCli(['verify', backup, '--drill', '--deadline', '1', '--json']);
      const [result] = json<VerifyResult>(ended).results;
      assert.deepEqual(
        [ended.code, result?.status, result?.findings.map(({ code }) => code)],
        [3, 'unchecked', ['deadline']],
      );
    });
  });

  itInPart('backs up a database that was made to be slow only until the deadline', async () => {
    const path = createDatabase(folder('app.db'));
    withDatabase(path, (db) => db.unsafeMode().exec(slowToCheckSql));
    const ended = await backUp(path, '--deadline', '1', '--json');
    assert.deepEqual(
      [ended.code, json<BackUpResult>(ended).failures.map(({ code }) => code)],
      [1, ['deadline']],
    );
    assert.ok(!existsSync(folder('b')));
  });
});
