/** Runs calls in worker processes: one process a call, so that a cancel is a kill that always works. */
import { type ChildProcess, fork } from 'node:child_process';
import { realpath, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BackupError, fromPlainError, isBackupError, cancelled } from '../core/errors.ts';
import { answers, hangs, hangsAfterMs, within } from '../core/files/answering.ts';
import { firstMissingFolder, removeEmptyFolders, sweepLeftovers } from '../core/files/workplace.ts';
import type { Progress } from '../core/job.ts';
import { type Translate, translateAnswer, translateError } from '../core/sentences.ts';
import {
  type Method,
  type Params,
  parseFromWorker,
  type Result,
  type ToWorker,
} from './protocol.ts';
import { workerEnvironment } from './environment.ts';
import { WarmWorker } from './warmWorker.ts';

export { answers, hangs, laterAnswer } from '../core/files/answering.ts';

export interface WorkerOptions {
  /** The worker's entry: `dist/worker.cjs`, or `src/worker/main.ts` when running from source. */
  entry: string;
  /** How the sentences of answers and errors are said to a person; in English by default. */
  translate?: Translate | undefined;
  /** What the worker writes to stderr, and what could not be tidied up after it: for the log. */
  onLog?: (text: string) => void;
  /** Why work was done in another way than usual, and nothing is wrong: for the log as well. */
  onNote?: (text: string) => void;
  /** What only reads names, headers and manifests gets one process, that stays for so many ms. By default it does not. */
  readerIdleMs?: number;
  /** After so many ms, a minute by default, it is ended, and the call gets a process without a deadline. */
  readerDeadlineMs?: number;
}

export interface CallOptions {
  onProgress?: (progress: Progress) => void;
  /** Kills the worker, unless it is already publishing: then the call still succeeds. */
  signal?: AbortSignal | undefined;
  /** After this many ms the worker is killed with a `deadline` error. By default an hour for a restore, else none. */
  deadlineMs?: number | undefined;
}

const farewellMs = 1000;
const sweepingMs = 20_000;

/** What can be finished or rolled back wherever it was stopped: its deadline counts to the end. */
const recoverable: ReadonlySet<Method> = new Set([
  'applyRestore',
  'moveAside',
  'putInPlace',
  'undoRestore',
  'recoverInterrupted',
  'archiveSetAside',
  'deleteSetAside',
]);
/** None of them opens a database with SQLite, whose locks a process loses when it closes a file it has open. */
const reading: ReadonlySet<Method> = new Set([
  'catalogCheckpoints',
  'inspect',
  'list',
  'planPruning',
  'remark',
]);
const again: ReadonlySet<string> = new Set(['worker-died', 'deadline']);
const restoreDeadlineMs = 60 * 60 * 1000;

