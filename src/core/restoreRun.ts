/** Carries out an intent, forward or back, and proves what is live then. */
import { copyFileSync, constants, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withReadable } from './compare.ts';
import { BackupError, explain } from './errors.ts';
import { makePrivateFolder, sha256File } from './files.ts';
import type { Finding } from './manifest.ts';
import type { Proof } from './restore.ts';
import {
  dropIntent,
  foldersOf,
  livePath,
  writeIntent,
  type Intent,
  type IntentItem,
} from './restoreIntent.ts';
import type { SourceFacts } from './restoreSource.ts';
import { requireFree } from './restoreTarget.ts';
import { checkDatabase } from './sqlite.ts';
import { linkAside, liveOf, putBack, swapIn, tidyUp } from './swap.ts';
import { differingContents } from './verify.ts';

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

const longestWaitMs = 5000;

/**
 * Opens a database as it is now and says whether it is sound, and in what it differs from what was backed up. Leaves
 * nothing beside it. Only damage is `damaged`: an application may have written to it since.
 */
export function proveLive(realTarget: string, source?: SourceFacts, sha256?: string): Proof {
  try {
    const isAsStaged = sha256 === undefined || sha256File(realTarget) === sha256;
    const check = withReadable([realTarget], ([path = realTarget]) =>
      checkDatabase(path, { access: 'read-only', busyTimeoutMs: longestWaitMs }),
    );
    const differing =
      source?.recorded === undefined || check.contents === undefined
        ? []
        : differingContents(source.recorded, check.contents);
    const changed: Finding = {
      code: 'changed',
      message: `${realTarget} is not any more, byte by byte, what was put there.`,
    };
    const findings = [...check.findings, ...differing, ...(isAsStaged ? [] : [changed])];
    const isDifferent = differing.length > 0 || !isAsStaged;
    return {
      realTarget,
      status: check.status === 'ok' && isDifferent ? 'partial' : check.status,
      findings,
      tables: check.contents?.tables ?? [],
      migrations: check.contents?.migrations ?? [],
    };
  } catch (error) {
    const { code, message } = explain(error, 'source', realTarget);
    const isDamage = code === 'corrupt' || code === 'not-a-database';
    return {
      realTarget,
      status: isDamage ? 'damaged' : 'partial',
      findings: [{ code, message }],
      tables: [],
      migrations: [],
    };
  }
}

/** Runs `use` on private copies of files, for what cannot be opened in place. */
export function withCopies<T>(
  path: string,
  siblings: readonly string[],
  use: (copy: string) => T,
): T {
  const scratch = makePrivateFolder(tmpdir());
  try {
    const copy = join(scratch.path, 'copy.db');
    for (const part of ['', ...siblings]) {
      if (statSync(path + part, { throwIfNoEntry: false }) !== undefined)
        copyFileSync(path + part, copy + part, constants.COPYFILE_FICLONE);
    }
    return use(copy);
  } catch (error) {
    throw explain(error, 'target', tmpdir());
  } finally {
    scratch.remove();
  }
}
