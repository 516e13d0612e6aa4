/** The first pass of the copies of large databases in rollback mode, before they are held: twoPasses.ts says why. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { requireSpace } from '../files/space.ts';
import type { CaptureProcess, Capturing, SnapshotHooks } from '../job.ts';
import type { Pace } from '../pause.ts';
import { isWorthCapturing } from './capture.ts';
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
 * Prepares copies in the folder `scratch`, and returns their paths by those of the databases. What could not be prepared
 * is captured in one pass. Throws where `folder` has no space for them.
 */
export async function prepareAll(
  capturing: CaptureProcess | undefined,
  databases: readonly { member: { source: Source } }[],
  { folder, scratch, onProgress }: Place,
): Promise<ReadonlyMap<string, string>> {
  const prepared = new Map<string, string>();
  const sources = databases.map(({ member }) => member.source);
  const totalBytes = sources.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  let before = 0;
  let ended: unknown;
  const onStep = (wroteBytes: number): Pace => {
    try {
      const doneBytes = Math.min(before + wroteBytes, totalBytes);
      // Before its first byte, it may still be a clone, which needs next to no space.
      if (wroteBytes > 0) requireSpace(folder, totalBytes - doneBytes);
      onProgress({ phase: 'copy', doneBytes, totalBytes });
      return { gently: false };
    } catch (error) {
      ended = error;
      throw error;
    }
  };
  for (const [index, { path, sizeBytes }] of sources.entries()) {
    const copy = join(scratch, `prepared-${index}.db`);
    try {
      if ((await capturing?.prepare({ path, copy }, onStep)) === true) prepared.set(path, copy);
    } catch {
      if (ended !== undefined) throw ended as Error;
      rmSync(copy, { force: true });
    }
    before += sizeBytes;
  }
  return prepared;
}

interface Place {
  /** That people know. */
  folder: string;
  scratch: string;
  onProgress: SnapshotHooks['onProgress'];
}
