import { dirname, resolve } from 'node:path';
import { commandsByHand } from '../core/offsite/byHand.ts';
import { newestOfEachDatabase } from '../core/offsite/newest.ts';
import type { Destination } from '../core/offsite/destination.ts';
import type { SentCopy } from '../core/offsite/send.ts';
import { formatBytes } from '../core/units.ts';
import { chosenDestination } from './destinations.ts';
import { forget } from './offsiteForget.ts';
import { litestream } from './offsiteLitestream.ts';
import { keepOptions, keepUsage } from './prune.ts';
import {
  type Context,
  exitCodes,
  failureJson,
  parse,
  requireFolder,
  UsageError,
  type Verb,
  withHint,
} from './verb.ts';

const options = {
  engine: { type: 'string' },
  repository: { type: 'string' },
  what: { type: 'string' },
  'password-command': { type: 'string' },
  'password-file': { type: 'string' },
  create: { type: 'boolean' },
  to: { type: 'string' },
  destination: { type: 'string' },
  all: { type: 'boolean' },
  'by-hand': { type: 'boolean' },
  yes: { type: 'boolean' },
  at: { type: 'string' },
  plan: { type: 'boolean' },
  json: { type: 'boolean' },
  ...keepOptions,
} as const;

type Values = ReturnType<typeof parse<{ options: typeof options }>>['values'];

export const offsite: Verb = {
  examples: [
    'offsite setup nas --engine restic --repository sftp:me@nas:/backups --password-file ~/.restic-password --create',
    'offsite send --to backups',
    'offsite fetch app_2026-03-01T08-00-00Z.db --to backups',
  ],
  summary:
    'Send backups to another machine with restic or rclone, prove them there, fetch them back.',
  usage: `offsite setup NAME --engine restic|rclone --repository ADDRESS [--what newest|all|pinned] [--password-command COMMAND | --password-file FILE] [--create] [--json]
  offsite send BACKUP… | --to DIR [--destination NAME] [--json]
  offsite list [--destination NAME] [--json]
  offsite fetch COPY --to DIR [--destination NAME] [--json]
  offsite prove [COPY…] [--all] [--to DIR] [--destination NAME] [--json]
  offsite forget ${keepUsage} [--yes] [--destination NAME] [--json]
  offsite litestream DATABASE --to DIR | --plan [--at TIME] [--json]
  offsite status [--to DIR] [--by-hand [--destination NAME]] [--json]`,
  async run(args, context) {
    const [action = '', ...others] = args;
    const run = Object.hasOwn(actions, action) ? actions[action] : undefined;
    if (run === undefined)
      throw new UsageError(
        'offsite takes one of setup, send, list, fetch, prove, forget, litestream, status.',
      );
    const { values, positionals } = parse({ args: others, allowPositionals: true, options });
    refuseOptionsOfOthers(action, values);
    return run(positionals, values, context);
  },
};

/** What each action takes, beside `--json`. */
const taken: Readonly<Record<string, readonly string[]>> = {
  setup: ['engine', 'repository', 'what', 'password-command', 'password-file', 'create'],
  send: ['to', 'destination'],
  list: ['destination'],
  fetch: ['to', 'destination'],
  prove: ['all', 'to', 'destination'],
  forget: ['destination', 'yes', ...Object.keys(keepOptions)],
  litestream: ['to', 'at', 'plan'],
  status: ['to', 'by-hand', 'destination'],
};

/** An option of another action would do nothing, without a word. */
function refuseOptionsOfOthers(action: string, values: Values): void {
  const own = taken[action] ?? [];
  const wrong = Object.keys(values).find(
    (name) => name !== 'json' && !own.some((one) => one === name),
  );
  if (wrong === undefined) return;
  const words = own.map((one) => `--${one}`).join(', ');
  throw new UsageError(`offsite ${action} takes no --${wrong}. It takes ${words} and --json.`);
}

type Action = (positionals: string[], values: Values, context: Context) => Promise<number>;

const actions: Readonly<Record<string, Action>> = {
  setup,
  send,
  list,
  fetch,
  prove,
  forget,
  litestream,
  status,
};

