/** A worker process that stays for the next call, so that short calls need not wait for a start. One call at a time. */
import { type ChildProcess, fork } from 'node:child_process';
import { BackupError, fromPlainError } from '../core/errors.ts';
import { workerEnvironment } from './environment.ts';
import { type Method, type Params, parseFromWorker, type Result } from './protocol.ts';

const role = 'SQLITE_BACKUP_WARM';

/** True in the process that serves one call after the other. */
export function isWarmWorker(): boolean {
  return process.env[role] !== undefined;
}

/** True in the one of them that has a process for captures beside it. */
export function isForCaptures(): boolean {
  return process.env[role] === 'captures';
}

/** So many calls, then a new process: what a driver or a library may leave behind never adds up. */
const mostCalls = 500;

export class WarmWorker {
  readonly #entry: string;
  readonly #role: 'captures' | 'reading';
  #child: ChildProcess | undefined;
  #calls = 0;
  #open = 0;
  #last: Promise<unknown> = Promise.resolve();

  /** @param role What it is asked for: only `captures` keeps a second process, which copies files. */
  constructor(entry: string, role: 'captures' | 'reading') {
    this.#entry = entry;
    this.#role = role;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** True while a call is not answered yet. */
  get isBusy(): boolean {
    return this.#open > 0;
  }

  /** Starts the process, so that the first call finds it. */
  warm(): void {
    this.#ready();
  }

  /**
   * Rejects with a BackupError: the worker's own, `deadline` or `worker-died`. The next call gets a new process then.
   * @param begin Called when it is its turn: false means that it is not wanted any more, and makes it `cancelled`.
   * @param mayPublish The same when all is ready, before anything is replaced or gets its name.
   */
  call<M extends Method>(
    method: M,
    params: Params<M>,
    deadlineMs: number,
    begin: () => boolean = () => true,
    mayPublish: () => boolean = () => true,
  ): Promise<Result<M>> {
    this.#open += 1;
    const answer = this.#last
      .then(() => {
        if (!begin()) throw new BackupError('cancelled', 'Cancelled before it began.');
        return this.#converse(method, params, deadlineMs, mayPublish);
      })
      .finally(() => (this.#open -= 1));
    this.#last = answer.catch(() => undefined);
    return answer;
  }

  /** Ends the process, whatever it does. */
  end(): void {
    this.#child?.kill('SIGKILL');
    this.#child = undefined;
  }

  #ready(): ChildProcess {
    if (this.#child !== undefined && this.#calls < mostCalls) return this.#child;
    this.#child?.disconnect();
    this.#calls = 0;
    const child = fork(this.#entry, [], {
      execArgv: [],
      env: { ...workerEnvironment(), [role]: this.#role },
      detached: process.platform !== 'win32', // A signal of a terminal is for the face.
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    const forget = (): void => {
      if (this.#child === child) this.#child = undefined;
    };
    child.once('exit', forget);
    child.once('error', forget);
    return (this.#child = child);
  }

  #converse<M extends Method>(
    method: M,
    params: Params<M>,
    deadlineMs: number,
    mayPublish: () => boolean,
  ): Promise<Result<M>> {
    const child = this.#ready();
    this.#calls += 1;
    return new Promise((resolve, reject) => {
      const settle = (finish: () => void): void => {
        clearTimeout(timer);
        child.off('message', listen);
        child.off('exit', died);
        child.off('error', died);
        finish();
      };
      const died = (): void =>
        settle(() =>
          reject(new BackupError('worker-died', 'The worker process ended unexpectedly.')),
        );
      const timer = setTimeout(() => {
        this.end();
        const text = `Not finished after ${deadlineMs / 1000} s, so it was stopped.`;
        settle(() => reject(new BackupError('deadline', text, { facts: { deadlineMs } })));
      }, deadlineMs);
      const listen = (raw: unknown): void => {
        const message = parseFromWorker(raw);
        if (message === undefined || 'progress' in message || 'note' in message) return;
        if ('ready' in message) child.send({ publish: mayPublish() }, () => undefined);
        else if ('error' in message) settle(() => reject(fromPlainError(message.error)));
        else settle(() => resolve(message.ok as Result<M>));
      };
      child.on('message', listen);
      child.once('exit', died);
      child.once('error', died);
      // A failure to send means that the process is gone: its exit tells more.
      child.send({ call: { method, params } }, () => undefined);
    });
  }
}
