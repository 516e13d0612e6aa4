import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { basename, join } from 'node:path';
import { createDatabase, overwrite, sha256, snapshot, withDatabase } from '../support/databases.ts';
import {
  type Copy,
  freePort,
  type Machine,
  machineIn,
  needEngines,
  password,
  type Proxy,
  type SendAnswer,
  serve,
  startProxy,
  startSshd,
  untilListening,
} from '../support/offsite.ts';
import { isThorough, itThorough, itInPart } from '../support/operations.ts';
import {
  asNobody,
  cliEntry,
  endAfterEach,
  endProcessesAfterEach,
  isLinuxRoot,
  run,
} from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('copies off the machine, with real engines and real trouble', function () {
  this.timeout(isThorough ? 1_800_000 : 120_000);
  const folder = useTempFolder();
  endProcessesAfterEach();

  before(function () {
    needEngines(this, 'restic', 'rclone');
  });

  const places: Record<
    string,
    () => Promise<{ engine: string; repository: string; env: Record<string, string> }>
  > = {
    async 'restic and its REST protocol'() {
      const { port } = await serve('restic', folder('server'));
      return { engine: 'restic', repository: `rest:http://127.0.0.1:${port}/`, env: {} };
    },
    async 'restic and SFTP'() {
      const { wrapper } = await startSshd(folder('sshd'));
      return {
        ...{ engine: 'restic', repository: `sftp:root@127.0.0.1:${folder('server')}` },
        env: { PATH: `${wrapper}:${process.env['PATH']}` },
      };
    },
    async 'rclone and WebDAV'() {
      const { port } = await serve('webdav', folder('server'));
      return { engine: 'rclone', repository: 'dav:copies', env: davOf(port) };
    },
    async 'rclone and S3'() {
      const port = await startS3(folder('s3'));
      const s3 = {
        ...{ TYPE: 's3', PROVIDER: 'Other', ENDPOINT: `http://127.0.0.1:${port}` },
        ...{ ACCESS_KEY_ID: 'S3RVER', SECRET_ACCESS_KEY: 'S3RVER', FORCE_PATH_STYLE: 'true' },
      };
      const env = Object.entries(s3).map(([key, value]) => [`RCLONE_CONFIG_STORE_${key}`, value]);
      return {
        ...{ engine: 'rclone', repository: 'store:bucket/copies' },
        env: Object.fromEntries(env) as Record<string, string>,
      };
    },
  };

  for (const [title, start] of Object.entries(places))
    itThorough(
      `come back as the same bytes for another user with an empty home: ${title}`,
      async function () {
        if (!isLinuxRoot) return this.skip();
        const { engine, repository, env } = await start();
        const laptop = machineIn(folder('laptop'), env);
        const { path } = await snapshot(createDatabase(folder("it's ünï app.db"), { rows: 5000 }));
        const setup = ['setup', 'away', '--engine', engine, '--repository', repository, '--create'];
        const made = await laptop.offsite(...setup);
        assert.equal(made.code, 0, made.stderr);
        const { sent, proved } = await laptop.json<SendAnswer>('send', '--to', folder('backups'));
        assert.deepEqual([sent.length, proved.length], [1, 1]);
        const printed = (await laptop.offsite('status', '--by-hand')).stdout.trim().split('\n');
        const bytes = sha256(path);
        for (const lost of [path, folder('backups'), folder('laptop'), folder("it's ünï app.db")])
          rmSync(lost, { recursive: true, force: true });

        // Another user, who shares nothing with the first but the password.
        const fresh = machineIn(folder('fresh'), { ...env, ...forNobody(folder(), env) });
        const as = (...command: string[]): ReturnType<typeof run> =>
          run([...asNobody, ...command], { env: fresh.env, cwd: fresh.home });
        const offsite = (...args: string[]): ReturnType<typeof run> =>
          as(process.execPath, cliEntry, 'offsite', ...args);
        const back = join(fresh.home, 'backups');
        spawnSync('chown', ['-R', '65534:65534', fresh.home]);
        const found = await offsite(...setup.slice(0, -1));
        assert.equal(found.code, 0, found.stderr);
        const fetched = await offsite('fetch', basename(path), '--to', back, '--json');
        assert.equal(fetched.code, 0, fetched.stderr);
        const { path: here } = JSON.parse(fetched.stdout) as { path: string };
        assert.equal(sha256(here), bytes);
        const restored = await as(
          ...[process.execPath, cliEntry, 'restore', here, join(fresh.home, 'app.db'), '--yes'],
          ...['--to', back],
        );
        assert.equal(restored.code, 0, restored.stderr);
        assert.equal(sha256(join(fresh.home, 'app.db')), bytes);

        // The commands that were printed before, as they are.
        const commands = printed.filter((line) => !line.startsWith('#'));
        assert.ok(commands.length <= 5, printed.join('\n'));
        const byHand = await as('sh', '-euc', commands.join('\n'));
        assert.equal(byHand.code, 0, byHand.stderr);
        assert.equal(sha256(join(fresh.home, 'restored.db')), bytes);
      },
    );

  itInPart(
    'are listed only when they are whole, and sent once, whatever is cut or killed',
    async () => {
      const rounds = isThorough ? 26 : 3;
      const { port } = await serve('webdav', folder('server'));
      await surviveTrouble(await startProxy(port), rounds, (proxy) => ({
        ...{ engine: 'rclone', repository: 'dav:copies', env: davOf(proxy.port) },
      }));
    },
  );

  itThorough('the same with restic', async () => {
    const { port } = await serve('restic', folder('server'));
    await surviveTrouble(await startProxy(port), 26, (proxy) => ({
      ...{ engine: 'restic', repository: `rest:http://127.0.0.1:${proxy.port}/`, env: {} },
    }));
  });

  /** Cuts the connection, or kills the engine, the worker or the command line, at ever later points of a copy. */
  async function surviveTrouble(
    proxy: Proxy,
    rounds: number,
    place: (proxy: Proxy) => { engine: string; repository: string; env: Record<string, string> },
  ): Promise<void> {
    try {
      const { engine, repository, env } = place(proxy);
      const laptop = machineIn(folder('laptop'), env);
      const setup = ['--engine', engine, '--repository', repository, '--what', 'all', '--create'];
      assert.equal((await laptop.offsite('setup', 'away', ...setup)).code, 0);
      const database = createDatabase(folder('app.db'), { rows: 2000 });
      const paths: string[] = [];
      for (let round = 0; round < rounds; round++) {
        withDatabase(database, (db) => db.exec(`UPDATE items SET payload = randomblob(200)`));
        paths.push((await snapshot(database)).path);
        const point = Math.round((700_000 * (round + 1)) / rounds);
        // Two of five cut the connection: 22 places in the 52 rounds of both engines.
        const who = round % 5;
        if (who === 0 || who === 4) {
          proxy.cutAfter(point);
          await laptop.offsite('send', '--to', folder('backups'));
          proxy.mend();
        } else await killedSend(laptop, proxy, point, who);
        const { copies } = await laptop.json<{ copies: Copy[] }>('list');
        const whole = new Set(paths.map((path) => sha256(path)));
        assert.ok(copies.every((copy) => whole.has(copy.sha256)));
        assert.equal(new Set(copies.map((copy) => copy.sha256)).size, copies.length);
        const lies = await laptop.json<{ failures: unknown[] }>('prove', '--all');
        assert.deepEqual(lies.failures, []);
      }
      const last = await laptop.json<SendAnswer>('send', '--to', folder('backups'));
      assert.equal(last.sent.length + last.already.length, rounds);
      const { copies } = await laptop.json<{ copies: Copy[] }>('list');
      assert.equal(copies.length, rounds);
      assert.deepEqual(
        readdirSync(folder('backups')).filter((name) => name.startsWith('.')),
        [],
      );
    } finally {
      proxy.close();
    }
  }

  async function killedSend(
    laptop: Machine,
    proxy: Proxy,
    point: number,
    who: number,
  ): Promise<void> {
    const child = spawn(
      process.execPath,
      [cliEntry, 'offsite', 'send', '--to', folder('backups')],
      { env: { ...process.env, ...laptop.env }, stdio: 'ignore' },
    );
    endAfterEach(child);
    const pid = child.pid ?? 0;
    proxy.callAfter(point, () => {
      const worker = childrenOf(pid)[0];
      const engine = worker === undefined ? undefined : childrenOf(worker)[0];
      const victim = [pid, worker, engine][who - 1];
      if (victim !== undefined) process.kill(victim, 'SIGKILL');
    });
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    proxy.callAfter(Infinity, () => undefined);
  }

  itThorough('say in words that the place is locked, full or damaged', async function () {
    if (!isLinuxRoot) return this.skip();
    const laptop = machineIn(folder('laptop'));
    await snapshot(createDatabase(folder('app.db'), { rows: 20_000 }));
    const send = (name: string): ReturnType<Machine['offsite']> =>
      laptop.offsite('send', '--to', folder('backups'), '--destination', name);
    const make = async (name: string): Promise<string> => {
      const args = ['--engine', 'restic', '--repository', folder(name), '--create'];
      assert.equal((await laptop.offsite('setup', name, ...args)).code, 0);
      return folder(name);
    };

    const env = { ...process.env, ...laptop.env, RESTIC_PASSWORD: password };
    const locked = await make('locked');
    assert.equal((await send('locked')).code, 0);
    const pruning = spawn('restic', ['-r', locked, 'check', '--read-data'], {
      env,
      stdio: 'ignore',
    });
    endAfterEach(pruning);
    while (!readdirSync(join(locked, 'locks')).some((name) => /^[0-9a-f]{64}$/.test(name)))
      await new Promise((r) => setImmediate(r));
    pruning.kill('SIGSTOP');
    withDatabase(folder('app.db'), (db) => db.exec('DELETE FROM items WHERE id = 1'));
    await snapshot(folder('app.db'));
    const refused = await send('locked');
    pruning.kill('SIGKILL');
    assert.equal(refused.code, 1, refused.stdout);
    assert.match(refused.stderr, /has locked locked/);
    await once(pruning, 'exit');
    // What a dead process left is removed.
    assert.equal((await send('locked')).code, 0);

    mkdirSync(folder('full'));
    assert.equal(
      spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=600k', 'tmpfs', folder('full')]).status,
      0,
    );
    try {
      await make('full');
      const full = await send('full');
      assert.equal(full.code, 1, full.stderr);
      assert.match(full.stderr, /full is full/);
    } finally {
      spawnSync('umount', ['-l', folder('full')]);
    }

    const damaged = await make('damaged');
    assert.equal((await send('damaged')).code, 0);
    const packs = spawnSync('find', [join(damaged, 'data'), '-type', 'f', '-size', '+100k'], {
      encoding: 'utf8',
    });
    for (const pack of packs.stdout.trim().split('\n')) {
      chmodSync(pack, 0o600);
      overwrite(pack, 50_000, Buffer.from('damage'));
    }
    const bad = await laptop.offsite('prove', '--destination', 'damaged');
    assert.equal(bad.code, 1, bad.stdout);
    assert.match(bad.stderr, /returns damaged data/);
    const fetched = await laptop.offsite(
      'fetch',
      '--destination',
      'damaged',
      (await newest()) ?? '',
      '--to',
      folder('x'),
    );
    assert.equal(fetched.code, 1);
    assert.ok(!existsSync(folder('x')));

    async function newest(): Promise<string | undefined> {
      const { copies } = await laptop.json<{ copies: Copy[] }>('list', '--destination', 'damaged');
      return copies[0]?.id;
    }
  });
});

