import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import { relative } from 'node:path';
import type { Checkpoints } from '../core/checkpoint/checkpoint.ts';
import { isBackupError } from '../core/errors.ts';
import { lossText } from '../core/manifest/loss.ts';
import { defaultBusyTimeoutMs, restoreCommand, shown } from './backUp.ts';
import { databasesHere } from './find.ts';
import { askedLimits, takeAll } from './checkpoint.ts';
import { type Context, exitCodes, parse, UsageError, type Verb, withHint } from './verb.ts';

/** As sysexits.h calls it: try again later. The command has not run. */
const notRun = 75;
const notFound = 127;
const notExecutable = 126;

export const run: Verb = {
  isQuestion: true,
  examples: ['run -- npx drizzle-kit push', 'run --db data/app.db -- python manage.py migrate'],
  summary:
    'Take a checkpoint, then run a command. Input, output and exit code are those of the command.',
  usage: 'run [--db FILE]… [--unprotected] [--checkpoints DIR] [--max-size SIZE] -- COMMAND…',
  async run(args, context) {
    const end = args.indexOf('--');
    const command = end === -1 ? [] : args.slice(end + 1);
    const { values, positionals } = parse({
      args: end === -1 ? args : args.slice(0, end),
      allowPositionals: true,
      options: {
        db: { type: 'string', multiple: true },
        unprotected: { type: 'boolean' },
        checkpoints: { type: 'string' },
        'max-size': { type: 'string' },
      },
    });
    if (command.length === 0 || positionals.length > 0)
      throw new UsageError('run takes its own options, then --, then the command.');
    const limits = askedLimits(values);
    const { checkpoints } = limits;
    const databases = values.db ?? (await databasesHere(context));
    const text = command.join(' ').slice(0, 500);
    const taken =
      databases.length === 0
        ? undefined
        : await takeAll(databases, { cause: { kind: 'run', text }, ...limits }, context);
    if (context.signal.aborted) return exitCodes.interrupted;
    if (taken !== undefined && taken.failures.length > 0) {
      for (const { error } of taken.failures) context.tell(`sqlite-backup: ${withHint(error)}`);
      if (values.unprotected !== true && !agreesToRunWithout()) {
        context.tell(
          `sqlite-backup: The command was not run, because ${unsaved(taken)}. --unprotected runs it anyway.`,
        );
        return notRun;
      }
    }
    context.tell(`sqlite-backup: ${before(taken)}`);
    const code = await runCommand(command, context);
    if (taken !== undefined) await tellAfter(taken, { code, checkpoints }, context);
    return code;
  },
};

/** Of several databases, the others have a checkpoint by now. */
function unsaved({ checkpoints, unchanged, failures }: Checkpoints): string {
  if (checkpoints.length + unchanged.length === 0) return 'there is no checkpoint';
  const names = failures.map(({ database }) => shown(relative('.', database)));
  return `there is no checkpoint of ${names.join(', ')}`;
}

/** One line: which state can be brought back. */
function before(taken: Checkpoints | undefined): string {
  if (taken === undefined) return 'no database below this folder, so there is no checkpoint';
  const { checkpoints, unchanged, failures } = taken;
  const named = [...checkpoints, ...unchanged].map(
    ({ id, database }) => `${shown(relative('.', database))} ${id}`,
  );
  const missing = failures.length === 0 ? '' : ` (none of ${failures.length})`;
  return `checkpoint ${named.join(', ') || 'none'}${missing}`;
}

/** Asks the person at the terminal, also when the input of the command is something else. */
function agreesToRunWithout(): boolean {
  if (process.platform === 'win32') return false;
  let terminal: number;
  try {
    terminal = openSync('/dev/tty', 'r+');
  } catch {
    return false;
  }
  try {
    writeSync(terminal, 'sqlite-backup: Run the command without a checkpoint? [y/N] ');
    const answer = Buffer.alloc(100);
    return /^y(es)?\s/i.test(answer.toString('utf8', 0, readSync(terminal, answer)));
  } catch {
    return false;
  } finally {
    closeSync(terminal);
  }
}

async function runCommand([program = '', ...args]: string[], { tell }: Context): Promise<number> {
  const child = spawn(program, args, { stdio: 'inherit' });
  const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
  // A signal from the terminal reaches the command by itself; one that is sent to this process does not.
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, pass);
  try {
    return await new Promise((resolve) => {
      child.once('error', (error) => {
        tell(`sqlite-backup: ${program} could not be started: ${error.message}`);
        resolve(Reflect.get(error, 'code') === 'EACCES' ? notExecutable : notFound);
      });
      child.once('exit', (code, signal) =>
        resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])),
      );
    });
  } finally {
    for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.off(signal, pass);
  }
}

/** How to go back, when the command has failed or rows are gone. */
async function tellAfter(
  { checkpoints, unchanged }: Checkpoints,
  { code, checkpoints: folder }: { code: number; checkpoints: string | undefined },
  { worker, tell }: Context,
): Promise<void> {
  for (const { id, path, database } of [...checkpoints, ...unchanged]) {
    const name = relative('.', database);
    const lost = await lossesSince(path, database, worker);
    for (const text of lost) tell(`sqlite-backup: ${shown(name)}: ${text}`);
    if (code !== 0 || lost.length > 0)
      tell(`sqlite-backup: state before: ${restoreCommand({ id, path: name }, folder)}`);
  }
}

/** Counting must not keep the person waiting for long after the command. */
const countForMs = 10_000;

async function lossesSince(
  checkpoint: string,
  database: string,
  worker: Context['worker'],
): Promise<string[]> {
  if (!existsSync(database)) return ['the file is gone'];
  try {
    const params = { checkpoint, database, busyTimeoutMs: defaultBusyTimeoutMs };
    const losses = await worker.call('lossesAfter', params, { deadlineMs: countForMs });
    return losses.map((loss) => lossText(loss, 'at the checkpoint'));
  } catch (error) {
    if (!isBackupError(error)) throw error;
    // What it is now, as "is empty (0 bytes)", tells all.
    if (error.code === 'not-a-database') return [error.message];
    return [`its rows could not be counted: ${error.message}`];
  }
}
