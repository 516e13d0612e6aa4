/*
 * No program may write to a database in rollback mode while SQLite holds it. So that this is short, most of the copy is
 * made before: a first pass copies the file as it is, which may be torn or old by the end. Once the database is held, the
 * second pass compares each piece with the file, and writes it again where it differs. Whatever the first one has made,
 * the copy equals the file then.
 */
import { closeSync, ftruncateSync, openSync, readSync, rmSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { copyInSteps } from '../files/copying.ts';
import { stepBytes } from '../files/earlySync.ts';
import type { CaptureOrder } from '../job.ts';
import type { Pace } from '../pause.ts';
import { cloneLive } from './cloneLive.ts';
import { writeWhole } from '../files/pieces.ts';

/** The first pass. False where a clone will do; then nothing is left of it. */
export async function prepareCopy(
  { path, copy }: Pick<CaptureOrder, 'path' | 'copy'>,
  onStep: (doneBytes: number) => Pace,
  chunkBytes?: number,
): Promise<boolean> {
  if (cloneLive(path, copy)) {
    rmSync(copy);
    return false;
  }
  const from = openSync(path, 'r');
  try {
    await copyInSteps(from, copy, onStep, chunkBytes);
    return true;
  } catch (error) {
    rmSync(copy, { force: true });
    throw error;
  } finally {
    closeSync(from);
  }
}

/** Two of them stay in the cache of the processor. */
const largestPieceBytes = 256 * 1024;

/** The second pass: makes the prepared copy equal to the open file, and returns how many bytes that has. */
export async function matchCopy(
  from: number,
  copy: string,
  onStep: (doneBytes: number) => unknown,
  chunkBytes: number,
): Promise<number> {
  const to = openSync(copy, 'r+');
  try {
    const pieceBytes = Math.min(chunkBytes, largestPieceBytes);
    const [wanted, found] = [Buffer.allocUnsafe(pieceBytes), Buffer.allocUnsafe(pieceBytes)];
    let done = 0;
    let dueBytes = 0;
    for (;;) {
      if (done >= dueBytes) {
        dueBytes = done + stepBytes;
        onStep(done);
        await turn(); // For messages.
      }
      const read = readSync(from, wanted, 0, pieceBytes, done);
      if (read === 0) break;
      const piece = wanted.subarray(0, read);
      const there = found.subarray(0, readSync(to, found, 0, read, done));
      if (!piece.equals(there)) writeWhole(to, piece, done);
      done += read;
    }
    ftruncateSync(to, done);
    onStep(done);
    return done;
  } finally {
    closeSync(to);
  }
}