async function setup(
  [name, ...rest]: string[],
  values: Values,
  { worker, signal, print, tell }: Context,
): Promise<number> {
  const { engine, repository, what, create = false } = values;
  if (name === undefined || rest.length > 0) throw new UsageError('offsite setup takes one name.');
  const asked = {
    ...{ name, engine, repository, what },
    passwordCommand: values['password-command'],
    passwordFile:
      values['password-file'] === undefined ? undefined : resolve(values['password-file']),
  };
  const { destination, version, created } = await worker.call(
    'offsiteSetUp',
    { destination: asked as Destination, create, store: true },
    { signal },
  );
  if (values.json) {
    print(JSON.stringify({ destination, version, created }));
    return exitCodes.ok;
  }
  print(`Set up: ${name} (${destination.engine} ${version}).`);
  if (created)
    tell('Keep the password safe: it cannot be recovered, and no copy can be read without it.');
  return exitCodes.ok;
}

async function send(backups: string[], values: Values, context: Context): Promise<number> {
  const { worker, signal, print, tell } = context;
  const destination = await chosenDestination(values.destination, context);
  if (backups.length > 0 && values.to !== undefined)
    throw new UsageError('offsite send takes backups or --to, not both.');
  const only = backups.map((one) => resolve(one));
  const folders =
    only.length > 0
      ? [...new Set(only.map((one) => dirname(one)))]
      : [resolve(requireFolder(values.to))];
  const result = await worker.call(
    'offsiteSend',
    { destination, folders, only: only.length > 0 ? only : undefined },
    { signal, onProgress: progressOf(destination, context) },
  );
  const { sent, already, proved, failures, waiting, trouble } = result;
  if (values.json)
    print(
      JSON.stringify({
        destination: destination.name,
        ...{ sent, already, proved, waiting },
        failures: failures.map(({ path, error }) => ({ path, ...failureJson(error) })),
        trouble: trouble === undefined ? null : failureJson(trouble),
      }),
    );
  else {
    const isProved = ({ path }: SentCopy): boolean => proved.some((one) => one.path === path);
    for (const one of sent)
      print(
        `${isProved(one) ? 'Sent and proved' : 'Sent'}: ${one.path} (${formatBytes(one.sizeBytes)})`,
      );
    for (const one of already)
      print(`${isProved(one) ? 'Already there, proved' : 'Already there'}: ${one.path}`);
    for (const { path, error } of failures) tell(`${path}: ${withHint(error)}`);
    if (trouble !== undefined) tell(`${withHint(trouble)}\n  Waiting: ${waiting.length}.`);
    if (sent.length + already.length + failures.length + waiting.length === 0)
      tell(`No backups to send in ${folders.join(', ')}.`);
  }
  if (failures.length > 0) return exitCodes.failed;
  return trouble === undefined ? exitCodes.ok : exitCodes.unchecked;
}

async function list(rest: string[], values: Values, context: Context): Promise<number> {
  if (rest.length > 0) throw new UsageError('offsite list takes no arguments except its options.');
  const destination = await chosenDestination(values.destination, context);
  const copies = await context.worker.call(
    'offsiteList',
    { destination },
    { signal: context.signal },
  );
  if (values.json) {
    context.print(JSON.stringify({ destination: destination.name, copies }));
    return exitCodes.ok;
  }
  for (const { id, createdAt, sizeBytes, name, host } of copies) {
    const size = sizeBytes === undefined ? '' : formatBytes(sizeBytes);
    const short = destination.engine === 'restic' ? id.slice(0, 8) : id.slice(0, 12);
    context.print(
      `${short}  ${createdAt}  ${size.padStart(9)}  ${name}${host === undefined ? '' : `  ${host}`}`,
    );
  }
  if (copies.length === 0) context.tell(`No copies in ${destination.name}.`);
  return exitCodes.ok;
}

async function fetch([id, ...rest]: string[], values: Values, context: Context): Promise<number> {
  if (id === undefined || rest.length > 0)
    throw new UsageError('offsite fetch takes one copy: its id, or the name of the backup.');
  const destination = await chosenDestination(values.destination, context);
  const { path, already } = await context.worker.call(
    'offsiteFetch',
    { destination, id, folder: resolve(requireFolder(values.to)) },
    { signal: context.signal, onProgress: progressOf(destination, context) },
  );
  if (values.json) context.print(JSON.stringify({ path, already }));
  else
    context.print(
      `${already ? 'Already here' : 'Fetched and verified'}: ${path}\nRestore it: sqlite-backup restore BACKUP TARGET --yes`,
    );
  return exitCodes.ok;
}

