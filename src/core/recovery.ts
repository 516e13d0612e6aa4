/** Restores that were stopped in the middle: what their intents and the disk say, and how they are brought to an end. */
import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { BackupError, isBackupError } from './errors.ts';
import type { Interrupted, Recovered, RecoverRequest } from './restore.ts';
import {
  listIntents,
  livePath,
  readIntent,
  setAsidePath,
  writeIntent,
  type Intent,
  type IntentItem,
} from './restoreIntent.ts';
import { goBack, lookAtHolders, moveAll, placeAll } from './restoreRun.ts';
import { isStaged, makeStage, stageBackup } from './restoreStaging.ts';
import type { SnapshotHooks } from './snapshot.ts';
import { hasChangedSince, liveOf } from './swap.ts';

/** The restores that were stopped in the middle, by the intents in `folder`. Only reads. */
export function findInterrupted(folder: string): Interrupted[] {
  return listIntents(folder).map((path) => {
    try {
      return describe(path, readIntent(path));
    } catch (error) {
      if (!isBackupError(error)) throw error;
      return {
        id: basename(path),
        intent: path,
        action: 'restore',
        startedAt: new Date(0).toISOString(),
        items: [],
        can: [],
        words: error.hint === undefined ? error.message : `${error.message} ${error.hint}`,
      };
    }
  });
}

function describe(path: string, intent: Intent): Interrupted {
  const { id, action, startedAt, backup } = intent;
  const items = intent.items.map((item) => {
    const setAside = setAsidePath(item);
    return {
      realTarget: livePath(item),
      ...(setAside !== undefined && { setAside }),
      live: liveOf(item),
      changedSince: hasChangedSince(item),
    };
  });
  const obstacle = obstacleToFinish(intent);
  return {
    id,
    intent: path,
    action,
    startedAt,
    ...(backup !== undefined && { backup }),
    items,
    can: obstacle === undefined ? ['finish', 'roll-back'] : ['roll-back'],
    words: [...items.map(wordsFor), ...(obstacle === undefined ? [] : [obstacle])].join(' '),
  };
}

const liveWords = {
  old: 'the old database is live',
  new: 'the restored database is live',
  missing: 'nothing is live',
  other: 'another file is live',
} as const;

function wordsFor({ realTarget, live, changedSince }: Interrupted['items'][number]): string {
  const since =
    changedSince && live !== 'other' ? ', and it was used after the restore stopped' : '';
  return `${realTarget}: ${liveWords[live]}${since}.`;
}

/** Why a restore cannot be finished; undefined when it can. */
function obstacleToFinish(intent: Intent): string | undefined {
  for (const item of intent.items) {
    const live = liveOf(item);
    if (live === 'new') continue;
    if (live === 'other' || (live === 'old' && hasChangedSince(item)))
      return `It cannot be finished, because ${livePath(item)} was changed after it stopped. Roll it back, then restore again.`;
    const hasBackup = intent.backup !== undefined && existsSync(intent.backup);
    if (!hasBackup && !isStaged(intent.id, item))
      return `It cannot be finished, because ${intent.backup ?? 'its source'} is not there any more.`;
  }
  return undefined;
}

/** Brings an interrupted restore to its end, or back to its beginning. Can itself be stopped, and run again. */
export async function recoverInterrupted(
  { intent: path, how, ignoreHolders = false }: RecoverRequest,
  hooks: SnapshotHooks,
): Promise<Recovered> {
  const intent = readIntent(path);
  lookAtHolders(intent.items, { ignoreHolders, isResumed: true });
  const remarks =
    how === 'finish' ? await finish(intent, path, ignoreHolders, hooks) : await back(intent, hooks);
  return {
    id: intent.id,
    how,
    items: intent.items.map((item) => {
      const setAside = setAsidePath(item);
      return {
        realTarget: livePath(item),
        live: liveOf(item),
        ...(setAside !== undefined && existsSync(setAside) && { setAside }),
      };
    }),
    remarks,
  };
}

async function back(intent: Intent, hooks: SnapshotHooks): Promise<Recovered['remarks']> {
  await hooks.beforePublish();
  for (const item of intent.items) makeStage(intent.id, item);
  return goBack(intent);
}

async function finish(
  intent: Intent,
  path: string,
  ignoreHolders: boolean,
  hooks: SnapshotHooks,
): Promise<Recovered['remarks']> {
  const obstacle = obstacleToFinish(intent);
  if (obstacle !== undefined) {
    throw new BackupError('target-in-use', obstacle, {
      path,
      hint: 'Roll it back: the old database comes back, complete.',
    });
  }
  await restage(intent, hooks);
  await hooks.beforePublish();
  writeIntent(intent);
  moveAll(intent, { ignoreHolders, isResumed: true });
  return placeAll(intent, { ignoreHolders });
}

async function restage(intent: Intent, hooks: SnapshotHooks): Promise<void> {
  for (const item of intent.items) {
    makeStage(intent.id, item);
    if (!needsStage(intent.id, item) || intent.backup === undefined) continue;
    item.staged = (await stageBackup(intent.id, item, intent.backup, hooks)).files;
  }
}

function needsStage(id: string, item: IntentItem): boolean {
  return liveOf(item) !== 'new' && !isStaged(id, item);
}
