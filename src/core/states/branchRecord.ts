/** Of which branch the state of each database of a work tree is: remembered in the data folder, never in the repository. */
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as v from 'valibot';
import { BackupError, explain } from '../errors.ts';
import { makeDataFolder } from '../files/dataFolder.ts';
import { replacePrivateFile } from '../files/publish.ts';
import { lockFile } from '../sqlite/fileLock.ts';

const recordSchema = v.object({
  top: v.string(),
  /** The branch that the last look saw. */
  branch: v.string(),
  /** By path: those whose state is of another branch, because they could not be replaced, or already are. */
  others: v.record(v.string(), v.string()),
  /** The state of a branch that is about to become the database `path`. Whether it did is told by the file that is there. */
  arriving: v.optional(v.object({ path: v.string(), branch: v.string(), file: v.string() })),
});
export type BranchRecord = v.InferOutput<typeof recordSchema>;

const longestWaitMs = 60_000;
const betweenTriesMs = 50;

function pathFor(top: string): string {
  const hash = createHash('sha256').update(top).digest('hex').slice(0, 32);
  return join(makeDataFolder('branches'), `${hash}.json`);
}

/**
 * Runs `action` while no other process looks after the branches of this work tree: git's hook and each window with the
 * repository see the same switch. `onWait` is called while another one is at work; what it throws ends the wait.
 */
export async function whileAlone<T>(
  top: string,
  onWait: () => void,
  action: () => Promise<T>,
): Promise<T> {
  const path = `${pathFor(top)}.lock`;
  const until = performance.now() + longestWaitMs;
  let lock = lockFile(path);
  while (lock === undefined) {
    if (performance.now() > until) throw isAtWork(top);
    onWait();
    await sleep(betweenTriesMs);
    lock = lockFile(path);
  }
  try {
    return await action();
  } finally {
    lock.release();
  }
}

function isAtWork(top: string): BackupError {
  return new BackupError(
    'target-in-use',
    `Another process has been bringing the databases of ${top} in line with the branch for a minute. Nothing was changed.`,
    {
      path: top,
      hint: 'Wait until it has ended, then try again.',
      facts: { reason: 'claimed' },
    },
  );
}

/** Tells a file from all others of now, also under another name. */
export function fileMark(path: string): string | undefined {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat && `${stat.dev}:${stat.ino}`;
}

/** Says of which branch a database is that was being replaced when a process ended, or a replacement failed. */
export function withArrived(record: BranchRecord): BranchRecord {
  const { arriving, ...known } = record;
  if (arriving === undefined) return record;
  const { path, branch, file } = arriving;
  if (fileMark(join(known.top, path)) !== file) return known;
  return { ...known, others: { ...known.others, [path]: branch } };
}

/** Undefined before the first look, and when what is remembered is damaged. Throws when it cannot be read. */
export function readBranchRecord(top: string): BranchRecord | undefined {
  const path = pathFor(top);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    // A first look would take the databases for those of the branch that is checked out now.
    if (error instanceof Error && Reflect.get(error, 'code') !== 'ENOENT')
      throw explain(error, 'target', path);
    return undefined;
  }
  try {
    const read = v.safeParse(recordSchema, JSON.parse(text));
    return read.success && read.output.top === top ? withArrived(read.output) : undefined;
  } catch {
    return undefined;
  }
}

export function writeBranchRecord(record: BranchRecord): void {
  replacePrivateFile(pathFor(record.top), `${JSON.stringify(record)}\n`);
}
