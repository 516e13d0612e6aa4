// The VS Code server, for tests where desktop VS Code cannot be had. The npm package code-server
// contains it; only that server is used here, not code-server's own entry point, which does not
// pass on the flag that lets a page name the tests to run.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { calmSettings, machineSettings } from './calmSettings.ts';
import { spawnTree, temporaryFolder } from './lifetime.ts';

const PACKAGE = 'code-server@4.139.1';
const CACHE = resolve(import.meta.dirname, '../../../.vscode-test');
const START_TIMEOUT_MS = 60_000;

/** The extensions of VS Code itself that a test can notice. A window loads all 95 in twice the time. */
const NEEDED_BUILT_INS = [
  'git',
  'git-base',
  'json',
  'ms-vscode.js-debug',
  'sql',
  'theme-defaults',
  'theme-seti',
];

export interface ServerOptions {
  /** False leaves workspace trust on, so that a folder opens in Restricted Mode. Default: true. */
  trusted?: boolean;
  /** Paths of `.vsix` files to install. */
  extensions?: string[];
  /** True keeps all extensions that VS Code comes with, as for a person. Default: those that a test can notice. */
  allBuiltIns?: boolean;
  /** User settings, on top of the calm ones. */
  settings?: Record<string, unknown>;
  /** True lets a page name tests to run, and turns off notification toasts. Default: false. */
  testDriver?: boolean;
  /** Environment variables, which the extension host inherits. */
  env?: Record<string, string>;
}

export interface VSCodeServer {
  /** Like `http://127.0.0.1:8000`, without a trailing slash. */
  url: string;
  /** The version of VS Code, not of the package it comes in. */
  version: string;
  /** Where the installed extensions are, each in a folder of its own. */
  extensionsFolder: string;
  /** Settles when the server process is gone. */
  exited: Promise<void>;
  stop: () => void;
}

/** Starts a server with empty data and extension folders; it ends at the latest with this process. */
export async function startServer(options: ServerOptions = {}): Promise<VSCodeServer> {
  const home = await installServer();
  const data = temporaryFolder('server');
  const extensionsFolder = join(data.path, 'extensions');
  const folders = [
    ['--server-data-dir', join(data.path, 'server')],
    ['--extensions-dir', extensionsFolder],
  ].flat();
  if (options.allBuiltIns !== true) {
    const builtIns = join(data.path, 'built-in');
    await mkdir(builtIns);
    for (const name of NEEDED_BUILT_INS) {
      await symlink(join(home, 'extensions', name), join(builtIns, name));
    }
    folders.push('--builtin-extensions-dir', builtIns);
  }
  const user = join(data.path, 'server/data/User');
  await mkdir(user, { recursive: true });
  await writeFile(
    join(user, 'settings.json'),
    JSON.stringify({ ...calmSettings, ...options.settings }),
  );
  // Those of scope machine are read from here only.
  const machine = join(data.path, 'server/data/Machine');
  await mkdir(machine, { recursive: true });
  await writeFile(join(machine, 'settings.json'), JSON.stringify(machineSettings));

  const main = join(home, 'out/server-main.js');
  for (const vsix of options.extensions ?? []) {
    await run(process.execPath, [main, '--install-extension', vsix, ...folders], data.path);
  }
  const { child, kill } = spawnTree(
    process.execPath,
    [
      main,
      ...folders,
      ...['--host', '127.0.0.1', '--port', '0', '--without-connection-token'],
      ...['--accept-server-license-terms', '--disable-telemetry'],
      ...(options.testDriver ? ['--enable-smoke-test-driver'] : []),
      ...(options.trusted === false ? [] : ['--disable-workspace-trust']),
    ],
    { env: { ...process.env, ...options.env }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const log = tailOf(child);
  const exited = new Promise<void>((settle) => child.once('close', () => settle()));
  const stop = (): void => {
    kill();
    data.remove();
  };

  const port = new Promise<string>((settle) => {
    if (!child.stdout) return;
    createInterface(child.stdout).on('line', (line) => {
      const listening = /Extension host agent listening on (\d+)/.exec(line)?.[1];
      if (listening) settle(listening);
    });
  });
  const started = await Promise.race([
    port,
    exited,
    delay(START_TIMEOUT_MS, 'timeout', { ref: false }),
  ]);
  if (started === undefined || started === 'timeout') {
    stop();
    throw new Error(`The VS Code server did not start:\n${log()}`);
  }
  const url = `http://127.0.0.1:${started}`;
  try {
    await untilAnswers(`${url}/version`);
  } catch (error) {
    stop();
    throw error;
  }
  return { url, version: versionOf(home), extensionsFolder, exited, stop };
}

/**
 * The address of a folder. With `suite`, the window runs its `tests` and the development build of its `extension`, which
 * a server without `testDriver` ignores.
 */
export function windowUrl(
  server: VSCodeServer,
  folder: string,
  suite?: { extension: string; tests: string },
): string {
  const url = new URL(server.url);
  url.searchParams.set(folder.endsWith('.code-workspace') ? 'workspace' : 'folder', folder);
  if (suite) {
    const remote = (path: string): string => `vscode-remote://${url.host}${path}`;
    const payload = [
      ['extensionDevelopmentPath', remote(suite.extension)],
      ['extensionTestsPath', remote(suite.tests)],
    ];
    url.searchParams.set('payload', JSON.stringify(payload));
  }
  return url.href;
}

/** Returns the folder of the server, after installing it where it is missing. */
export async function installServer(): Promise<string> {
  const installed = join(CACHE, PACKAGE.replace('@', '-'));
  const inside = 'node_modules/code-server/lib/vscode';
  if (existsSync(installed)) return join(installed, inside);

  console.log(`Installing ${PACKAGE} into ${installed}`);
  await mkdir(CACHE, { recursive: true });
  // The final name appears only with a complete installation, whatever interrupts this.
  const partial = await mkdtemp(`${installed}.partial-`);
  try {
    await writeFile(join(partial, 'package.json'), '{ "private": true }');
    // Scripts would compile native helpers for minutes. Without them log channels stay empty, and there is more noise.
    const flags = ['--ignore-scripts', '--no-audit', '--no-fund'];
    await npm(['install', ...flags, PACKAGE], partial);
    await npm(['install', ...flags, '--omit=dev'], join(partial, inside));
    await rename(partial, installed);
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    // Another run may have been faster.
    if (!existsSync(installed)) throw error;
  }
  return join(installed, inside);
}

async function npm(args: string[], cwd: string): Promise<void> {
  if (process.platform === 'win32') await run('cmd.exe', ['/c', 'npm', ...args], cwd);
  else await run('npm', args, cwd);
}

async function run(command: string, args: string[], cwd: string): Promise<void> {
  const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  const log = tailOf(child);
  const code = await new Promise((settle, fail) => {
    child.once('error', fail);
    child.once('close', settle);
  });
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} failed:\n${log()}`);
}

/** Collects the end of what a process prints, where it says why it failed. */
function tailOf(child: ChildProcess): () => string {
  let tail = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => (tail = (tail + chunk.toString()).slice(-4_000)));
  }
  return () => tail;
}

async function untilAnswers(url: string): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < deadline) {
    const response = await fetch(url).catch(() => undefined);
    if (response?.ok) return;
    await delay(100);
  }
  throw new Error(`${url} does not answer`);
}

function versionOf(home: string): string {
  const manifest = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')) as {
    version: string;
  };
  return manifest.version;
}
