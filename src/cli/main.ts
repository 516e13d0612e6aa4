#!/usr/bin/env node
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import packageJson from '../../package.json' with { type: 'json' };
import { isBackupError } from '../core/errors.ts';
import { WorkerClient } from '../worker/client.ts';
import { adopt } from './adopt.ts';
import { backUp } from './backUp.ts';
import { bundle } from './bundle.ts';
import { compare } from './compare.ts';
import { extract } from './extract.ts';
import { find } from './find.ts';
import { list } from './list.ts';
import { prune } from './prune.ts';
import { release } from './release.ts';
import { note, pin, unpin } from './remark.ts';
import { restore } from './restore.ts';
import { runbook } from './runbook.ts';
import { saveOpen } from './saveOpen.ts';
import { exitCodes, UsageError, type Context, type Verb } from './verb.ts';
import { verify } from './verify.ts';

const verbs: Readonly<Record<string, Verb>> = {
  find,
  'back-up': backUp,
  'save-open': saveOpen,
  bundle,
  list,
  verify,
  extract,
  compare,
  restore,
  runbook,
  prune,
  pin,
  unpin,
  note,
  release,
  adopt,
};

const help = [
  'Usage: sqlite-backup VERB …',
  '',
  ...Object.values(verbs).flatMap(({ usage, summary }) => [`  ${usage}`, `      ${summary}`]),
  '',
  'Exit codes: 0 all good, 1 something failed or is damaged, 2 wrong usage,',
  '3 nothing is known to be damaged, but a backup could not be checked (locked, unreadable, no time),',
  '130 interrupted.',
].join('\n');

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
  if (name === '--help' || name === '-h' || name === 'help') {
    context.print(help);
    return exitCodes.ok;
  }
  const verb = name !== undefined && Object.hasOwn(verbs, name) ? verbs[name] : undefined;
  if (verb === undefined) {
    context.tell(
      `${name === undefined ? 'Say what to do.' : `There is no verb "${name}".`}\n\n${help}`,
    );
    return exitCodes.usage;
  }
  if (rest.includes('--help') || rest.includes('-h')) {
    context.print(`Usage: sqlite-backup ${verb.usage}\n\n${verb.summary}`);
    return exitCodes.ok;
  }
  try {
    return await verb.run(rest, context);
  } catch (error) {
    if (error instanceof UsageError) {
      context.tell(`${error.message}\nUsage: sqlite-backup ${verb.usage}`);
      return exitCodes.usage;
    }
    if (!isBackupError(error)) throw error;
    context.tell(error.hint === undefined ? error.message : `${error.message}\n  ${error.hint}`);
    return error.code === 'cancelled' ? exitCodes.interrupted : exitCodes.failed;
  }
}

// npm runs scripts in the folder of the package; paths are meant from where the person is.
const invokedFrom =
  process.env['npm_lifecycle_event'] === 'cli' ? process.env['INIT_CWD'] : undefined;
if (invokedFrom !== undefined) process.chdir(invokedFrom);

const abort = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => abort.abort());

let progressShown = false;
const clearProgress = (): void => {
  if (progressShown) process.stderr.write('\r\u001b[K');
  progressShown = false;
};

process.exitCode = await run(process.argv.slice(2), {
  worker: new WorkerClient({
    entry: workerEntry(),
    onLog: (text) => process.stderr.write(text),
  }),
  signal: abort.signal,
  toolVersion: packageJson.version,
  print(text) {
    clearProgress();
    process.stdout.write(`${text}\n`);
  },
  tell(text) {
    clearProgress();
    process.stderr.write(`${text}\n`);
  },
  progress(text) {
    if (!process.stderr.isTTY) return;
    process.stderr.write(`\r\u001b[K${text}`);
    progressShown = true;
  },
});
