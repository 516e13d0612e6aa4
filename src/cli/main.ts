#!/usr/bin/env node
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import packageJson from '../../package.json' with { type: 'json' };
import { isBackupError } from '../core/errors.ts';
import { WorkerClient } from '../worker/client.ts';
import { closest } from './closest.ts';
import { completionFor } from './completion.ts';
import { helpOf, helpOfVerb } from './help.ts';
import { exitCodes, takeQuiet, UsageError, type Context, type Verb, withHint } from './verb.ts';
import { verbs } from './verbs.ts';
import { verdictOn } from './verdictOn.ts';

/** Beside the bundle when bundled, else the source itself, which Node runs as it is. */
function workerEntry(): string {
  const bundled = fileURLToPath(new URL('./worker.cjs', import.meta.url));
  return existsSync(bundled)
    ? bundled
    : fileURLToPath(new URL('../worker/main.ts', import.meta.url));
}

async function run(args: string[], context: Context): Promise<number> {
  const [name, ...rest] = args;
  if (name === '--version') {
    context.print(context.toolVersion);
    return exitCodes.ok;
  }
  if (name === '--help' || name === '-h' || name === 'help') return explain(rest[0], context);
  if (name === 'completion') return complete(rest, context);
  const verb = verbOf(name);
  if (verb === undefined) return refuse(name, context);
  if (rest.includes('--help') || rest.includes('-h')) return explain(name, context);
  try {
    const { isQuiet, others } = takeQuiet(rest, verb);
    return await verb.run(
      others,
      isQuiet ? { ...context, isQuiet, print: () => undefined } : context,
    );
  } catch (error) {
    if (error instanceof UsageError) {
      context.tell(
        `${error.message}\nUsage: sqlite-backup ${verb.usage}\nExamples: sqlite-backup help ${name}`,
      );
      return exitCodes.usage;
    }
    if (!isBackupError(error)) throw error;
    context.tell(withHint(error));
    return error.code === 'cancelled' ? exitCodes.interrupted : exitCodes.failed;
  }
}

function verbOf(name: string | undefined): Verb | undefined {
  return name !== undefined && Object.hasOwn(verbs, name) ? verbs[name] : undefined;
}

function explain(name: string | undefined, context: Context): number {
  const verb = verbOf(name);
  if (verb === undefined && name !== undefined && name !== 'completion')
    return refuse(name, context);
  context.print(verb === undefined ? helpOf(verbs) : helpOfVerb(verb));
  return exitCodes.ok;
}

function complete([shell, ...rest]: string[], { print, tell }: Context): number {
  try {
    if (rest.length > 0) throw new UsageError('completion takes bash, zsh or fish.');
    print(completionFor(shell, verbs));
    return exitCodes.ok;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    tell(`${error.message}\nUsage: sqlite-backup completion bash|zsh|fish`);
    return exitCodes.usage;
  }
}

function refuse(name: string | undefined, { tell }: Context): number {
  if (name === undefined) {
    tell(`Say what to do.\n\n${helpOf(verbs)}`);
    return exitCodes.usage;
  }
  const near = closest(name, [...Object.keys(verbs), 'completion', 'help']);
  const hint = near === undefined ? '' : ` Did you mean "${near}"?`;
  tell(
    `There is no verb "${name}".${hint}\nUsage: sqlite-backup VERB …   (sqlite-backup help lists the verbs)`,
  );
  return exitCodes.usage;
}

// npm runs scripts in the folder of the package; paths are meant from where the person is.
const invokedFrom =
  process.env['npm_lifecycle_event'] === 'cli' ? process.env['INIT_CWD'] : undefined;
if (invokedFrom !== undefined) process.chdir(invokedFrom);

const abort = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => abort.abort());

// A reader such as `head` may go before all is written: what was to be done is done all the same.
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error) => {
    if (Reflect.get(error, 'code') !== 'EPIPE') throw error;
  });

let progressShown = false;
const clearProgress = (): void => {
  if (progressShown) process.stderr.write('\r\u001b[K');
  progressShown = false;
};

const entry = workerEntry();
process.exitCode = await run(process.argv.slice(2), {
  workerEntry: entry,
  worker: new WorkerClient({
    entry,
    onLog: (text) => process.stderr.write(text),
  }),
  signal: abort.signal,
  toolVersion: packageJson.version,
  isQuiet: false,
  verdict: (status) => verdictOn(process.stdout, status),
  print(text) {
    clearProgress();
    process.stdout.write(`${text}\n`);
  },
  tell(text) {
    clearProgress();
    process.stderr.write(`${text}\n`);
  },
  progress(text) {
    if (!process.stderr.isTTY || process.env['TERM'] === 'dumb') return;
    process.stderr.write(`\r\u001b[K${text}`);
    progressShown = true;
  },
});
