/** The snapshot that a restore takes of what it is about to replace. */
import { statSync } from 'node:fs';
import { isBackupError, type PlainError, toPlainError } from '../errors.ts';
import type { SnapshotHooks } from '../job.ts';
import { takeSnapshot } from '../snapshot/snapshot.ts';
import { type IntentItem, livePath } from './intent.ts';
import type { ApplyRequest } from './request.ts';

/** What is wrong with the live database is no reason not to restore it: the set-aside keeps it as it is. */
const unreadableCodes: ReadonlySet<string> = new Set([
  'source-missing',
  'not-a-database',
  'encrypted-or-not-sqlite',
  'corrupt',
  'hot-journal',
  'read-only-media',
  'incomplete',
  'newer-format',
  'too-large',
]);

/** Why there is none is kept for the report; it is not in the intent. */
const safetyFailures = new WeakMap<IntentItem, PlainError>();

/**
 * Takes a safety snapshot of the live database, if there is one that can be read; otherwise the reason is kept for
 * `safetyFailureOf`. Throws when there is no place for it.
 */
export async function takeSafetySnapshot(
  item: IntentItem,
  { folder, busyTimeoutMs, toolVersion, recordAs, ignoreHolders }: ApplyRequest,
  hooks: SnapshotHooks,
): Promise<void> {
  const database = livePath(item);
  if (statSync(database, { throwIfNoEntry: false }) === undefined) return;
  try {
    const { path } = await takeSnapshot(
      {
        database,
        folder: folder ?? item.folder,
        recordAs: recordAs?.[item.index] ?? { path: item.name },
        method: 'exact',
        trigger: 'pre-restore',
        verify: true,
        busyTimeoutMs,
        largestBytes: Number.MAX_SAFE_INTEGER,
        toolVersion,
      },
      // The point of no return of the restore comes later.
      { ...hooks, beforePublish: () => Promise.resolve() },
    );
    item.safetySnapshot = path;
  } catch (error) {
    if (!isBackupError(error)) throw error;
    const isOfSource = error.path === database || error.path === undefined;
    const isHeld = error.code === 'source-busy' && ignoreHolders === true;
    const isUnreadable = unreadableCodes.has(error.code) || error.code === 'access';
    if (!isHeld && !(isUnreadable && isOfSource)) throw error;
    safetyFailures.set(item, toPlainError(error));
  }
}

/** Why there is no safety snapshot of an existing file. */
export function safetyFailureOf(item: IntentItem): PlainError | undefined {
  return safetyFailures.get(item);
}
