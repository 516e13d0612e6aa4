import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createDatabase, sha256, withDatabase } from '../support/databases.ts';
import { putLitestream } from '../support/litestream.ts';
import { type Machine, machineIn } from '../support/offsite.ts';
import { itInPart } from '../support/operations.ts';
import { endProcessesAfterEach, holdOpen, runCli } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('Litestream', () => {
  const folder = useTempFolder();
  endProcessesAfterEach();
  let machine: Machine;
  let live: string;

  beforeEach(() => {
    mkdirSync(folder('bin'));
    live = createDatabase(folder('app.db'));
    withDatabase(live, (db) => {
      db.exec('CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER)');
      db.exec('CREATE TABLE _litestream_lock (id INTEGER)');
    });
    cpSync(live, folder('bin/replica'));
    mkdirSync(folder('.app.db-litestream'));
    writeFileSync(folder('.app.db-litestream/generation'), '1');
    withDatabase(live, (db) => db.exec('DELETE FROM items'));
    behave();
    machine = machineIn(folder('home'), { PATH: `${folder('bin')}:${process.env['PATH']}` });
  });

  const behave = (restore?: string, version?: string): void =>
    putLitestream(folder('bin'), { restore, version });

  const fetch = (...args: string[]): ReturnType<Machine['offsite']> =>
    machine.offsite('litestream', live, '--to', folder('back'), ...args);

  itInPart('that is missing, too old, fails or lies leaves nothing', async () => {
    const before = sha256(live);
    for (const [restore, version, why] of [
      ['', '0.3.13', /Litestream 0\.3\.13 is too old: 0\.5 is needed/],
      ['', 'v0.5.0', /did not say that it restored app\.db/],
      [
        'echo "no matching backup files available" >&2; exit 1',
        '0.5.2',
        /no matching backup files/,
      ],
      ['echo no JSON; exit 0', '0.5.2', /litestream answered something for app\.db .*: no JSON/],
      [
        'echo \'{"db":1}\'; exit 0',
        '0.5.2',
        /litestream answered something for app\.db .*: \{"db":1\}/,
      ],
      ['head -c 9000 "$here/replica" > "$out"', '0.5.2', /damaged/],
      ['cp "$here/replica" "$out"; out=/elsewhere', '0.5.2', /did not say that it restored/],
    ] as const) {
      behave(restore, version);
      const ended = await fetch();
      assert.equal(ended.code, 1, ended.stdout);
      assert.match(ended.stderr, why);
      assert.ok(!existsSync(folder('back')), restore);
    }
    const without = machineIn(folder('home'), { PATH: folder('nothing') });
    const missing = await without.offsite('litestream', live, '--to', folder('back'));
    assert.match(missing.stderr, /litestream is not installed/);
    const wrong = await fetch('--at', 'yesterday');
    assert.match(wrong.stderr, /yesterday is not a time/);
    assert.equal(sha256(live), before);
  });

  it('is a source of a restore, whose copy is verified before it has a name', async () => {
    const before = sha256(live);
    const plan = await machine.offsite('litestream', live, '--plan');
    assert.match(plan.stdout, /up to 2026-04-24T12:00:00Z/);
    const at = '2026-04-24T13:00:00+02:00';
    const ended = await fetch('--at', at, '--json');
    assert.equal(ended.code, 0, ended.stderr);
    const { path } = JSON.parse(ended.stdout) as { path: string };
    assert.equal(sha256(path), sha256(folder('bin/replica')));
    assert.deepEqual(readdirSync(folder('back')), ['app_litestream_20260424_110000Z.db']);
    const [, , , restored = ''] = readFileSync(folder('bin/calls'), 'utf8')
      .trim()
      .split('\n')
      .slice(-4);
    assert.match(
      restored,
      /^restore -json -integrity-check full -timestamp 2026-04-24T11:00:00\.000Z -o .*app\.db .*app\.db$/,
    );
    assert.equal(sha256(live), before);
    const second = await fetch('--at', at);
    assert.match(second.stdout, /_110000Z-2\.db/);
    const asked = await runCli(['restore', path, live, '--plan'], { env: machine.env });
    assert.match(`${asked.stdout}${asked.stderr}`, /Litestream replicates/);
    const back = await runCli(
      ['restore', path, live, '--yes', '--unproved', '--to', folder('back')],
      {
        env: machine.env,
      },
    );
    assert.equal(back.code, 0, back.stderr);
    assert.equal(sha256(live), sha256(folder('bin/replica')));
  });

  it('is recognised, and a backup leaves its WAL and its notes as they are', async () => {
    await holdOpen(
      live,
      ...['PRAGMA journal_mode = wal', 'PRAGMA wal_autocheckpoint = 0'],
      'CREATE TABLE more (id INTEGER)',
    );
    const states = (): string[] =>
      [live, `${live}-wal`, folder('.app.db-litestream/generation')].map((path) => sha256(path));
    const before = states();
    assert.ok(readFileSync(`${live}-wal`).length > 0);
    const { env } = machine;
    const backedUp = await runCli(['back-up', live, '--to', folder('back')], { env });
    assert.equal(backedUp.code, 0, backedUp.stderr);
    const doctor = await runCli(['doctor', live], { env });
    assert.match(doctor.stdout, /Litestream replicates it[\s\S]*offsite litestream/);
    assert.deepEqual(states(), before);
  });
});
