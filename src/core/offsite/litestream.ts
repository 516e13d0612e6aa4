/**
 * Fetches a state of a database from the copies that Litestream keeps of it. Built on the JSON that Litestream 0.5
 * documents for `restore`. The database itself, and what Litestream keeps beside it, are not opened.
 */
import { execFile } from 'node:child_process';
import { existsSync, rmSync, statSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { promisify } from 'node:util';
import * as v from 'valibot';
import type { Inspection } from '../catalog/discovery.ts';
import { BackupError, isBackupError } from '../errors.ts';
import { linkWithoutOverwriting } from '../files/publish.ts';
import { requireSpace } from '../files/space.ts';
import { inWorkplace } from '../files/workplace.ts';
import type { Progress } from '../job.ts';
import { verifyBackup } from '../verify/verifyBackup.ts';
import { allowedEnvironment, findOnPath } from './engine.ts';
import { answerOf } from './answer.ts';
import { isAtLeast } from './restic.ts';

const runFile = promisify(execFile);
const oldest = [0, 5] as const;
const mostText = 64 * 1024 * 1024;

const timeSchema = v.pipe(
  v.string(),
  v.check((text) => !Number.isNaN(Date.parse(text))),
);
const planSchema = v.object({
  source: v.string(),
  replica: v.string(),
  max_txid: v.optional(v.string()),
  files: v.array(v.object({ size: v.number(), timestamp: v.optional(timeSchema) })),
});
const summarySchema = v.object({
  db_path: v.string(),
  txid: v.optional(v.string()),
  integrity_check: v.optional(v.string()),
});

export interface LitestreamRequest {
  /** Its path, as in the configuration of Litestream. */
  database: string;
  /** Where the state is put, under a name of its own. */
  folder: string;
  /** RFC 3339; the newest state without it. */
  at?: string | undefined;
  /** Only says what would be fetched. */
  planOnly?: boolean | undefined;
}

export interface FromLitestream {
  /** Missing when it was only planned. */
  path?: string;
  source: string;
  replica: string;
  /** Of the newest file that is needed. */
  newestAt?: string;
  sizeBytes: number;
}

export async function fetchFromLitestream(
  { database, folder, at, planOnly = false }: LitestreamRequest,
  onProgress: (progress: Progress) => void,
): Promise<FromLitestream> {
  const name = basename(database);
  if (at !== undefined && Number.isNaN(Date.parse(at)))
    throw new BackupError('bad-setting', `${at} is not a time.`, {
      hint: 'Write it as 2026-11-21T13:45:02Z.',
    });
  const program = findOnPath('litestream');
  if (program === undefined)
    throw failed(`litestream is not installed, so ${name} cannot be fetched from it.`);
  const version = /(\d+\.\d+(?:\.\d+)?)/.exec(await run(program, ['version'], name))?.[1];
  if (version === undefined || !isAtLeast(version, oldest))
    throw failed(`Litestream ${version ?? '?'} is too old: 0.5 is needed.`);
  const which = [...(at === undefined ? [] : ['-timestamp', new Date(at).toISOString()])];
  const where = { name, engine: 'litestream' };
  const plan = ['restore', '-dry-run', '-json', ...which, '-o', name, database];
  const { source, replica, files } = answerOf(await run(program, plan, name), planSchema, where);
  const sizeBytes = files.reduce((sum, { size }) => sum + size, 0);
  const newestAt = files
    .flatMap(({ timestamp }) => timestamp ?? [])
    .sort()
    .at(-1);
  const about = { source, replica, sizeBytes, ...(newestAt !== undefined && { newestAt }) };
  if (planOnly) return about;
  return inWorkplace(folder, async ({ folder: target, scratch }) => {
    requireSpace(scratch, sizeBytes);
    const staged = join(scratch, name);
    const text = await run(
      program,
      ['restore', '-json', '-integrity-check', 'full', ...which, '-o', staged, database],
      name,
    );
    const summary = answerOf(text, summarySchema, where);
    if (summary.db_path !== staged || !existsSync(staged))
      throw failed(`Litestream did not say that it restored ${name}.`);
    const { status, findings } = await verifyBackup(
      { path: staged, drill: false, folder: scratch },
      onProgress,
    );
    if (status === 'damaged')
      throw new BackupError(
        'backup-damaged',
        `What Litestream restored of ${name} is damaged: ${findings[0]?.message ?? ''}`,
        { hint: 'Fetch an older state, or restore a backup.' },
      );
    for (const suffix of ['-wal', '-shm']) rmSync(`${staged}${suffix}`, { force: true });
    const path = publishFree(staged, target, name, new Date(at ?? newestAt ?? Date.now()));
    return { ...about, path, sizeBytes: statSync(path).size };
  });
}

/** Says of each database that Litestream replicates whether its program is there, too. */
export function withLitestream(inspection: Inspection, searchPath: string): Inspection {
  const { databases, skipped } = inspection;
  if (databases.every(({ litestream }) => litestream === undefined)) return inspection;
  const litestream = { hasProgram: findOnPath('litestream', searchPath) !== undefined };
  return {
    databases: databases.map((one) =>
      one.litestream === undefined ? one : { ...one, litestream },
    ),
    skipped,
  };
}

/** A name that tells where the state is from, and of when. It has no manifest: SQLite Backup did not make it. */
function publishFree(staged: string, folder: string, name: string, at: Date): string {
  const stamp = at.toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '_');
  const extension = extname(name);
  const stem = `${basename(name, extension)}_litestream_${stamp}Z`;
  for (let n = 1; ; n++) {
    const path = join(folder, `${stem}${n === 1 ? '' : `-${n}`}${extension}`);
    try {
      linkWithoutOverwriting(staged, path);
      return path;
    } catch (error) {
      if (!(error instanceof Error) || Reflect.get(error, 'code') !== 'EEXIST' || n > 999)
        throw error;
    }
  }
}

async function run(program: string, args: readonly string[], name: string): Promise<string> {
  try {
    const { stdout } = await runFile(program, [...args], {
      ...{ env: allowedEnvironment(), maxBuffer: mostText, windowsHide: true, encoding: 'utf8' },
    });
    return stdout;
  } catch (error) {
    if (isBackupError(error)) throw error;
    const stderr: unknown = error instanceof Error ? Reflect.get(error, 'stderr') : undefined;
    const last =
      (typeof stderr === 'string' ? stderr : '').trim().split('\n').at(-1)?.slice(0, 300) ?? '';
    throw failed(`Litestream failed for ${name}: ${last === '' ? 'it gave no reason' : last}`);
  }
}

function failed(message: string): BackupError {
  return new BackupError('offsite', message, {
    hint: 'Nothing was changed. litestream.io has its versions and its configuration.',
    facts: { reason: 'litestream' },
  });
}
