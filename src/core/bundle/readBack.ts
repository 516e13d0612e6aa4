/** Reads back all of a zip that was just written. */
import { createHash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';
import { BackupError, explain, isBackupError } from '../errors.ts';
import type { BundleContents } from '../manifest/manifest.ts';
import { bundleVersionName } from './entryNames.ts';
import { differingEntries, withBundle } from './openBundle.ts';

/** Reads all of a zip that was just written, and insists that it is what `contents` says. */
export async function readBack(
  path: string,
  contents: BundleContents,
  onProgress: (doneBytes: number) => void,
): Promise<void> {
  try {
    await withBundle(path, async (open) => {
      await open.zip.requireSoundEntries();
      const [first] = differingEntries(open);
      if (open.contents === undefined || first !== undefined)
        throw new Error(first?.message ?? 'its backup details cannot be read');
      let doneBytes = 0;
      await sideBySide(contents.entries, async ({ name, sha256 }) => {
        const hash = createHash('sha256');
        await open.zip.read(name, (chunk) => {
          hash.update(chunk);
          onProgress((doneBytes += chunk.length));
        });
        if (hash.digest('hex') !== sha256) throw new Error(`${name} has another SHA-256`);
      });
      // Everything else in it has a CRC at least.
      await open.zip.read(bundleVersionName, () => undefined);
    });
  } catch (error) {
    const folder = dirname(dirname(path));
    // It could not be read at all, which is no matter of what is in it.
    if (isBackupError(error) && error.code !== 'backup-damaged')
      throw explain(error.cause ?? error, 'target', folder);
    const reason = error instanceof Error ? error.message : String(error);
    throw new BackupError('io-error', `The zip is not what was written: ${reason}`, {
      path: folder,
      hint: 'Check the disk and try again.',
      cause: error,
    });
  }
}

const mostSideBySide = Math.min(availableParallelism(), 4);

/** Inflating runs on threads of its own, so several entries at once are read on as many cores. */
async function sideBySide<T>(
  items: readonly T[],
  action: (item: T) => Promise<void>,
): Promise<void> {
  const rest = items.values();
  const line = async (): Promise<void> => {
    for (const item of rest) await action(item);
  };
  // All have to end before the first failure is told: none may read from a file that is closed.
  const ended = await Promise.allSettled(Array.from({ length: mostSideBySide }, line));
  const failed = ended.find((one) => one.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