async function prove(ids: string[], values: Values, context: Context): Promise<number> {
  if (values.all === true && ids.length > 0)
    throw new UsageError('offsite prove takes copies or --all, not both.');
  const destination = await chosenDestination(values.destination, context);
  const { folders } = await context.worker.call('offsiteStatus', { destination });
  const { proved, failures } = await context.worker.call(
    'offsiteProve',
    {
      ...{ destination, all: values.all === true },
      ids: ids.length > 0 ? ids : undefined,
      folders: values.to === undefined ? folders : [resolve(values.to)],
    },
    { signal: context.signal, onProgress: progressOf(destination, context) },
  );
  if (values.json)
    context.print(JSON.stringify({ destination: destination.name, proved, failures }));
  else {
    for (const { name } of proved) context.print(`Proved: ${name}`);
    for (const { name, message } of failures) context.tell(`${name}: ${message}`);
    if (proved.length + failures.length === 0) context.tell(`No copies in ${destination.name}.`);
  }
  return failures.length > 0 ? exitCodes.failed : exitCodes.ok;
}

async function status(rest: string[], values: Values, context: Context): Promise<number> {
  if (rest.length > 0)
    throw new UsageError('offsite status takes no arguments except its options.');
  if (values['by-hand'] === true) {
    if (values.to !== undefined)
      throw new UsageError('--by-hand takes no --to: it asks the destination itself.');
    return byHand(values, context);
  }
  if (values.destination !== undefined)
    throw new UsageError(
      'offsite status shows every destination. Only with --by-hand does it take --destination.',
    );
  const { worker, signal, print, tell } = context;
  const destinations = await worker.call('offsiteDestinations', {}, { signal });
  const folders = values.to === undefined ? undefined : [resolve(values.to)];
  const all = [];
  for (const destination of destinations)
    all.push(await worker.call('offsiteStatus', { destination, folders }, { signal }));
  if (values.json) {
    print(JSON.stringify({ destinations: all }));
    return exitCodes.ok;
  }
  for (const { destination, sentAt, provedAt, waiting, trouble, isProofDue } of all) {
    print(`${destination.name}  ${destination.engine}  ${destination.repository}`);
    print(
      `  Last sent: ${sentAt ?? 'never'}. Last proved: ${provedAt ?? 'never'}. Waiting: ${waiting.length}.`,
    );
    if (trouble !== undefined) tell(`  ${trouble.at}: ${trouble.message}`);
    if (isProofDue) tell('  No proof in the last 7 days: sqlite-backup offsite prove');
  }
  if (all.length === 0) tell('No off-machine destination is set up: sqlite-backup offsite setup');
  return exitCodes.ok;
}

/** Prints how the newest copy of each database comes back without this program. */
async function byHand(values: Values, context: Context): Promise<number> {
  const { worker, signal, print, tell } = context;
  const destination = await chosenDestination(values.destination, context);
  const all = await worker.call('offsiteList', { destination }, { signal });
  const copies = newestOfEachDatabase(all, Date.now()).map((copy) => ({
    ...{ name: copy.name, createdAt: copy.createdAt },
    commands: commandsByHand(destination, copy),
  }));
  if (values.json) {
    print(JSON.stringify({ destination: destination.name, copies }));
    return exitCodes.ok;
  }
  for (const { name, createdAt, commands } of copies)
    print([`# ${name}, ${createdAt}`, ...commands, ''].join('\n'));
  if (copies.length === 0) tell(`No copies in ${destination.name}.`);
  return exitCodes.ok;
}

function progressOf(
  { name }: Destination,
  { progress }: Context,
): (told: { phase: string; doneBytes: number; totalBytes: number }) => void {
  const words: Readonly<Record<string, string>> = {
    copy: 'sending',
    prove: 'reading back',
    stage: 'fetching',
  };
  return ({ phase, doneBytes, totalBytes }) =>
    progress(
      `${name}: ${words[phase] ?? phase} ${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`,
    );
}
