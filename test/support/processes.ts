import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { canInstall, installPackage } from './debian.ts';
import { delimiter, join, resolve } from 'node:path';

export const root = resolve(import.meta.dirname, '../..');

/** What ships, bundled by `esbuild.mjs --processes` before the tests run: hundreds of processes start from it. */
export const workerEntry = join(root, 'out/product/worker.cjs');
export const cliEntry = join(root, 'out/product/cli.js');

/** The bundle of `test/fixtures/NAME.ts`. */
export function fixture(name: string): string {
  return join(root, 'out/fixtures', name.replace(/\.ts$/, '.js'));
}

const running = new Set<ChildProcess>();

/** Ends what a test started and did not end itself. Call it once in a suite that starts processes. */
export function endProcessesAfterEach(): void {
  afterEach(killRunning);
}

/** Ends all that this test has started, as a person who stops the application. */
export async function killRunning(): Promise<void> {
  await Promise.all([...running].map(kill));
}

/** For a process that is started elsewhere. */
export function endAfterEach(child: ChildProcess): void {
  running.add(child);
  child.once('exit', () => running.delete(child));
}

/** Starts a fixture and waits for its first message, which says that it did its work. */
export async function start(
  name: string,
  ...args: string[]
): Promise<{ child: ChildProcess; first: unknown }> {
  const child = fork(fixture(name), args, {
    execArgv: [],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  endAfterEach(child);
  const [first] = (await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code]) => {
      throw new Error(`${name} ended with ${code} before it was ready`);
    }),
  ])) as [unknown];
  return { child, first };
}

/** A process that runs the statements on the database, then holds its connection until it is killed. */
export async function holdOpen(database: string, ...statements: string[]): Promise<ChildProcess> {
  return (await start('holder.ts', database, ...statements)).child;
}

/** Kill -9, and wait until the process is gone with all its locks. */
export async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

interface RunOptions {
  cwd?: string;
  env?: Record<string, string>;
  onStart?: (child: ChildProcess) => void;
}

/** Runs a program to its end. */
export async function run(command: string[], options: RunOptions = {}): Promise<Ended> {
  const [program = '', ...args] = command;
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  options.onStart?.(child);
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  running.delete(child);
  return { code, signal, ...output };
}

/** Runs the command line. */
export function runCli(args: string[], options: RunOptions = {}): Promise<Ended> {
  return run([process.execPath, cliEntry, ...args], options);
}

/** The prefix that runs a command as the unprivileged user `nobody`; only root has it. */
export const asNobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];

export const isLinuxRoot = process.platform === 'linux' && process.getuid?.() === 0;

/** Makes sure that a program of a Debian package is there: installs it where that is possible, else says how to. */
export function needProgram(program: string, debianPackage: string): void {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/sbin', '/usr/sbin'];
  if (folders.some((folder) => existsSync(join(folder, program)))) return;
  const problem = canInstall ? installPackage(debianPackage) : '';
  if (problem === undefined) return;
  throw new Error(`This test needs ${program}: apt-get install -y ${debianPackage}\n${problem}`);
}

export async function waitUntil(
  condition: () => boolean,
  what: string,
  timeoutMs = 5000,
): Promise<void> {
  for (const end = Date.now() + timeoutMs; !condition();) {
    if (Date.now() > end) throw new Error(`Waited ${timeoutMs} ms in vain until ${what}`);
    await new Promise((wake) => setTimeout(wake, 5));
  }
}

export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
