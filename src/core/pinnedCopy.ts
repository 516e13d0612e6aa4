import { statSync } from 'node:fs';
import { EarlySync } from './earlySync.ts';
import { BackupError } from './errors.ts';
import { createPrivateFile, fileIdentity } from './files.ts';
import { retarget } from './source.ts';
import type { Pin } from './sqlite.ts';

/** Asked after each step, with what is done so far. */
export interface CopySteps {
  onStep: (doneBytes: number) => void;
  /** Whether programs are committing, whose commits should not have to wait. */
  isGentle: () => boolean;
}

/** Copies what is pinned into the new private file `copy`; errors speak of `folder`, which people know. */
export async function copyPinned(
  { facts: { pageCount, pageSize }, copyTo }: Pin,
  { copy, folder }: { copy: string; folder: string },
  { onStep, isGentle }: CopySteps,
): Promise<void> {
  const sizeBytes = pageCount * pageSize;
  try {
    createPrivateFile(copy);
    const created = fileIdentity(copy);
    const syncing = new EarlySync(copy);
    let failure: Error | undefined;
    try {
      await copyTo(copy, (donePages) => {
        const doneBytes = donePages * pageSize;
        onStep(doneBytes);
        return syncing.wrote(doneBytes, { gently: isGentle() }) / pageSize;
      });
    } finally {
      failure = await syncing.end();
    }
    if (failure !== undefined) throw failure;
    const actual = statSync(copy).size;
    if (fileIdentity(copy) === created && actual === sizeBytes) return;
    throw new BackupError('incomplete', `The copy has ${actual} of ${sizeBytes} bytes.`, {
      path: folder,
      hint: 'Try again.',
      facts: { reason: 'size' },
    });
  } catch (error) {
    throw retarget(error, copy, { folder, wantedBytes: sizeBytes });
  }
}