function davOf(port: number): Record<string, string> {
  return {
    ...{ RCLONE_CONFIG_DAV_TYPE: 'webdav', RCLONE_CONFIG_DAV_VENDOR: 'other' },
    RCLONE_CONFIG_DAV_URL: `http://127.0.0.1:${port}`,
  };
}

function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    return text === '' ? [] : text.split(' ').map(Number);
  } catch {
    return [];
  }
}

/** The folders that the other user has to pass, and a key of that user's own for SSH. */
function forNobody(folder: string, { PATH: path }: Record<string, string>): Record<string, string> {
  chmodSync(folder, 0o755);
  const home = join(folder, 'fresh');
  mkdirSync(join(home, 'bin'), { recursive: true });
  if (path === undefined) return {};
  cpSync(join(folder, 'sshd/user'), join(home, 'key'));
  const [wrapper = ''] = path.split(':');
  const script = readFileSync(join(wrapper, 'ssh'), 'utf8');
  spawnSync('sh', ['-c', `cat > "${home}/bin/ssh"; chmod 755 "${home}/bin/ssh"`], {
    input: script.replaceAll(join(folder, 'sshd/user'), join(home, 'key')),
  });
  return { PATH: `${home}/bin:${process.env['PATH']}` };
}

/** npm's s3rver, which is installed into a folder for this test. */
async function startS3(folder: string): Promise<number> {
  mkdirSync(folder, { recursive: true });
  const installed = spawnSync(
    'npm',
    ['install', '--prefix', folder, '--no-audit', '--no-fund', 's3rver@3.7.1'],
    { encoding: 'utf8' },
  );
  assert.equal(installed.status, 0, installed.stderr);
  const port = await freePort();
  endAfterEach(
    spawn(
      process.execPath,
      [
        join(folder, 'node_modules/s3rver/bin/s3rver.js'),
        '-p',
        `${port}`,
        '-a',
        '127.0.0.1',
        '-d',
        join(folder, 'data'),
        '--configure-bucket',
        'bucket',
      ],
      { stdio: 'ignore' },
    ),
  );
  await untilListening(port);
  return port;
}
