/*
 * The process that reads the files of databases while the worker holds them with SQLite. It never opens SQLite, and it ends
 * with the worker, whatever that one's end is.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { BackupError, fromPlainError, type PlainError, toPlainError } from '../core/errors.ts';
import type { CaptureOrder, CaptureProcess, Captured, Capturing } from '../core/job.ts';
import type { Pace } from '../core/pause.ts';
import { readWalIndex, type WalIndex } from '../core/files/walIndex.ts';
import { captureFiles, type CaptureOptions } from '../core/snapshot/capture.ts';
import { prepareCopy } from '../core/snapshot/twoPasses.ts';
import { helperOf } from './helperEntry.ts';
import { StartedAhead } from './startedAhead.ts';

const role = 'SQLITE_BACKUP_CAPTURE';

type ToCopy = { prepare: Pick<CaptureOrder, 'path' | 'copy'> } | { order: CaptureOrder };
type Question = { indexesOf: readonly string[] } | (ToCopy & { pace: Pace });
type Answer =
  /** As JSON has no undefined, null stands for it. */
  | { indexes: (WalIndex | null)[] }
  | { doneBytes: number }
  | { isPrepared: boolean }
  | { captured: Captured }
  | { error: PlainError };

export function isCaptureProcess(): boolean {
  return process.env[role] !== undefined;
}

export function serveCaptures(): void {
  const options = JSON.parse(process.env[role] ?? '{}') as CaptureOptions;
  let pace: Pace;
  const answer = (one: Answer): void => void process.send?.(one, () => undefined);
  process.on('disconnect', () => process.exit(1));
  process.on('message', (message: Question | Pace) => {
    if ('gently' in message) pace = message;
    else if ('indexesOf' in message)
      answer({ indexes: message.indexesOf.map((path) => readWalIndex(path) ?? null) });
    else {
      ({ pace } = message);
      const onStep = (doneBytes: number): Pace => {
        answer({ doneBytes });
        return pace;
      };
      const done: Promise<Answer> =
        'prepare' in message
          ? prepareCopy(message.prepare, onStep, options.chunkBytes).then((isPrepared) => ({
              isPrepared,
            }))
          : captureFiles(message.order, onStep, options).then((captured) => ({ captured }));
      done
        .catch((error: unknown) => ({ error: toPlainError(error) }))
        .then(answer, () => undefined);
    }
  });
}

const fewestBytes = 32e6;
/** A copy of less is made in a fraction of a second. */
const fewestPreparedBytes = 128e6;

/** How long the process may say nothing until it is ended. Meanwhile other programs may wait for the held databases. */
export interface Patience {
  /** While it looks at the index of a WAL, which takes a moment. */
  lookMs: number;
  /** While it starts, or copies: a clone says nothing until it is done. */
  copyMs: number;
}

const defaultPatience: Patience = { lookMs: 5000, copyMs: 20_000 };

