import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createDatabase, sha256, withDatabase } from '../support/databases.ts';
import { type Machine, machineIn } from '../support/offsite.ts';
import { itInPart } from '../support/operations.ts';
import { endProcessesAfterEach, holdOpen, runCli } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

/** Answers as Litestream 0.5 documents it (docs/CLI_JSON_OUTPUT.md of its repository). Litestream itself is in no registry. */
const standIn = `#!/bin/sh
here=$(dirname "$0")
echo "$*" >> "$here/calls"
[ "$1" = version ] && { cat "$here/version"; exit 0; }
for last; do :; done
for one; do [ "$before" = -o ] && out=$one; before=$one; done
echo 'level=INFO msg="restoring"' >&2
case "$*" in
*-dry-run*) printf '{"source":"%s","target_path":"%s","replica":"file","min_txid":"0000000000000001","max_txid":"0000000000000004","more":1,"files":[{"level":9,"name":"0000000000000001-0000000000000004.ltx","min_txid":"0000000000000001","max_txid":"0000000000000004","size":8192,"timestamp":"2026-04-24T12:00:00Z"}]}' "$last" "$out" ;;
*) . "$here/restore"
   printf '{"db_path":"%s","replica":"file","txid":"0000000000000004","duration_ms":125,"integrity_check":"full"}' "$out" ;;
esac
`;

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
    writeFileSync(folder('bin/litestream'), standIn, { mode: 0o755 });
    behave('cp "$here/replica" "$out"');
    machine = machineIn(folder('home'), { PATH: `${folder('bin')}:${process.env['PATH']}` });
  });

  function behave(restore: string, version = '0.5.2'): void {
    writeFileSync(folder('bin/restore'), restore);
    writeFileSync(folder('bin/version'), version);
  }

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