export class WorkerClient {
  readonly #options: WorkerOptions;
  readonly #reader: WarmWorker;
  #idle: NodeJS.Timeout | undefined;

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#reader = new WarmWorker(options.entry, 'reading');
  }

  /** Ends the process that stays, if there is one. */
  dispose(): void {
    clearTimeout(this.#idle);
    this.#reader.end();
  }

  /**
   * Runs one method in a process of its own. Rejects with a BackupError: the worker's own, or `cancelled`, `deadline`,
   * `worker-died`. When it settles, the process is gone and so is what it left half-made, unless a disk hangs: then both
   * stay for the next run, and this process waits for nothing.
   */
  async call<M extends Method>(
    method: M,
    params: Params<M>,
    options: CallOptions = {},
  ): Promise<Result<M>> {
    const { translate } = this.#options;
    if (translate === undefined) return this.#call(method, params, options);
    try {
      return translateAnswer(await this.#call(method, params, options), translate);
    } catch (error) {
      throw translateError(error, translate);
    }
  }

  async #call<M extends Method>(
    method: M,
    params: Params<M>,
    options: CallOptions,
  ): Promise<Result<M>> {
    if (options.signal?.aborted) throw cancelled();
    const folder = 'folder' in params ? params.folder : undefined;
    const folders = await foldersIn(params);
    for (const one of folders) if (!(await answers(one))) throw hangs(one);
    if (options.signal?.aborted) throw cancelled();
    if (this.#isForReader(method, options)) {
      const answer = await this.#read(method, params);
      if (answer !== undefined) return answer.ok;
    }
    const missing = folder === undefined ? undefined : firstMissingFolder(folder);
    const child = this.#fork();
    const exited = exitOf(child);
    const isRecoverable = recoverable.has(method);
    try {
      return await converse<M>(
        child,
        exited,
        { call: { method, params } },
        {
          ...options,
          deadlineMs: options.deadlineMs ?? (isRecoverable ? restoreDeadlineMs : undefined),
          isRecoverable,
          onNote: this.#options.onNote ?? (() => undefined),
        },
      );
    } finally {
      await this.#end(child, exited, params, folders, missing);
    }
  }

  /** A reader that is busy, perhaps with a disk that hangs, holds up nothing: the call gets a process then. */
  #isForReader(method: Method, options: CallOptions): boolean {
    const isPlain = options.signal === undefined && options.deadlineMs === undefined;
    const stays = this.#options.readerIdleMs !== undefined && debuggerArguments().length === 0;
    return stays && isPlain && reading.has(method) && !this.#reader.isBusy;
  }

  /** Undefined when the reader ended in the middle or was too slow: all that it does can be done twice. */
  async #read<M extends Method>(
    method: M,
    params: Params<M>,
  ): Promise<{ ok: Result<M> } | undefined> {
    clearTimeout(this.#idle);
    try {
      const deadlineMs = this.#options.readerDeadlineMs ?? 60_000;
      return { ok: await this.#reader.call(method, params, deadlineMs) };
    } catch (error) {
      if (isBackupError(error) && again.has(error.code)) return undefined;
      throw error;
    } finally {
      clearTimeout(this.#idle);
      this.#idle = setTimeout(() => this.#reader.end(), this.#options.readerIdleMs).unref();
    }
  }

  async #end(
    child: ChildProcess,
    exited: Promise<Exit>,
    params: Params<Method>,
    folders: readonly string[],
    missing: string | undefined,
  ): Promise<void> {
    // An answer is all that was wanted: who does not go then is made to go.
    const patience = setTimeout(() => child.kill('SIGKILL'), farewellMs);
    const exit = await within(farewellMs + hangsAfterMs, exited);
    clearTimeout(patience);
    if (exit === undefined) {
      this.#options.onLog?.(`Process ${child.pid} does not end: the disk that it uses hangs.`);
      return letGo(child);
    }
    if (exit.code === 0) return;
    await groupEnded(child.pid);
    for (const one of folders) {
      // The system remembers what a disk has told, so it may hang although the first question is answered.
      const cleaned = (await answers(one)) && this.#cleanUpAfter(child.pid, one);
      if ((await within(hangsAfterMs, Promise.resolve(cleaned))) !== true)
        return this.#options.onLog?.(`${one} does not answer, and was not cleaned up.`);
    }
    // The lock files of a restore can only be judged by a process that may use SQLite.
    if ('items' in params) {
      const claims = this.call('sweepClaims', { in: [...folders] }, { deadlineMs: sweepingMs });
      await claims.catch(this.#notCleaned(folders.join()));
    }
    if ('folder' in params && params.folder !== undefined)
      removeEmptyFolders(params.folder, missing);
  }

  /** A killed worker cannot tidy up. The folder may not exist, when the worker never came that far. */
  async #cleanUpAfter(pid: number | undefined, folder: string): Promise<true> {
    const found = await stat(folder).catch(() => undefined);
    if (pid === undefined || !found?.isDirectory()) return true;
    const stuck = await sweepLeftovers(folder, { pid }).catch(this.#notCleaned(folder));
    for (const name of stuck ?? [])
      this.#options.onLog?.(`${join(folder, name)} could not be removed.`);
    return true;
  }

  /** The call's own outcome matters more; the next backup sweeps again. */
  #notCleaned(what: string): (error: unknown) => undefined {
    return (error) =>
      void this.#options.onLog?.(`${what} could not be cleaned up: ${String(error)}`);
  }

  #fork(): ChildProcess {
    const child = fork(this.#options.entry, [], {
      execArgv: debuggerArguments(), // Never the debugger's port or the loader of the face.
      env: workerEnvironment(),
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      // Ctrl+C in a terminal goes to the face alone, which then decides; Windows would open a console instead.
      detached: process.platform !== 'win32',
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => this.#options.onLog?.(text));
    return child;
  }
}

/** With SQLITE_BACKUP_INSPECT=PORT in the environment each worker waits for a debugger before it begins. */
function debuggerArguments(): string[] {
  const port = process.env['SQLITE_BACKUP_INSPECT'] ?? '';
  return /^\d+$/.test(port) ? [`--inspect-wait=${port}`] : [];
}

/**
 * Where a call may have left private folders: the one it names, those of the databases that it was to restore, and the
 * system's, where private copies are compared.
 */
async function foldersIn(params: Params<Method>): Promise<string[]> {
  const folders = new Set('folder' in params && params.folder !== undefined ? [params.folder] : []);
  for (const one of ('folders' in params ? params.folders : undefined) ?? []) folders.add(one);
  for (const { target } of 'items' in params ? params.items : []) {
    const parent = dirname(target); // Of a file that does not exist yet.
    const real = realpath(target).then(dirname, () => parent);
    const found = await within(hangsAfterMs, real);
    if (found === undefined) throw hangs(parent);
    folders.add(found);
  }
  return [...folders.add(tmpdir())];
}

/** This process may end without it. */
function letGo(child: ChildProcess): void {
  child.stderr?.destroy();
  child.channel?.unref();
  child.unref();
}

interface Exit {
  code?: number | null;
  signal?: NodeJS.Signals | null;
  error?: Error;
}

/** Resolves when the process is gone and its last message has arrived: `exit` alone can overtake messages. */
function exitOf(child: ChildProcess): Promise<Exit> {
  const disconnected = new Promise((resolve) => child.once('disconnect', resolve));
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => void disconnected.then(() => resolve({ code, signal })));
    child.once('error', (error) => resolve({ error }));
  });
}

