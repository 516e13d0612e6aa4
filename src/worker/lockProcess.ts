/*
 * The process that holds SQLite's locks while a restore changes names. It is killed in the end: a connection that is closed
 * would write to the database.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { BackupError } from '../core/errors.ts';
import type { KeepOut, KeptOut } from '../core/job.ts';
import { type LockOutcome, lockForLife, unlock } from '../core/sqlite/exclusive.ts';
import { helperOf } from './helperEntry.ts';
import { StartedAhead } from './startedAhead.ts';

const role = 'SQLITE_BACKUP_LOCKS';
const patienceMs = 30_000;

type Question = { lock: readonly string[] } | { unlock: string };

export function isLockProcess(): boolean {
  return process.env[role] !== undefined;
}

export function serveLocks(): void {
  // Not an exit, which would close the databases.
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
  process.on('message', (question: Question) => {
    if ('unlock' in question) unlock(question.unlock);
    process.send?.('lock' in question ? question.lock.map(lockForLife) : []);
  });
}

/** Where a file that is open cannot be replaced or removed, that itself is the lock. */
const isNeeded = process.platform !== 'win32';

/**
 * Starts such a process from `entry`, the worker's, for each call. One that `warm` has started is ready when it is asked
 * for; it ends with this one, or by `end`.
 */
export function keepOutWith(entry: string): {
  keepOut: KeepOut;
  warm: () => void;
  end: () => void;
} {
  const ahead = new StartedAhead(
    () => startLocks(entry),
    ({ child }) => child.connected,
  );
  return {
    keepOut: keepOutFrom(() => ahead.take()),
    warm() {
      if (isNeeded) ahead.warm();
    },
    end: () => void ahead.takeReady()?.child.kill('SIGKILL'),
  };
}

interface LockProcess {
  child: ChildProcess;
  exited: Promise<void>;
}

function startLocks(entry: string): LockProcess {
  // By the worker's entry in its command line, a look at open files knows it as one of ours.
  const child = fork(helperOf(entry), [entry], {
    execArgv: [],
    env: { ...process.env, [role]: '1' },
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  return { child, exited };
}

function keepOutFrom(start: () => LockProcess): KeepOut {
  return async (paths) => {
    if (!isNeeded || paths.length === 0)
      return { outcomes: paths.map(() => 'unlockable'), letGo: () => Promise.resolve() };
    const { child, exited } = start();
    const letGo = (): Promise<void> => {
      child.kill('SIGKILL');
      return exited;
    };
    try {
      const outcomes = await ask(child, exited, { lock: paths });
      return {
        ...(child.pid !== undefined && { pid: child.pid }),
        outcomes,
        async lockAlso(path) {
          await ask(child, exited, { lock: [path] });
          return async () => void (await ask(child, exited, { unlock: path }));
        },
        letGo,
      };
    } catch (error) {
      await letGo();
      throw error;
    }
  };
}

/** The outcomes of what is to be locked. */
async function ask(
  child: ChildProcess,
  exited: Promise<void>,
  question: Question,
): Promise<KeptOut['outcomes']> {
  let timer: NodeJS.Timeout | undefined;
  try {
    return await Promise.race([
      new Promise<LockOutcome[]>((resolve) => {
        child.once('message', (outcomes) => resolve(outcomes as LockOutcome[]));
        child.send(question, () => undefined);
      }),
      exited.then(() => {
        throw noLocks('worker-died', 'The process that locks the database ended unexpectedly.');
      }),
      new Promise<never>((_resolve, reject) => {
        timer = setTimeout(
          () => reject(noLocks('deadline', 'The database could not be locked in time.')),
          patienceMs,
        );
      }),
    ]);
  } finally {
    clearTimeout(timer);
  }
}

function noLocks(code: 'worker-died' | 'deadline', message: string): BackupError {
  return new BackupError(code, message, { hint: 'Nothing was replaced. Try again.' });
}
