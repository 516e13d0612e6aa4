import { statSync } from 'node:fs';
import { basename, isAbsolute, relative, resolve, sep } from 'node:path';
import { isBackupError, toPlainError } from '../core/errors.ts';
import type { RecordAs } from '../core/job.ts';
import { lossText, ownLosses } from '../core/manifest/loss.ts';
import {
  type BundleManifest,
  type Finding,
  type Manifest,
  type Method,
  methods,
} from '../core/manifest/manifest.ts';
import type { Offer } from '../core/manifest/offer.ts';
import { verdictWords } from '../core/manifest/verdictWords.ts';
import type { Snapshot, SnapshotOptions, Snapshots } from '../core/snapshot/snapshot.ts';
import { formatBytes, formatDuration } from '../core/units.ts';
import type { CallOptions } from '../worker/client.ts';
import {
  bytes,
  type Context,
  exitCodes,
  failureJson,
  parse,
  requireFolder,
  seconds,
  UsageError,
  type Verb,
  withHint,
} from './verb.ts';

export const defaultBusyTimeoutMs = 5000;
export const defaultDeadlineMs = 60 * 60 * 1000;
/** Far above what people keep in SQLite, far below what a sparse or hostile file may claim. */
export const defaultLargestBytes = 16e9;

/** What each verb takes that copies databases into a folder. */
export const copyOptions = {
  to: { type: 'string' },
  method: { type: 'string' },
  'no-verify': { type: 'boolean' },
  'busy-timeout': { type: 'string' },
  deadline: { type: 'string' },
  'max-size': { type: 'string' },
  json: { type: 'boolean' },
} as const;

type CopyValues = ReturnType<typeof parse<{ options: typeof copyOptions }>>['values'];

export function copyRequestOf(values: CopyValues, { toolVersion }: Context): SnapshotOptions {
  return {
    folder: resolve(requireFolder(values.to)),
    method: methodOf(values.method),
    trigger: 'cli',
    verify: values['no-verify'] !== true,
    busyTimeoutMs: seconds('busy-timeout', values['busy-timeout']) ?? defaultBusyTimeoutMs,
    largestBytes: bytes('max-size', values['max-size']) ?? defaultLargestBytes,
    toolVersion,
  };
}

export function deadlineOf(values: CopyValues): number {
  return seconds('deadline', values.deadline) ?? defaultDeadlineMs;
}

export const backUp: Verb = {
  examples: [
    'back-up data/app.db --to backups',
    'back-up data/*.db --to /srv/backups --together',
    'back-up data/app.db --to /srv/backups --quiet   # from cron: prints only what needs attention',
  ],
  summary: 'Take a verified snapshot of each database while it is in use.',
  usage: `back-up DATABASE… --to DIR [--method exact|compact] [--together] [--no-verify]
          [--busy-timeout SECONDS] [--deadline SECONDS] [--max-size SIZE] [--json]`,
  async run(args, context) {
    const { values, positionals } = parse({
      args,
      allowPositionals: true,
      options: { ...copyOptions, together: { type: 'boolean' } },
    });
    if (positionals.length === 0) throw new UsageError('back-up takes at least one database.');
    const together = values.together === true;
    if (together && methodOf(values.method) === 'compact') {
      throw new UsageError(
        '--together needs the method exact: databases that are compacted cannot be taken at the same moment.',
      );
    }
    const options = copyRequestOf(values, context);
    const call = callOptions(context, deadlineOf(values));
    const databases = withoutRepeats(positionals);
    const result = together
      ? await backUpTogether(databases, options, call, context)
      : await backUpEach(databases, options, call, context);

    if (values.json) context.print(JSON.stringify(resultJson(result, together)));
    else printResult(result, together, context);
    if (context.signal.aborted) return exitCodes.interrupted;
    return result.failures.length === 0 ? exitCodes.ok : exitCodes.failed;
  },
};