function converse<M extends Method>(
  child: ChildProcess,
  exited: Promise<Exit>,
  call: ToWorker,
  {
    onProgress,
    onNote,
    signal,
    deadlineMs,
    isRecoverable,
  }: CallOptions & { onNote: (text: string) => void; isRecoverable: boolean },
): Promise<Result<M>> {
  return new Promise((resolve, reject) => {
    let isPublishing = false;
    let isSettled = false;
    const giveUp = (error: BackupError): void => {
      if ((isPublishing && !(isRecoverable && error.code === 'deadline')) || isSettled) return;
      killGroup(child);
      settle(() => reject(error));
    };
    const onAbort = (): void => giveUp(cancelled(leftBy(call)));
    const timer =
      deadlineMs === undefined
        ? undefined
        : setTimeout(() => giveUp(tooLate(deadlineMs, isPublishing)), deadlineMs);
    const settle = (finish: () => void): void => {
      isSettled = true;
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      finish();
    };

    signal?.addEventListener('abort', onAbort, { once: true });
    // A worker that hung up without an answer will never give one, whether it has ended or not.
    child.once('disconnect', () => isSettled || child.kill('SIGKILL'));
    void exited.then((exit) => settle(() => reject(died(exit))));
    child.on('message', (raw) => {
      const message = parseFromWorker(raw);
      if (message === undefined || isSettled) return;
      if ('progress' in message) onProgress?.(message.progress);
      else if ('note' in message) onNote(message.note);
      else if ('ready' in message) {
        isPublishing = true;
        child.send({ publish: true } satisfies ToWorker, () => undefined);
      } else if ('error' in message) settle(() => reject(fromPlainError(message.error)));
      else settle(() => resolve(message.ok as Result<M>));
    });
    // A failure to send means that the process is gone: its exit tells more.
    child.send(call, () => undefined);
  });
}

/** With what it has started: the process that copies files, or the engine that sends them to another machine. */
function killGroup(child: ChildProcess): void {
  if (!signalGroup(child.pid, 'SIGKILL')) child.kill('SIGKILL');
}

const groupEndsWithinMs = 2000;

/** What a worker has started may outlive it for a moment, and write into its folder until then. */
async function groupEnded(pid: number | undefined): Promise<void> {
  signalGroup(pid, 'SIGKILL');
  const until = performance.now() + groupEndsWithinMs;
  while (signalGroup(pid, 0) && performance.now() < until) await sleep(5);
}

/** False where there is no such group, as always on Windows. */
function signalGroup(pid: number | undefined, signal: NodeJS.Signals | 0): boolean {
  if (pid === undefined || process.platform === 'win32') return false;
  try {
    process.kill(-pid, signal);
    return true;
  } catch {
    return false; // It is gone, or another user's by now.
  }
}

function leftBy(message: ToWorker): 'nothing' | 'copies' | 'unknown' {
  const method = 'call' in message ? message.call.method : '';
  if (method === 'offsiteSend') return 'copies';
  return method.startsWith('offsite') ? 'unknown' : 'nothing';
}

function tooLate(deadlineMs: number, isPublishing: boolean): BackupError {
  const what = `Not finished after ${deadlineMs / 1000} s, so it was stopped`;
  return new BackupError(
    'deadline',
    isPublishing ? `${what}, perhaps half-way: nothing is lost.` : `${what}.`,
    {
      hint: isPublishing
        ? 'Check the disk, then finish it or roll it back: sqlite-backup restore --recover FOLDER'
        : 'Allow more time, or try again when the database is less busy.',
      facts: { deadlineMs },
    },
  );
}

function died({ code, signal, error }: Exit): BackupError {
  if (signal === 'SIGXFSZ') {
    return new BackupError('target-full', 'The limit for the size of a file was reached.', {
      hint: 'Raise the limit (ulimit -f), or choose another folder.',
    });
  }
  const how = error?.message ?? (signal ? `signal ${signal}` : `exit code ${code}`);
  return new BackupError('worker-died', `The worker process ended unexpectedly (${how}).`, {
    hint: 'Try again; the log has the details.',
    facts: { reason: how },
    ...(error && { cause: error }),
  });
}
