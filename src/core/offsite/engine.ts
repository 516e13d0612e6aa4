/** Runs an engine as a child process: no shell, no terminal, only the environment that it needs. */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';
import { reasonOf, trouble } from './trouble.ts';
import type { Destination } from './destination.ts';

const passedOn =
  /^(PATH|HOME|USER|LOGNAME|USERPROFILE|HOMEDRIVE|HOMEPATH|APPDATA|LOCALAPPDATA|PROGRAMDATA|SYSTEMROOT|WINDIR|TMPDIR|TEMP|TMP|TZ|LANG|LC_\w+|XDG_(CONFIG|CACHE)_HOME|SSH_AUTH_SOCK|(HTTPS?|NO|ALL)_PROXY|SSL_CERT_(FILE|DIR)|(LITESTREAM|RESTIC|RCLONE|AWS|B2|AZURE|GOOGLE|OS|ST)_\w+)$/i;
/** Debian's rclone ends at once where this is set. */
const neverForRclone = 'AWS_CA_BUNDLE';

/** A connection that fails is tried again by the engine, but not for longer than this. */
const patienceMs = Number(process.env['SQLITE_BACKUP_OFFSITE_PATIENCE_MS'] ?? '') || 30_000;
/** An engine without any sign of work for so long waits for a place that does not answer. */
const silenceMs = 5 * 60_000;
const mostText = 64 * 1024 * 1024;
const mostErrors = 64 * 1024;

const children = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

/** The engine's file; a name is looked for in the absolute folders of PATH, never in the current one. */
export function findProgram({ engine, program, name }: Destination): string {
  const isNamed = program !== undefined && program !== '';
  const found = isNamed ? firstProgram([program]) : findOnPath(engine);
  if (found === undefined) throw trouble('missing-engine', { name, engine });
  return found;
}

/** Looks in the absolute folders of PATH. */
export function findOnPath(
  program: string,
  searchPath = process.env['PATH'] ?? '',
): string | undefined {
  const wanted = process.platform === 'win32' ? `${program}.exe` : program;
  const folders = searchPath.split(delimiter);
  return firstProgram(folders.map((folder) => join(folder, wanted)));
}

function firstProgram(paths: readonly string[]): string | undefined {
  return paths.find((path) => isAbsolute(path) && isProgram(path));
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

export function allowedEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([key]) => passedOn.test(key)));
}

function environmentFor(
  { engine, repository, passwordCommand, passwordFile }: Destination,
  secret: string | undefined,
): NodeJS.ProcessEnv {
  const env = allowedEnvironment();
  if (engine === 'rclone') delete env[neverForRclone];
  if (engine === 'rclone')
    return secret === undefined ? env : { ...env, RCLONE_CONFIG_PASS: secret };
  env['RESTIC_REPOSITORY'] = repository;
  delete env['RESTIC_REPOSITORY_FILE'];
  const [way, value] =
    secret !== undefined
      ? ['RESTIC_PASSWORD', secret]
      : passwordCommand !== undefined
        ? ['RESTIC_PASSWORD_COMMAND', passwordCommand]
        : ['RESTIC_PASSWORD_FILE', passwordFile];
  if (value === undefined) return env;
  for (const key of ['RESTIC_PASSWORD', 'RESTIC_PASSWORD_COMMAND', 'RESTIC_PASSWORD_FILE'])
    delete env[key];
  env[way] = value;
  return env;
}

export interface EngineRun {
  args: readonly string[];
  cwd?: string;
  /** Gets each line of the output; without it, and without `onData`, the text is returned. */
  onLine?: (line: string) => boolean | undefined;
  /** Gets the bytes of the output. */
  onData?: (chunk: Buffer) => void;
  /** Lines on stderr that tell of progress. */
  onError?: (line: string) => boolean | undefined;
}

export interface Engine {
  destination: Destination;
  program: string;
  secret: string | undefined;
  /** Is told of each process that begins, and of its end by undefined. */
  onProcess: (pid: number | undefined, program: string) => void;
}

/** Runs the engine to its end and returns its output. Throws what went wrong in words. */
export async function runEngine(engine: Engine, run: EngineRun): Promise<string> {
  const { destination, program, secret } = engine;
  const where = { name: destination.name, engine: destination.engine };
  const child = spawn(program, [...run.args], {
    cwd: run.cwd,
    env: environmentFor(destination, secret),
    stdio: ['ignore', 'pipe', 'pipe'],
    windowsHide: true,
  });
  children.add(child);
  engine.onProcess(child.pid, program);
  let [text, errors] = ['', ''];
  let isStopped = false;
  let failure: unknown;
  let retrying: NodeJS.Timeout | undefined;
  const stop = (): void => {
    isStopped = true;
    child.kill('SIGINT');
    setTimeout(() => child.kill('SIGKILL'), 3000).unref();
  };
  let silence = setTimeout(stop, silenceMs);
  const alive = (): void => {
    clearTimeout(retrying);
    retrying = undefined;
    clearTimeout(silence);
    silence = setTimeout(stop, silenceMs);
  };
  const guarded = (action: () => void): void => {
    if (failure !== undefined) return;
    try {
      action();
    } catch (error) {
      failure = error;
      child.kill('SIGKILL');
    }
  };
  const { onLine, onData, onError } = run;
  if (onData !== undefined)
    child.stdout.on('data', (chunk: Buffer) => {
      alive();
      guarded(() => onData(chunk));
    });
  else if (onLine !== undefined)
    eachLine(child.stdout, (line) => guarded(() => onLine(line) === true && alive()));
  else
    child.stdout.setEncoding('utf8').on('data', (more: string) => {
      alive();
      if (text.length < mostText) text += more;
    });
  eachLine(child.stderr, (line) => {
    errors = `${errors}${line}\n`.slice(-mostErrors);
    if (onError?.(line) === true) alive();
    if (/retrying after/.test(line)) retrying ??= setTimeout(stop, patienceMs);
  });
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    if (failure !== undefined) throw failure as Error;
    if (code === 0 && !isStopped) return text;
    const words = withoutSecrets(`${text.slice(-4096)}\n${errors}`, secret);
    throw trouble(
      isStopped
        ? unlessClear(reasonOf(where.engine, code, words))
        : reasonOf(where.engine, code, words),
      where,
      words,
    );
  } catch (error) {
    const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
    if (code === 'ENOENT' || code === 'EACCES') throw trouble('missing-engine', where);
    throw error;
  } finally {
    clearTimeout(retrying);
    clearTimeout(silence);
    children.delete(child);
    engine.onProcess(undefined, program);
  }
}

/** It was stopped because the place did not answer, unless its words say what else was wrong. */
function unlessClear(reason: ReturnType<typeof reasonOf>): ReturnType<typeof reasonOf> {
  return reason === 'failed' || reason === 'no-repository' ? 'unreachable' : reason;
}

function withoutSecrets(text: string, secret: string | undefined): string {
  const plain = text.replace(/(\/\/[^/@\s:]*):[^/@\s]*@/g, '$1:***@');
  return secret === undefined || secret === '' ? plain : plain.replaceAll(secret, '***');
}

function eachLine(stream: NodeJS.ReadableStream, action: (line: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (text: string) => {
    const lines = `${rest}${text}`.split('\n');
    rest = (lines.pop() ?? '').slice(-mostText);
    for (const line of lines) action(line);
  });
  stream.on('end', () => {
    if (rest !== '') action(rest);
  });
}
