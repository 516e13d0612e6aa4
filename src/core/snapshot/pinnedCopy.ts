import { statSync } from 'node:fs';
import { BackupError } from '../errors.ts';
import { EarlySync } from '../files/earlySync.ts';
import { fileIdentity } from '../files/paths.ts';
import { createPrivateFile } from '../files/publish.ts';
import type { Pace } from '../pause.ts';
import type { Pin } from '../sqlite/pin.ts';
import { retarget } from './source.ts';

/**
 * Copies what is pinned into the new private file `copy`; errors speak of `folder`, which people know. After each step
 * `onStep` gets what is done so far, and says how to go on.
 */
export async function copyPinned(
  { facts: { pageCount, pageSize }, copyTo }: Pin,
  { copy, folder }: { copy: string; folder: string },
  onStep: (doneBytes: number) => Pace,
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
        return syncing.wrote(doneBytes, onStep(doneBytes)) / pageSize;
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
