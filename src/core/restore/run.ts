/** Carries out an intent, forward or back, and proves what is live then. */
import { BackupError, explain } from '../errors.ts';
import type { Finding } from '../manifest/manifest.ts';
import {
  dropIntent,
  foldersOf,
  type Intent,
  type IntentItem,
  livePath,
  writeIntent,
} from './intent.ts';
import { linkAside, liveOf, putBack, swapIn, tidyUp } from './swap.ts';
import { requireFree } from './target.ts';

export interface RunOptions {
  /** Goes on although programs have the databases open. */
  ignoreHolders: boolean;
  isResumed?: boolean;
}

/** Looks who has the databases of an intent open, and refuses while somebody has. */
export function lookAtHolders(
  items: readonly IntentItem[],
  { ignoreHolders, isResumed = false }: RunOptions,
): void {
  // In the middle of a restore the probe would meet half of a database, and leave an empty -wal beside it.
  if (!ignoreHolders) requireFree(items.map(livePath), { probe: !isResumed });
}

/** Writes the intent and makes all set-asides complete. What goes wrong is undone at once. */
export function moveAll(intent: Intent, { ignoreHolders, isResumed = false }: RunOptions): void {
  try {
    if (!isResumed) writeIntent(intent);
    lookAtHolders(intent.items, { ignoreHolders, isResumed });
    for (const item of intent.items) {
      if (isResumed && liveOf(item) === 'new') continue;
      linkAside(intent.id, item, { isHeld: ignoreHolders, isResumed });
    }
  } catch (error) {
    throw rollBack(intent, error);
  }
}

/** Puts everything that is staged under the live names. What goes wrong is undone at once, for all items. */
export function placeAll(intent: Intent, { ignoreHolders }: RunOptions): Finding[] {
  try {
    for (const item of intent.items)
      swapIn(intent.id, item, () => lookAtHolders([item], { ignoreHolders, isResumed: true }));
  } catch (error) {
    throw rollBack(intent, error);
  }
  return finishOff(intent);
}

/** From here on the new state is complete: what cannot be tidied up is a remark. */
export function finishOff(intent: Intent): Finding[] {
  try {
    for (const item of intent.items) tidyUp(item);
    dropIntent(intent);
    return [];
  } catch (error) {
    const { message } = explain(error, 'target', foldersOf(intent)[0] ?? '');
    return [
      {
        code: 'leftover',
        message: `All is in its place, but what the restore needed could not be removed: ${message}`,
      },
    ];
  }
}

/** Brings all items back and returns the error to throw: the cause, or that going back failed as well. */
function rollBack(intent: Intent, error: unknown): BackupError {
  const [folder = ''] = foldersOf(intent);
  const cause = explain(error, 'target', folder);
  try {
    goBack(intent);
    return cause;
  } catch (failure) {
    const { message } = explain(failure, 'target', folder);
    return new BackupError(
      'incomplete',
      `${cause.message} Then the old state could not be brought back at once: ${message}`,
      {
        path: folder,
        hint: `Nothing is lost. Recover it: sqlite-backup restore --recover ${JSON.stringify(folder)}`,
        facts: { reason: cause.code },
        cause: failure,
      },
    );
  }
}

/** Brings the old state back for all items and ends the restore. */
export function goBack(intent: Intent): Finding[] {
  const remarks = intent.items.toReversed().flatMap((item) => putBack(intent.id, item));
  dropIntent(intent);
  return remarks;
}
