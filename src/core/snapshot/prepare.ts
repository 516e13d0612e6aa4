/** The first pass of the copies of large databases in rollback mode, before they are held: twoPasses.ts says why. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { BackupError } from '../errors.ts';
import { requireSpace } from '../files/space.ts';
import type { CaptureProcess, Capturing, SnapshotHooks } from '../job.ts';
import type { Pace } from '../pause.ts';
import { isWorthCapturing } from './capture.ts';
import { isFull, smallestFirst } from './room.ts';
import type { Source } from './source.ts';

/** In WAL mode nothing waits for a copy, and what is small is copied in a moment. */
export function isWorthPreparing(
  one: Parameters<typeof isWorthCapturing>[0],
  capturing: Capturing | undefined,
): boolean {
  const { journalMode, sizeBytes } = one.member.source;
  const isLarge = sizeBytes >= (capturing?.fewestPreparedBytes ?? Infinity);
  return isLarge && journalMode !== 'wal' && isWorthCapturing(one, capturing);
}

/**
 * Prepares copies in the folder `scratch`. What could not be prepared is captured in one pass, and what `folder` has no
 * room for, beside the smaller databases, has failed.
 */
export async function prepareAll<T extends { member: { source: Source } }>(
  capturing: CaptureProcess | undefined,
  databases: readonly T[],
  { folder, scratch, onProgress, isWorth }: Place & { isWorth: (one: T) => boolean },
): Promise<Prepared<T>> {
  const result: Prepared<T> = { prepared: new Map(), failures: new Map() };
  const bytesOf = ({ member: { source } }: T): number => source.sizeBytes;
  const ordered = smallestFirst(databases, bytesOf);
  const totalBytes = ordered.filter(isWorth).reduce((sum, one) => sum + bytesOf(one), 0);
  let before = 0;
  /** Of smaller ones that are copied later. */
  let reservedBytes = 0;
  for (const [index, one] of ordered.entries()) {
    const { path, sizeBytes } = one.member.source;
    if (!isWorth(one)) {
      reservedBytes += sizeBytes;
      continue;
    }
    const copy = join(scratch, `prepared-${index}.db`);
    let ended: unknown;
    const onStep = (wroteBytes: number): Pace => {
      try {
        const doneBytes = Math.min(before + wroteBytes, totalBytes);
        // Before its first byte, it may still be a clone, which needs next to no space.
        if (wroteBytes > 0)
          requireSpace(folder, reservedBytes + Math.max(0, sizeBytes - wroteBytes));
        onProgress({ phase: 'copy', doneBytes, totalBytes });
        return { gently: false };
      } catch (error) {
        ended = error;
        throw error;
      }
    };
    try {
      if ((await capturing?.prepare({ path, copy }, onStep)) === true)
        result.prepared.set(path, copy);
    } catch {
      rmSync(copy, { force: true });
      if (isFull(ended)) result.failures.set(one, ended);
      else if (ended !== undefined) throw ended as Error;
    }
    before += sizeBytes;
  }
  return result;
}

interface Prepared<T> {
  /** Paths of copies by those of their databases. */
  prepared: Map<string, string>;
  failures: Map<T, BackupError>;
}

interface Place {
  /** That people know. */
  folder: string;
  scratch: string;
  onProgress: SnapshotHooks['onProgress'];
}
