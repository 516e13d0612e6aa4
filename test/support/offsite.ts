/** Real places for copies on the loopback: servers of rclone and sshd, and what stands between them and an engine. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Destination } from '../../src/core/offsite/destination.ts';
import { type Ended, endAfterEach, runCli } from './processes.ts';

export interface Copy {
  id: string;
  name: string;
  sha256: string;
}

/** What `offsite send --json` prints. */
export interface SendAnswer {
  sent: Copy[];
  already: Copy[];
  proved: Copy[];
  waiting: string[];
  failures: { code: string; message: string }[];
  trouble: { code: string; message: string } | null;
}

export function hasProgram(program: string): boolean {
  return spawnSync(program, [program === 'sshd' ? '-V' : 'version']).error === undefined;
}

/** Skips the suite where an engine is missing, and says how to get it. */
export function needEngines(context: Mocha.Context, ...programs: string[]): void {
  const missing = programs.filter((one) => !hasProgram(one));
  if (missing.length === 0) return;
  console.log(
    `      skipped: needs ${missing.join(' and ')} (apt-get install -y ${missing.join(' ')})`,
  );
  context.skip();
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  server.close();
  await once(server, 'close');
  return address.port;
}

export async function untilListening(port: number): Promise<void> {
  for (let tries = 0; tries < 600; tries++) {
    const socket = connect(port, '127.0.0.1');
    const isUp = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
    });
    socket.destroy();
    if (isUp) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`Nothing listens on ${port}.`);
}

/** `rclone serve PROTOCOL FOLDER` on a loopback port. */
export async function serve(
  protocol: 'restic' | 'webdav',
  folder: string,
): Promise<{ port: number; child: ChildProcess }> {
  mkdirSync(folder, { recursive: true });
  const port = await freePort();
  const env: NodeJS.ProcessEnv = { ...process.env, RCLONE_CONFIG: join(folder, '../none.conf') };
  delete env['AWS_CA_BUNDLE'];
  const child = spawn('rclone', ['serve', protocol, '--addr', `127.0.0.1:${port}`, folder], {
    env,
    stdio: 'ignore',
  });
  endAfterEach(child);
  await untilListening(port);
  return { port, child };
}

export interface Proxy {
  port: number;
  /** Passes on so many bytes more to the server, then cuts all connections. */
  cutAfter: (bytes: number) => void;
  /** Calls `action` once, when so many bytes more have gone to the server. */
  callAfter: (bytes: number, action: () => void) => void;
  /** Lets everything through again. */
  mend: () => void;
  close: () => void;
  /** Bytes that went to the server. */
  sent: () => number;
}

