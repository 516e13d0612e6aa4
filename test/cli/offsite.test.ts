import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname } from 'node:path';
import { createDatabase, overwrite, sha256, snapshot } from '../support/databases.ts';
import {
  type Copy,
  commandLines,
  type Machine,
  machineIn,
  needEngines,
  password,
  serve,
  setUpMirror,
  startProxy,
  type SendAnswer,
  textsBelow,
} from '../support/offsite.ts';
import { itInPart, itThorough } from '../support/operations.ts';
import { endProcessesAfterEach, runCli } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('the command line, off the machine', () => {
  const folder = useTempFolder();
  endProcessesAfterEach();
  let laptop: Machine;

  before(function () {
    needEngines(this, 'restic', 'rclone');
  });

  beforeEach(() => {
    laptop = machineIn(folder('laptop'));
  });

  it('says with 2 what is missing, and stores nothing that is wrong', async () => {
    for (const args of [[], ['nothing'], ['send', '--to', folder('x')]])
      assert.equal((await laptop.offsite(...args)).code, 2, args.join(' '));
    for (const [engine, repository, why] of [
      ['restic', 'rest:http://me:secret-1@127.0.0.1/', /contains a password/],
      ['rclone', ':webdav,url=http://x,pass=secret-1:', /contains a password/],
      ['rclone', '--config=x', /not an address/],
      ['tar', 'x', /not valid/],
    ] as const) {
      const ended = await laptop.offsite(
        'setup',
        'x',
        `--engine=${engine}`,
        `--repository=${repository}`,
      );
      assert.equal(ended.code, 1);
      assert.match(ended.stderr, why);
    }
    assert.ok(!existsSync(folder('laptop/data/sqlite-backup/offsite/destinations.json')));
  });

  itInPart('leaves a list of destinations that it cannot understand as it is', async () => {
    const list = folder('laptop/data/sqlite-backup/offsite/destinations.json');
    mkdirSync(dirname(list), { recursive: true, mode: 0o700 });
    writeFileSync(list, '{ "destinations": [ { "name": "nas"');
    const before = readFileSync(list, 'utf8');
    const address = ['--engine', 'rclone', '--repository', folder('server')];
    const ended = await laptop.offsite('setup', 'second', ...address);
    assert.equal(ended.code, 1);
    assert.match(ended.stderr, /destinations\.json cannot be understood/);
    assert.equal(readFileSync(list, 'utf8'), before);
  });

  it('sends with restic, proves, loses all, and fetches the same bytes on a new machine', async () => {
    const database = createDatabase(folder('app.db'), { rows: 3000 });
    const { path } = await snapshot(database);
    const { port } = await serve('restic', folder('server'));
    const address = `rest:http://127.0.0.1:${port}/`;
    const setup = ['setup', 'nas', '--engine', 'restic', '--repository', address];
    const refused = await laptop.offsite(...setup);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /no restic repository yet/);
    assert.match((await laptop.offsite(...setup, '--create')).stderr, /recover/);

    let seen = '';
    const watching = setInterval(() => (seen += commandLines()), 60);
    const first = await laptop.json<SendAnswer>('send', '--to', folder('backups'));
    clearInterval(watching);
    assert.deepEqual([first.sent.length, first.proved.length, first.waiting], [1, 1, []]);
    assert.match(seen, /restic/);
    for (const text of [seen, textsBelow(folder('laptop/data')), textsBelow(folder('backups'))])
      assert.ok(!text.includes(password));
    const manifest = JSON.parse(readFileSync(`${path}.json`, 'utf8')) as {
      format: number;
      offsite: { name: string; provedAt: string }[];
    };
    assert.equal(manifest.format, 1);
    assert.equal(manifest.offsite[0]?.name, 'nas');
    assert.ok(Date.parse(manifest.offsite[0].provedAt) > Date.now() - 600_000);

    const bytes = sha256(path);
    for (const lost of ['app.db', 'backups', 'laptop']) rmSync(folder(lost), { recursive: true });
    const fresh = machineIn(folder('new machine'));
    await fresh.offsite(...setup);
    const { copies } = await fresh.json<{ copies: Copy[] }>('list');
    assert.deepEqual(
      copies.map(({ name }) => name),
      [basename(path)],
    );
    const fetched = await fresh.json<{ path: string }>(
      ...['fetch', basename(path), '--to', folder('back')],
    );
    assert.equal(sha256(fetched.path), bytes);
    const restored = await runCli(
      ['restore', fetched.path, folder('app.db'), '--yes', '--to', folder('back')],
      { env: fresh.env },
    );
    assert.equal(restored.code, 0, restored.stderr);
    assert.equal(sha256(folder('app.db')), bytes);
  });

  it('sends nothing twice, and fetches what is not there whole already', async () => {
    const { path } = await snapshot(createDatabase(folder('app.db')));
    await setUpMirror(laptop, folder('mirror'));
    const send = (): Promise<SendAnswer> => laptop.json('send', '--to', folder('backups'));
    assert.equal((await send()).sent.length, 1);
    const again = await send();
    assert.deepEqual([again.sent, again.already.length], [[], 1]);

    const bytes = sha256(path);
    const fetched = (): Promise<{ path: string }> =>
      laptop.json('fetch', basename(path), '--to', folder('back'));
    const first = await fetched();
    assert.equal(sha256(first.path), bytes);
    assert.equal((await fetched()).path, first.path);
    // What is damaged here is what a copy is fetched for.
    chmodSync(first.path, 0o600);
    overwrite(first.path, 100, Buffer.from('damage'));
    const good = await fetched();
    assert.notEqual(good.path, first.path);
    assert.equal(sha256(good.path), bytes);
  });

  itThorough(
    'takes a place that cannot be reached for "not sent yet", and says each other trouble in words',
    async () => {
      await snapshot(createDatabase(folder('app.db')));
      const { port, child } = await serve('restic', folder('server'));
      const proxy = await startProxy(port);
      try {
        const address = `rest:http://127.0.0.1:${proxy.port}/`;
        const setup = ['setup', 'nas', '--engine', 'restic', '--repository', address, '--create'];
        assert.equal((await laptop.offsite(...setup)).code, 0);
        const wrong = machineIn(folder('laptop'), { RESTIC_PASSWORD: 'wrong' });
        const denied = await wrong.offsite('send', '--to', folder('backups'));
        assert.equal(denied.code, 1);
        assert.match(denied.stderr, /password of nas is missing or wrong/);
        const without = machineIn(folder('laptop'), { PATH: folder('nothing') });
        const missing = await without.offsite('send', '--to', folder('backups'));
        assert.match(missing.stderr, /restic is not installed.*\n.*apt install restic/);
        proxy.cutAfter(0);
        const offline = await laptop.offsite('send', '--to', folder('backups'));
        assert.equal(offline.code, 3, offline.stderr);
        assert.match(offline.stderr, /Not sent yet: nas cannot be reached/);
        const status = await laptop.json<{ destinations: { waiting: string[] }[] }>('status');
        assert.equal(status.destinations[0]?.waiting.length, 1);
        proxy.mend();
        const later = await laptop.json<SendAnswer>('send', '--to', folder('backups'));
        assert.deepEqual([later.sent.length, later.proved.length], [1, 1]);
      } finally {
        proxy.close();
        child.kill();
      }
    },
  );

  itInPart('sends with rclone, and neither lists nor keeps what is not whole or lies', async () => {
    const { path } = await snapshot(createDatabase(folder('app.db')));
    const there = folder('mirror');
    await setUpMirror(laptop, there);
    const { sent } = await laptop.json<SendAnswer>('send', '--to', folder('backups'));
    const [name = ''] = readdirSync(there);
    const copy = `${there}/${name}/${basename(path)}`;
    assert.equal(sha256(copy), sha256(path));
    assert.equal(sent[0]?.id, `${name}/${basename(path)}`);

    const whole = readFileSync(copy);
    const lists = async (): Promise<number> =>
      (await laptop.json<{ copies: Copy[] }>('list')).copies.length;
    writeFileSync(copy, whole.subarray(0, 1000));
    assert.equal(await lists(), 0);
    const flipped = Buffer.from(whole);
    flipped.writeUInt8(flipped.readUInt8(5000) ^ 1, 5000);
    writeFileSync(copy, flipped);
    const bad = await laptop.offsite('prove');
    assert.equal(bad.code, 1);
    assert.match(bad.stderr, /damaged/);
    assert.ok(!readFileSync(`${path}.json`, 'utf8').includes('provedAt'));
    rmSync(folder('backups'), { recursive: true });
    const lie = await laptop.offsite('fetch', basename(path), '--to', folder('backups'));
    assert.equal(lie.code, 1);
    assert.match(lie.stderr, /not what its backup details say/);
    assert.ok(!existsSync(folder('backups')));
    rmSync(`${copy}.json`);
    assert.equal(await lists(), 0);
  });
});
