import { statSync } from 'node:fs';
import { basename, isAbsolute, relative, resolve, sep } from 'node:path';
import { isBackupError, toPlainError, type PlainError } from '../core/errors.ts';
import type { Snapshot } from '../core/snapshot.ts';
import { formatBytes, formatDuration } from '../core/units.ts';
import {
  exitCodes,
  parse,
  requireFolder,
  seconds,
  UsageError,
  type Context,
  type Verb,
} from './verb.ts';

const defaultBusyTimeoutMs = 5000;

export const backUp: Verb = {
  summary: 'Take a verified snapshot of each database while it is in use.',
  usage:
    'back-up DATABASE… --to DIR [--no-verify] [--busy-timeout SECONDS] [--deadline SECONDS] [--json]',
  async run(args, context) {
    const { values, positionals } = parse({
      args,
      allowPositionals: true,
      options: {
        to: { type: 'string' },
        'no-verify': { type: 'boolean' },
        'busy-timeout': { type: 'string' },
        deadline: { type: 'string' },
        json: { type: 'boolean' },
      },
    });
    if (positionals.length === 0) throw new UsageError('back-up takes at least one database.');
    const folder = requireFolder(values.to);
    const busyTimeoutMs = seconds('busy-timeout', values['busy-timeout']) ?? defaultBusyTimeoutMs;
    const deadlineMs = seconds('deadline', values.deadline);

    const backups: Snapshot[] = [];
    const failures: { database: string; error: PlainError }[] = [];
    for (const database of withoutRepeats(positionals)) {
      try {
        const snapshot = await context.worker.call(
          'backUp',
          {
            database: resolve(database),
            folder: resolve(folder),
            recordAs: nameFor(database),
            method: 'exact',
            trigger: 'cli',
            verify: values['no-verify'] !== true,
            busyTimeoutMs,
            toolVersion: context.toolVersion,
          },
          {
            signal: context.signal,
            deadlineMs,
            onProgress: ({ phase, doneBytes, totalBytes }) =>
              context.progress(`${database}: ${phase} ${percent(doneBytes, totalBytes)}`),
          },
        );
        backups.push(snapshot);
        if (!values.json) context.print(sentence(snapshot));
      } catch (error) {
        if (!isBackupError(error)) throw error;
        failures.push({ database, error: toPlainError(error) });
        if (!values.json) tellFailure(context, error.message, error.hint);
      }
    }
    if (values.json) {
      context.print(
        JSON.stringify({ backups: backups.map(backupJson), failures: failures.map(failureJson) }),
      );
    }
    if (context.signal.aborted) return exitCodes.interrupted;
    return failures.length === 0 ? exitCodes.ok : exitCodes.failed;
  },
};

/** The same file under two names is backed up once. What cannot be looked at is left for the backup to refuse. */
function withoutRepeats(paths: readonly string[]): string[] {
  const seen = new Set<string>();
  return paths.filter((path) => {
    const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
    const identity = stats === undefined ? resolve(path) : `${stats.dev}:${stats.ino}`;
    return !seen.has(identity) && seen.add(identity);
  });
}

/** Relative to the current folder; of a database outside of it, only the file name. */
function nameFor(database: string): { path: string; workspace?: string } {
  const path = relative(process.cwd(), resolve(database));
  const isOutside = path === '..' || path.startsWith(`..${sep}`) || isAbsolute(path);
  return isOutside
    ? { path: basename(database) }
    : { path: path.split(sep).join('/'), workspace: basename(process.cwd()) };
}

function percent(doneBytes: number, totalBytes: number): string {
  return totalBytes === 0 ? '' : `${Math.floor((doneBytes / totalBytes) * 100)} %`;
}

function sentence({ database, path, manifest, durationMs }: Snapshot): string {
  const how = {
    ok: 'verified',
    partial: 'verified as far as possible',
    unchecked: 'not verified',
    damaged: 'damaged',
  };
  const facts = `${formatBytes(manifest.sizeBytes)} in ${formatDuration(durationMs)}`;
  return `Backed up ${database}: ${facts}, ${how[manifest.verdict.status]}.\n  ${path}`;
}

function tellFailure({ tell }: Context, message: string, hint: string | undefined): void {
  tell(hint === undefined ? message : `${message}\n  ${hint}`);
}

function backupJson({ path, database, manifest, durationMs }: Snapshot): object {
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
  };
}

function failureJson({ database, error }: { database: string; error: PlainError }): object {
  return { database, code: error.code, message: error.message, hint: error.hint ?? '' };
}
