/*
 * One restore at a time for each database, across processes, windows and users: a restore, an undo, a recovery, an archive
 * and a deletion hold a lock file beside the live name while they are at work. The system drops the lock of a killed
 * process, so nothing has to be judged by process numbers or times.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { BackupError } from '../errors.ts';
import { findHolders } from '../holders/holders.ts';
import { pause } from '../pause.ts';
import { lockFile } from '../sqlite/fileLock.ts';

const tries = 5;
const betweenTriesMs = 30;
const prefix = '.sqlite-backup-claim-';

/** Runs `action` as the only one at work on these live paths. Refused at once while another one is. */
export async function whileClaimed<T>(
  lives: readonly string[],
  action: () => T | Promise<T>,
): Promise<T> {
  const release = claim(lives);
  try {
    return await action();
  } finally {
    release();
  }
}

function claim(lives: readonly string[]): () => void {
  const held: { release: () => void }[] = [];
  const release = (): void => {
    for (const one of held.toReversed()) one.release();
  };
  const byFile = new Map(lives.map((live) => [claimPath(live), live]));
  try {
    for (const [path, live] of byFile) {
      const taken = lockPatiently(path);
      if (taken === undefined) throw atWork(live, path);
      held.push(taken);
    }
    return release;
  } catch (error) {
    release();
    throw error;
  }
}

/** A look whether the lock is free holds it for a moment as well. */
function lockPatiently(path: string): ReturnType<typeof lockFile> {
  let taken = lockFile(path);
  for (let attempt = 1; taken === undefined && attempt < tries; attempt++) {
    pause(betweenTriesMs);
    taken = lockFile(path);
  }
  return taken;
}

/** True while a process is at work on the live path. */
export function isClaimed(live: string): boolean {
  const path = claimPath(live);
  if (!existsSync(path)) return false;
  try {
    const taken = lockFile(path);
    taken?.release();
    return taken === undefined;
  } catch {
    return false; // Its owner alone can tell. The work itself fails with the reason.
  }
}

/** Removes the lock files that killed processes have left in a folder. */
export function sweepClaims(folder: string): void {
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder)) {
    if (!/^\.sqlite-backup-claim-[0-9a-f]{16}$/.test(name)) continue;
    try {
      lockFile(join(folder, name))?.release();
    } catch {
      // Of another user, or already gone.
    }
  }
}

/** Names of one file in another case or another Unicode form share a claim: some file systems take them for one. */
function claimPath(live: string): string {
  const name = basename(live).normalize('NFC').toLowerCase();
  const hash = createHash('sha256').update(name).digest('hex').slice(0, 16);
  return join(dirname(live), `${prefix}${hash}`);
}

function atWork(live: string, path: string): BackupError {
  const [holder] = findHolders([path]).holders;
  const by = holder === undefined ? '' : ` (${holder.name}, pid ${holder.pid})`;
  return new BackupError(
    'target-in-use',
    `Another restore${by} is working on ${live}. Nothing was changed.`,
    {
      path: live,
      hint: 'Wait until it has ended, then try again.',
      facts: { reason: 'claimed', ...(holder !== undefined && { pid: holder.pid }) },
    },
  );
}
