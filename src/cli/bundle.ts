import { statSync } from 'node:fs';
import { basename, isAbsolute, resolve, sep } from 'node:path';
import type { Bundle, Bundled, BundleRequest } from '../core/bundle/bundle.ts';
import { isBackupError, toPlainError } from '../core/errors.ts';
import { type Compression, compressions } from '../core/manifest/manifest.ts';
import { verdictWords } from '../core/manifest/verdictWords.ts';
import { formatBytes, formatDuration } from '../core/units.ts';
import {
  callOptions,
  copyOptions,
  copyRequestOf,
  deadlineOf,
  findingsToTell,
  lossesJson,
  nameFor,
  tellLosses,
  withoutRepeats,
} from './backUp.ts';
import {
  type Context,
  exitCodes,
  failureJson,
  parse,
  UsageError,
  type Verb,
  withHint,
} from './verb.ts';

export const bundle: Verb = {
  examples: [
    "bundle data/app.db data/jobs.db --to backups --include 'uploads/**' --include .env",
    "bundle /srv/shop/app.db --to /srv/backups --root /srv/shop --include '/srv/shop/uploads/**'",
  ],
  summary: 'Put several databases of the same moment and their companion files into one zip.',
  usage: `bundle DATABASE… --to DIR [--include GLOB]… [--root DIR] [--name NAME] [--method exact|compact]
          [--compression store|fast|balanced|small] [--allow-incomplete] [--no-verify]
          [--busy-timeout SECONDS] [--deadline SECONDS] [--max-size SIZE] [--json]`,
  async run(args, context) {
    const { values, positionals } = parse({
      args,
      allowPositionals: true,
      options: {
        ...copyOptions,
        include: { type: 'string', multiple: true },
        root: { type: 'string' },
        name: { type: 'string' },
        compression: { type: 'string' },
        'allow-incomplete': { type: 'boolean' },
      },
    });
    if (positionals.length === 0) throw new UsageError('bundle takes at least one database.');
    if (values.name?.trim() === '') throw new UsageError('--name takes a name.');
    const { include = [], name } = values;
    const root = rootOf(values.root);
    const workspace = basename(root);
    const result = await bundleAll(
      {
        ...copyRequestOf(values, context),
        databases: withoutRepeats(positionals).map((path) => ({
          database: resolve(path),
          recordAs: nameFor(path, root),
        })),
        companions:
          include.length === 0
            ? []
            : [{ root, globs: include.map((glob) => globBelow(root, glob)), workspace }],
        ...(name !== undefined && { name }),
        workspace,
        compression: compressionOf(values.compression),
        allowIncomplete: values['allow-incomplete'] === true,
      },
      deadlineOf(values),
      context,
    );
    if (values.json) context.print(JSON.stringify(resultJson(result)));
    else printResult(result, context);
    if (context.signal.aborted && result.bundle === undefined) return exitCodes.interrupted;
    const isWanted = result.failures.length === 0 || values['allow-incomplete'] === true;
    return result.bundle !== undefined && isWanted ? exitCodes.ok : exitCodes.failed;
  },
};

/** What the globs are relative to, and the names in the zip: the current folder by default. cron has none of use. */
function rootOf(value: string | undefined): string {
  const root = resolve(value ?? '.');
  if (value === '' || !statSync(root, { throwIfNoEntry: false })?.isDirectory())
    throw new UsageError(`--root takes a folder, not ${JSON.stringify(value)}.`);
  return root;
}

/** An absolute glob as one that is relative to `root`. */
function globBelow(root: string, glob: string): string {
  const [, mark = '', path = ''] = /^(!?)(.*)$/s.exec(glob) ?? [];
  if (!isAbsolute(path)) return glob;
  // The folder may have letters in its name that mean something in a glob, so it is compared as text.
  const base = root.endsWith(sep) ? root : `${root}${sep}`;
  if (path.startsWith(base)) return `${mark}${path.slice(base.length)}`;
  throw new UsageError(
    `${path} is not below ${root}. Set --root DIR to a folder that contains all files to include.`,
  );
}

function compressionOf(value: string | undefined): Compression {
  const compression = value === undefined ? 'balanced' : compressions.find((one) => one === value);
  if (compression === undefined)
    throw new UsageError(`--compression is ${compressions.join(', ')}, not ${value}.`);
  return compression;
}

/** What is wrong with the target fails every database, so that the answer has the same shape. */
async function bundleAll(
  request: BundleRequest,
  deadlineMs: number,
  context: Context,
): Promise<Bundled> {
  try {
    return await context.worker.call('bundle', request, callOptions(context, deadlineMs));
  } catch (error) {
    if (!isBackupError(error)) throw error;
    const plain = toPlainError(error);
    return { failures: request.databases.map(({ database: path }) => ({ path, error: plain })) };
  }
}

function printResult({ bundle: made, failures }: Bundled, context: Context): void {
  if (made !== undefined) printBundle(made, context);
  for (const { error } of failures) context.tell(withHint(error));
  if (made === undefined) {
    context.tell('No bundle was made. --allow-incomplete makes one without them.');
  }
}

function printBundle({ path, manifest, durationMs }: Bundle, context: Context): void {
  const { entries, sizeBytes, cut, complete, verdict, warnings = [] } = manifest;
  const databases = entries.filter(({ kind }) => kind === 'database').length;
  const files = entries.length - databases;
  const contents = [
    `${databases} ${databases === 1 ? 'database' : 'databases'}${atOneMoment(databases, cut)}`,
    ...(files === 0
      ? []
      : [
          `${files} ${files === 1 ? 'file' : 'files'} copied beside ${databases === 1 ? 'it' : 'them'}`,
        ]),
  ].join(', ');
  const facts = `${formatBytes(sizeBytes)} in ${formatDuration(durationMs)}`;
  const isIncomplete = complete ? '' : ' Incomplete.';
  context.print(
    `Bundled ${contents}: ${facts}, ${verdictWords(verdict)}.${isIncomplete}\n  ${path}`,
  );
  if (databases > 1 && cut.label !== 'one-instant') {
    const reason = cut.reason ?? '';
    context.print(`Each database consistent in itself, not at the same moment. ${reason}`.trim());
  }
  tellLosses(manifest, context);
  for (const entry of entries) {
    if (entry.kind === 'companion' && entry.changedWhileReading === true)
      context.tell(`  ${entry.source.path} changed each time it was read.`);
  }
  for (const { message } of [...findingsToTell(verdict), ...warnings]) context.tell(`  ${message}`);
}

/** Of the databases alone: each file was copied at a moment of its own. */
function atOneMoment(databases: number, cut: Bundle['manifest']['cut']): string {
  return databases > 1 && cut.label === 'one-instant' ? ' at the same moment' : '';
}

function resultJson({ bundle: made, failures }: Bundled): object {
  return {
    bundle: made === undefined ? null : bundleJson(made),
    failures: failures.map(({ path, error }) => ({ path, ...failureJson(error) })),
  };
}

function bundleJson({ path, manifest }: Bundle): object {
  const { sizeBytes, sha256, createdAt, cut, complete, entries } = manifest;
  return {
    path,
    sizeBytes,
    sha256,
    createdAt,
    cut: cut.label,
    complete,
    ...lossesJson(manifest),
    members: entries.map((entry) => ({
      name: entry.name,
      kind: entry.kind,
      sizeBytes: entry.sizeBytes,
      sha256: entry.sha256,
      verified: entry.kind === 'database' ? entry.verdict.status : null,
      ...(entry.kind === 'companion' &&
        entry.changedWhileReading === true && { changedWhileReading: true }),
    })),
  };
}