/** Starts such processes from `entry`, the worker's. */
export function captureWith(
  entry: string,
  options: CaptureOptions = {},
  { lookMs, copyMs }: Patience = defaultPatience,
): Capturing {
  const start = (): CaptureProcess => {
    // By the worker's entry in its command line, a look at open files knows it as one of ours.
    const child = fork(helperOf(entry), [entry], {
      execArgv: [],
      env: { ...process.env, [role]: JSON.stringify(options) },
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    const ended = new Promise<never>((_resolve, reject) => {
      const died = (): void =>
        reject(new BackupError('worker-died', 'The process that reads the files ended.'));
      child.once('exit', died);
      child.once('error', died);
    });
    ended.catch(() => undefined); // It is looked at only while something is asked.
    const askToCopy = (what: ToCopy, onStep: (doneBytes: number) => Pace): Promise<Answer> => {
      const pace = onStep(0);
      return ask(child, ended, { ...what, pace }, copyMs, telling(child, onStep, pace));
    };
    return {
      pid: child.pid,
      async readIndexes(paths) {
        const question = { indexesOf: paths };
        // Without a path, the question is only whether it has started.
        const silentMs = paths.length === 0 ? copyMs : lookMs;
        const answer = await ask(child, ended, question, silentMs, () => undefined);
        return 'indexes' in answer ? answer.indexes.map((one) => one ?? undefined) : [];
      },
      async prepare(prepare, onStep) {
        const answer = await askToCopy({ prepare }, onStep);
        if ('isPrepared' in answer) return answer.isPrepared;
        throw 'error' in answer ? fromPlainError(answer.error) : new Error('no answer');
      },
      async capture(order, onStep) {
        const answer = await askToCopy({ order }, onStep);
        if ('captured' in answer) return answer.captured;
        throw 'error' in answer ? fromPlainError(answer.error) : new Error('no answer');
      },
      end: () => void child.kill('SIGKILL'),
      isAlive: () => child.connected && !child.killed,
    };
  };
  const ahead = new StartedAhead(start, (one) => one.isAlive?.() === true);
  return {
    fewestBytes,
    fewestPreparedBytes,
    start: () => ahead.take(),
    // It ends with this process where it is not asked for.
    warm() {
      // On Windows nothing is captured so.
      if (process.platform !== 'win32') ahead.warm();
    },
  };
}

/** Tells the process its pace, when that differs from what it was told last. */
function telling(
  child: ChildProcess,
  onStep: (doneBytes: number) => Pace,
  { gently }: Pace,
): (doneBytes: number) => void {
  return (doneBytes) => {
    const pace = onStep(doneBytes);
    if (pace.gently === gently) return;
    gently = pace.gently;
    child.send(pace, () => undefined);
  };
}

/** With a process that is there already, a small database gains as well: SQLite syncs a copy that it writes three times. */
const fewestBytesOfKept = 256e3;

/** The same with one process that stays for the next captures. `warm` starts it, `end` ends it. */
export function captureWithKept(entry: string): Capturing & { warm: () => void; end: () => void } {
  const { start } = captureWith(entry);
  let kept: CaptureProcess | undefined;
  const ready = (): CaptureProcess => {
    if (kept?.isAlive?.() !== true) kept = start();
    return kept;
  };
  return {
    fewestBytes: fewestBytesOfKept,
    fewestPreparedBytes,
    // It ends with this process, or when it was silent or has failed.
    start: () => ({ ...ready(), end: () => undefined }),
    warm: () => void ready(),
    end: () => kept?.end(),
  };
}

const parts = 10;

/** The answer to one question. A process that is silent for too long is ended, also a stopped one. What `onStep` throws ends the process, which has nothing to go on for. */
async function ask(
  child: ChildProcess,
  ended: Promise<never>,
  question: Question,
  silentMs: number,
  onStep: (doneBytes: number) => void,
): Promise<Answer> {
  let listen: ((answer: Answer) => void) | undefined;
  let silence: NodeJS.Timeout | undefined;
  try {
    return await Promise.race([
      ended,
      new Promise<Answer>((resolve, reject) => {
        // Counted in parts: while this process itself stands still, only one of them passes.
        let silentParts = 0;
        silence = setInterval(() => {
          silentParts += 1;
          if (silentParts <= parts) return;
          child.kill('SIGKILL');
          reject(new BackupError('worker-died', 'The process that reads the files is silent.'));
        }, silentMs / parts);
        listen = (answer) => {
          silentParts = 0;
          if (!('doneBytes' in answer)) return resolve(answer);
          try {
            onStep(answer.doneBytes);
          } catch (error) {
            child.kill('SIGKILL');
            reject(error instanceof Error ? error : new Error(String(error)));
          }
        };
        child.on('message', listen);
        child.send(question, () => undefined);
      }),
    ]);
  } finally {
    clearInterval(silence);
    if (listen !== undefined) child.off('message', listen);
  }
}