/** Stands between an engine and its server. */
export async function startProxy(target: number, bytesPerSecond = Infinity): Promise<Proxy> {
  const sockets = new Set<Socket>();
  let left = Infinity;
  let total = 0;
  const alarm = { at: Infinity, action: (): void => undefined };
  const cut = (): void => sockets.forEach((socket) => socket.destroy());
  const server: Server = createServer((near) => {
    if (left <= 0) return void near.destroy();
    const far = connect(target, '127.0.0.1');
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    near.on('data', (chunk: Buffer) => {
      const passed = chunk.subarray(0, Math.max(0, Math.min(chunk.length, left)));
      total += passed.length;
      left -= passed.length;
      far.write(passed);
      if (total >= alarm.at) {
        alarm.at = Infinity;
        alarm.action();
      }
      if (left <= 0) return cut();
      if (bytesPerSecond === Infinity) return;
      near.pause();
      setTimeout(() => near.resume(), (chunk.length / bytesPerSecond) * 1000);
    });
    far.pipe(near);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return {
    port: address.port,
    cutAfter: (bytes) => (left = bytes),
    callAfter(bytes, action) {
      alarm.at = total + bytes;
      alarm.action = action;
    },
    mend: () => (left = Infinity),
    sent: () => total,
    close() {
      cut();
      server.close();
    },
  };
}

/** A machine as the command line sees it: its own home and data folder, no configuration of others. */
export interface Machine {
  home: string;
  env: Record<string, string>;
  offsite: (...args: string[]) => Promise<Ended>;
  json: <T>(...args: string[]) => Promise<T>;
}

export const password = 'never-shown-4711';

export function machineIn(home: string, more: Record<string, string> = {}): Machine {
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const env = {
    ...{ HOME: home, XDG_DATA_HOME: join(home, 'data'), XDG_CACHE_HOME: join(home, 'cache') },
    ...{ XDG_CONFIG_HOME: join(home, 'config'), RESTIC_PASSWORD: password, AWS_CA_BUNDLE: '' },
    ...{ SQLITE_BACKUP_OFFSITE_PATIENCE_MS: '1500' },
    ...more,
  };
  const offsite = (...args: string[]): Promise<Ended> => runCli(['offsite', ...args], { env });
  return {
    ...{ home, env, offsite },
    async json<T>(...args: string[]) {
      const ended = await offsite(...args, '--json');
      assert.ok(ended.stdout !== '', `${args.join(' ')}: ${ended.stderr}`);
      return JSON.parse(ended.stdout) as T;
    },
  };
}

/**
 * Sets `repository` up as a place of rclone. Tests that are not about restic use it: each call of restic takes a second for
 * its key.
 */
export async function setUpMirror(
  machine: Machine,
  repository: string,
  name = 'disk',
): Promise<void> {
  const where = ['--engine', 'rclone', '--repository', repository];
  const ended = await machine.offsite('setup', name, ...where);
  assert.equal(ended.code, 0, ended.stderr);
}

/** The same for the core, which takes the place from its caller. */
export function mirrorAt(repository: string, changes: Partial<Destination> = {}): Destination {
  const mirror = { name: 'disk', engine: 'rclone', what: 'all', when: 'manual' } as const;
  return { ...mirror, repository, ...changes };
}

/** Makes a keyed sshd on a loopback port, and an ssh that finds it by the host name `offsite`. Root only. */
export async function startSshd(folder: string): Promise<{ port: number; wrapper: string }> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  mkdirSync('/run/sshd', { recursive: true });
  const key = (name: string): string => {
    const path = join(folder, name);
    spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', path]);
    return path;
  };
  const [host, user] = [key('host'), key('user')];
  cpSync(`${user}.pub`, join(folder, 'authorized'));
  chmodSync(join(folder, 'authorized'), 0o600);
  const port = await freePort();
  const config = join(folder, 'sshd_config');
  writeFileSync(
    config,
    `Port ${port}\nListenAddress 127.0.0.1\nHostKey "${host}"\nAuthorizedKeysFile "${join(folder, 'authorized')}"\nStrictModes no\nPermitRootLogin yes\nUsePAM no\nPidFile none\nSubsystem sftp internal-sftp\n`,
  );
  endAfterEach(spawn('/usr/sbin/sshd', ['-D', '-f', config], { stdio: 'ignore' }));
  await untilListening(port);
  // restic runs the `ssh` that is first in PATH.
  const wrapper = join(folder, 'bin');
  mkdirSync(wrapper);
  writeFileSync(
    join(wrapper, 'ssh'),
    `#!/bin/sh\nexec /usr/bin/ssh -F none -i "${user}" -p ${port} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR "$@"\n`,
    { mode: 0o755 },
  );
  return { port, wrapper };
}

/** All that processes of this machine show of their command lines, without ours. */
export function commandLines(): string {
  return spawnSync('ps', ['-eo', 'pid,args', 'ww'], { encoding: 'utf8' }).stdout;
}

/** All that lies in files below a folder, as one text. */
export function textsBelow(folder: string): string {
  const { stdout } = spawnSync('find', [folder, '-type', 'f', '-print0'], { encoding: 'utf8' });
  return stdout
    .split('\0')
    .filter((path) => path !== '')
    .map((path) => readFileSync(path, 'latin1'))
    .join('\n');
}

/**
 * Puts a program in front of an engine: the lines of `script` run first, with `$*` as its arguments, and then the engine.
 * Each call is a line in `calls`.
 */
export function inFrontOf(
  engine: 'restic' | 'rclone',
  folder: string,
  script: string,
): { env: { PATH: string }; calls: () => string[] } {
  const real = spawnSync('sh', ['-c', `command -v ${engine}`], { encoding: 'utf8' }).stdout.trim();
  mkdirSync(folder, { recursive: true });
  const log = join(folder, 'calls');
  writeFileSync(
    join(folder, engine),
    `#!/bin/sh\necho "$*" >> "${log}"\n${script}\nexec ${real === '' ? 'false' : real} "$@"\n`,
    { mode: 0o755 },
  );
  return {
    env: { PATH: `${folder}:${process.env['PATH']}` },
    calls: () => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []),
  };
}