export function methodOf(value: string | undefined): Method {
  const method = value === undefined ? 'exact' : methods.find((one) => one === value);
  if (method === undefined) throw new UsageError(`--method is exact or compact, not ${value}.`);
  return method;
}

export function callOptions({ signal, progress }: Context, deadlineMs: number): CallOptions {
  return {
    signal,
    deadlineMs,
    onProgress: ({ phase, doneBytes, totalBytes }) =>
      progress(
        `${phase} ${totalBytes === 0 ? '' : `${Math.floor((doneBytes / totalBytes) * 100)} %`}`,
      ),
  };
}

type Result = Pick<Snapshots, 'snapshots' | 'failures'> & Partial<Pick<Snapshots, 'cut'>>;

async function backUpTogether(
  paths: string[],
  options: SnapshotOptions,
  call: CallOptions,
  { worker }: Context,
): Promise<Result> {
  const databases = paths.map((path) => ({ database: resolve(path), recordAs: nameFor(path) }));
  try {
    return await worker.call('backUpTogether', { ...options, databases }, call);
  } catch (error) {
    if (!isBackupError(error)) throw error;
    const failures = databases.map(({ database }) => ({ database, error: toPlainError(error) }));
    return { snapshots: [], failures };
  }
}

/** One after another: what is wrong with one keeps none of the others from its backup. */
async function backUpEach(
  paths: string[],
  options: SnapshotOptions,
  call: CallOptions,
  { worker }: Context,
): Promise<Result> {
  const result: Result = { snapshots: [], failures: [] };
  for (const path of paths) {
    const database = resolve(path);
    try {
      const params = { ...options, database, recordAs: nameFor(path) };
      result.snapshots.push(await worker.call('backUp', params, call));
    } catch (error) {
      if (!isBackupError(error)) throw error;
      result.failures.push({ database, error: toPlainError(error) });
    }
  }
  return result;
}

/** The same file under two names is backed up once. What cannot be looked at is left for the backup to refuse. */
export function withoutRepeats(paths: readonly string[]): string[] {
  const seen = new Set<string>();
  return paths.filter((path) => {
    const identity = identityOf(path);
    return !seen.has(identity) && seen.add(identity);
  });
}

function identityOf(path: string): string {
  try {
    const { dev, ino } = statSync(path, { bigint: true });
    return `${dev}:${ino}`;
  } catch {
    return resolve(path);
  }
}

/** Relative to `root`, the current folder by default; of a database outside of it, only the file name. */
export function nameFor(database: string, root = process.cwd()): RecordAs {
  const path = relative(root, resolve(database));
  const isOutside = path === '..' || path.startsWith(`..${sep}`) || isAbsolute(path);
  return isOutside
    ? { path: basename(database) }
    : { path: path.split(sep).join('/'), workspace: basename(root) };
}

export function printResult(
  { snapshots, failures, cut }: Result,
  together: boolean,
  context: Context,
): void {
  for (const { database, path, manifest, durationMs, offer } of snapshots) {
    const facts = `${formatBytes(manifest.sizeBytes)} in ${formatDuration(durationMs)}`;
    context.print(`Backed up ${database}: ${facts}, ${verdictWords(manifest.verdict)}.\n  ${path}`);
    tellLosses(manifest, context);
    for (const { message } of [...findingsToTell(manifest.verdict), ...(manifest.warnings ?? [])])
      context.tell(`  ${message}`);
    if (offer !== undefined) context.tell(offerText(database, offer));
  }
  if (together && snapshots.length > 1 && cut !== undefined) {
    context.print(
      cut.label === 'one-instant'
        ? 'All at the same moment.'
        : `Each consistent in itself, not at the same moment. ${cut.reason ?? ''}`.trim(),
    );
  }
  for (const { error } of failures) {
    context.tell(withHint(error));
  }
}

const mostNamed = 5;

function offerText(database: string, { from, backups, count }: Offer): string {
  const what = count === 1 ? '1 backup' : `${count} backups`;
  const why = from === undefined ? 'same name and schema' : `this file was ${from}`;
  const named = backups.slice(0, mostNamed).map(quoted).join(' ');
  const more = backups.length > mostNamed ? ' …' : '';
  return `  ${what} may be of this database (${why}). Retention treats them separately. To count them together:
  sqlite-backup adopt ${quoted(database)} ${named}${more}`;
}

