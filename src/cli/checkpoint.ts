import { resolve } from 'node:path';
import type { CheckpointRequest, Checkpoints } from '../core/checkpoint/checkpoint.ts';
import { isBackupError, toPlainError } from '../core/errors.ts';
import type { Cause } from '../core/manifest/manifest.ts';
import {
  callOptions,
  defaultBusyTimeoutMs,
  defaultDeadlineMs,
  defaultLargestBytes,
  nameFor,
  withoutRepeats,
} from './backUp.ts';
import {
  bytes,
  type Context,
  exitCodes,
  failureJson,
  parse,
  UsageError,
  type Verb,
  withHint,
} from './verb.ts';

/** What all checkpoints together may take, and what the oldest go for. */
const largestTotalBytes = 2e9;

export const checkpoint: Verb = {
  examples: [
    'checkpoint data/app.db',
    "checkpoint data/*.db --reason 'before the import'",
    'checkpoint test.db --baseline seeded   # stays, and restore --baseline brings it back',
  ],
  summary:
    'Save the current state of databases outside the work tree, unless it is unchanged since the last checkpoint.',
  usage: `checkpoint DATABASE… [--reason TEXT] [--session ID] [--force] [--checkpoints DIR]
          [--max-size SIZE] [--json]
  checkpoint DATABASE… --baseline NAME [--replace] [--reason TEXT] [--checkpoints DIR]
          [--max-size SIZE] [--json]`,
  async run(args, context) {
    const { values, positionals } = parse({
      args,
      allowPositionals: true,
      options: {
        reason: { type: 'string' },
        session: { type: 'string' },
        force: { type: 'boolean' },
        baseline: { type: 'string' },
        replace: { type: 'boolean' },
        checkpoints: { type: 'string' },
        'max-size': { type: 'string' },
        json: { type: 'boolean' },
      },
    });
    if (positionals.length === 0) throw new UsageError('checkpoint takes at least one database.');
    const { reason, session } = values;
    const cause: Cause = {
      kind: 'manual',
      ...(reason !== undefined && { text: reason.slice(0, longestText) }),
      ...(session !== undefined && { session: session.slice(0, longestText) }),
    };
    const { baseline, replace = false } = values;
    if (replace && baseline === undefined) throw new UsageError('--replace goes with --baseline.');
    if (baseline !== undefined && (values.force === true || session !== undefined))
      throw new UsageError('--baseline takes neither --force nor --session.');
    const options = { cause, force: values.force === true, ...askedLimits(values) };
    const result = await (baseline === undefined
      ? takeAll(positionals, options, context)
      : keepBaseline(positionals, { name: baseline, replace, ...options }, context));
    if (values.json) context.print(JSON.stringify(resultJson(result)));
    else printResult(result, context);
    if (context.signal.aborted) return exitCodes.interrupted;
    return result.failures.length === 0 ? exitCodes.ok : exitCodes.failed;
  },
};

const longestText = 2000;

/** The folder for checkpoints of `--checkpoints`, else of the environment; undefined for the data folder's. */
export function askedCheckpoints({
  checkpoints,
}: {
  checkpoints?: string | undefined;
}): string | undefined {
  const asked = checkpoints ?? process.env['SQLITE_BACKUP_CHECKPOINTS'];
  return asked === undefined || asked === '' ? undefined : resolve(asked);
}

/** The same, and the size of the largest database that is saved. */
export function askedLimits(values: {
  checkpoints?: string | undefined;
  'max-size'?: string | undefined;
}): { checkpoints: string | undefined; largestBytes: number } {
  const largestBytes = bytes('max-size', values['max-size']) ?? defaultLargestBytes;
  return { checkpoints: askedCheckpoints(values), largestBytes };
}

export async function takeAll(
  paths: readonly string[],
  options: {
    cause: Cause;
    force?: boolean;
    checkpoints: string | undefined;
    largestTotalBytes?: number | undefined;
    largestBytes?: number;
  },
  context: Context,
): Promise<Checkpoints> {
  const databases = allOf(paths);
  try {
    return await context.worker.call(
      'checkpoint',
      { ...takingFor(options, context), databases, force: options.force === true },
      callOptions(context, defaultDeadlineMs),
    );
  } catch (error) {
    if (!isBackupError(error)) throw error;
    const failures = databases.map(({ database }) => ({ database, error: toPlainError(error) }));
    return { checkpoints: [], unchanged: [], failures };
  }
}

function allOf(paths: readonly string[]): CheckpointRequest['databases'] {
  return withoutRepeats(paths).map((path) => ({
    database: resolve(path),
    recordAs: nameFor(path),
  }));
}

/** How the command line takes checkpoints. */
export function takingFor(
  {
    cause,
    checkpoints,
    largestTotalBytes: mostBytes = largestTotalBytes,
    largestBytes = defaultLargestBytes,
  }: {
    cause: Cause;
    checkpoints: string | undefined;
    largestTotalBytes?: number | undefined;
    largestBytes?: number;
  },
  { toolVersion }: Pick<Context, 'toolVersion'>,
): Omit<CheckpointRequest, 'databases' | 'force'> {
  return {
    ...{ cause, checkpoints, largestBytes, largestTotalBytes: mostBytes, toolVersion },
    trigger: 'cli',
    busyTimeoutMs: defaultBusyTimeoutMs,
  };
}

function keepBaseline(
  paths: readonly string[],
  {
    name,
    replace,
    ...options
  }: Parameters<typeof takingFor>[0] & { name: string; replace: boolean },
  context: Context,
): Promise<Checkpoints> {
  const taking = takingFor(options, context);
  return context.worker.call(
    'keepBaseline',
    { name, replace, databases: allOf(paths), taking },
    callOptions(context, defaultDeadlineMs),
  );
}

export function printResult(
  { checkpoints, unchanged, failures }: Checkpoints,
  { print, tell }: Pick<Context, 'print' | 'tell'>,
): void {
  for (const { id, database } of checkpoints) print(`${id}  checkpoint of ${database}`);
  for (const { id, database } of unchanged) print(`${id}  ${database} is unchanged since then`);
  for (const { error } of failures) tell(withHint(error));
}

function resultJson({ checkpoints, unchanged, failures }: Checkpoints): object {
  return {
    checkpoints,
    unchanged: unchanged.map(({ database, id }) => ({ database, id })),
    failures: failures.map(({ database, error }) => ({ database, ...failureJson(error) })),
  };
}

/** For verbs that take a backup: a path, or the beginning of the id of a checkpoint. */
export function backupNamed(
  named: string,
  checkpoints: string | undefined,
  { worker, signal }: Pick<Context, 'worker' | 'signal'>,
): Promise<string> {
  return /^[0-9a-f]{4,12}$/.test(named)
    ? worker.call('findCheckpoint', { checkpoints, named }, { signal })
    : Promise.resolve(named);
}
