import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { RestoreHooks } from '../../src/core/job.ts';
import type { ApplyRequest } from '../../src/core/restore/request.ts';
import { keepOutWith } from '../../src/worker/lockProcess.ts';
import { createDatabase, snapshot, withDatabase } from './databases.ts';
import { traced } from './operations.ts';
import { type Ended, fixture, run, workerEntry } from './processes.ts';

export const quiet: RestoreHooks = {
  onProgress: () => undefined,
  beforePublish: () => Promise.resolve(),
  keepOut: keepOutWith(workerEntry).keepOut,
};

/** What `prepareRestore` has written since the backup. */
export const insertItem = "INSERT INTO items (name) VALUES ('after the backup')";

/** A live database of 101 rows in its table `items`, and a backup of the first 100. */
export async function prepareRestore(
  live: string,
  journalMode: 'wal' | 'delete' = 'wal',
): Promise<{ live: string; backup: string }> {
  createDatabase(live, { journalMode });
  const { path: backup } = await snapshot(live);
  withDatabase(live, (db) => db.exec(insertItem));
  return { live, backup };
}

/** A request as the command line makes it, for one database. */
export function applyRequest(
  backup: string,
  target: string,
  changes: Partial<ApplyRequest> = {},
): ApplyRequest {
  return {
    backup,
    items: [{ target }],
    folder: join(dirname(backup)),
    busyTimeoutMs: 100,
    toolVersion: '0.0.0-test',
    ...changes,
  };
}

/** Runs a job of `test/fixtures/restoreJob.ts` under strace, which writes to `trace` and injects what the options say. */
export function tracedJob(
  trace: string,
  what: string,
  request: object,
  straceOptions: readonly string[] = [],
): Promise<Ended> {
  const job = [process.execPath, fixture('restoreJob.ts'), what, JSON.stringify(request)];
  return run([...traced(trace, ...straceOptions), ...job]);
}

/** What a restore must not leave behind: private folders and intents. */
export function leftoversIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder).filter((name) => /^\.(tmp-)?sqlite-backup/.test(name));
}

/** The names of the set-asides' database files in a folder. */
export function setAsidesIn(folder: string): string[] {
  return readdirSync(folder).filter((name) => /\.bad-\d{8}_\d{6}Z(-\d+)?$/.test(name));
}