/** For a shell. A terminal acts on characters that control it, so they are written as numbers. */
export function quoted(path: string): string {
  // Else it would be an option.
  const safe = path.startsWith('-') ? `./${path}` : path;
  if (/^[\w./-]+$/.test(safe)) return safe;
  if (!controls.test(safe)) return `'${safe.replaceAll("'", "'\\''")}'`;
  const escaped = safe.replaceAll(/[\\']/g, (one) => `\\${one}`).replaceAll(allControls, numbered);
  return `$'${escaped}'`;
}

/** The command that brings a checkpoint back. Another shell may have no variable that says where checkpoints are. */
export function restoreCommand(
  { id, path }: { id: string; path: string },
  checkpoints: string | undefined,
): string {
  const where = checkpoints === undefined ? '' : ` --checkpoints ${quoted(checkpoints)}`;
  return `sqlite-backup restore ${id} ${quoted(path)} --yes${where}`;
}

/** In one line, as it is shown to people. */
export function shown(path: string): string {
  return path.replaceAll(allControls, numbered);
}

const controls = /\p{Cc}|[\u202a-\u202e\u2066-\u2069]/u;
const allControls = new RegExp(controls, 'gu');

/** Each byte, as bash, zsh and ksh write it. */
function numbered(text: string): string {
  const bytes = [...Buffer.from(text)];
  return bytes.map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('');
}

/** What this backup lacks that the one before had. */
export function tellLosses(
  manifest: Manifest | BundleManifest,
  { tell }: Pick<Context, 'tell'>,
): void {
  const losses = ownLosses(manifest);
  for (const loss of losses) {
    const entries = manifest.kind === 'bundle' ? manifest.entries : [];
    const database = entries.find(({ source }) => source.id === loss.database)?.source.path;
    tell(`  ${database === undefined ? '' : `${database}: `}${lossText(loss)}.`);
  }
  if (losses.length > 0)
    tell(
      '  Retention keeps the backup before that. If the loss was intended: sqlite-backup release BACKUP',
    );
}

const mostTold = 10;

/** What a person has to know of a backup that exists: why it could not be checked, or what is out of step in it. */
export function findingsToTell({ status, findings, outOfStep }: Manifest['verdict']): Finding[] {
  if (status !== 'unchecked' && outOfStep === undefined) return [];
  const rest = findings.length - mostTold;
  const more = { code: 'more', message: `And ${rest} more, which the backup details list.` };
  return [...findings.slice(0, mostTold), ...(rest > 0 ? [more] : [])];
}

export function resultJson({ snapshots, failures, cut }: Result, together: boolean): object {
  return {
    backups: snapshots.map(backupJson),
    failures: failures.map(({ database, error }) => ({ database, ...failureJson(error) })),
    ...(together && { cut: cut?.label ?? 'per-database' }),
  };
}

export function lossesJson(manifest: Manifest | BundleManifest): object {
  const losses = ownLosses(manifest).map(({ table, before, now }) => ({
    ...{ table, before },
    now: now ?? null,
  }));
  return losses.length === 0 ? {} : { losses };
}

function backupJson({ path, database, manifest, durationMs, offer }: Snapshot): object {
  return {
    path,
    database,
    sizeBytes: manifest.sizeBytes,
    pages: manifest.facts.pageCount,
    method: manifest.method,
    journalMode: manifest.facts.journalMode,
    sha256: manifest.sha256,
    createdAt: manifest.createdAt,
    durationMs: Math.round(durationMs),
    verified: manifest.verdict.status,
    ...(manifest.verdict.outOfStep !== undefined && { outOfStep: manifest.verdict.outOfStep }),
    ...lossesJson(manifest),
    ...(offer !== undefined && { maybe: offer }),
  };
}
