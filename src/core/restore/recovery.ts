/** Restores that were stopped in the middle: what their intents and the disk say, and how they are brought to an end. */
import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { BackupError, isBackupError } from '../errors.ts';
import type { SnapshotHooks } from '../job.ts';
import type { Finding } from '../manifest/manifest.ts';
import {
  type Intent,
  type IntentItem,
  listIntents,
  livePath,
  makeStage,
  readIntent,
  setAsidePath,
  writeIntent,
} from './intent.ts';
import { isClaimed, whileClaimed } from './claim.ts';
import { goBack, lookAtHolders, moveAll, placeAll } from './run.ts';
import { isStaged, stageBackup } from './staging.ts';
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
  const common = {
    id,
    intent: path,
    action,
    startedAt,
    ...(backup !== undefined && { backup }),
  };
  const items = intent.items.map((item) => {
    const setAside = setAsidePath(item);
    return {
      realTarget: livePath(item),
      ...(setAside !== undefined && { setAside }),
      live: liveOf(item),
      changedSince: hasChangedSince(item),
      lacksSiblings: lacksSiblings(item),
    };
  });
  const atWork = items.find(({ realTarget }) => isClaimed(realTarget));
  const obstacle = obstacleToFinish(intent);
  const can: Interrupted['can'] = obstacle === undefined ? ['finish', 'roll-back'] : ['roll-back'];
  if (atWork !== undefined) {
    const words = `Another process is at work on ${atWork.realTarget}: wait until it has ended.`;
    return { ...common, items, can: [], words };
  }
  const words = [...items.map(wordsFor), ...(obstacle === undefined ? [] : [obstacle])].join(' ');
  return { ...common, items, can, words };
}

function lacksSiblings(item: IntentItem): boolean {
  const [live, kept] = [livePath(item), setAsidePath(item)];
  if (kept === undefined || liveOf(item) !== 'old') return false;
  return item.old.some(
    ({ part, sizeBytes }) =>
      (part === '-wal' || part === '-journal') &&
      sizeBytes > 0 &&
      existsSync(kept + part) &&
      !existsSync(live + part),
  );
}

const liveWords = {
  old: 'the old database is live',
  new: 'the restored database is live',
  missing: 'nothing is live',
  other: 'another file is live',
} as const;

function wordsFor(item: Interrupted['items'][number]): string {
  const { realTarget, live, changedSince, lacksSiblings } = item;
  if (lacksSiblings && !changedSince)
    return `${realTarget}: the old database is live, but part of it is only in the set-aside.`;
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
  const { intent, remarks } = await whileClaimed(readIntent(path).items.map(livePath), async () => {
    const intent = readIntent(path); // As it is now that no other process works on it.
    lookAtHolders(intent.items, { ignoreHolders, isResumed: true });
    const remarks = await (how === 'finish'
      ? finish(intent, path, ignoreHolders, hooks)
      : back(intent, hooks));
    return { intent, remarks };
  });
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
  for (const item of intent.items) requireOld(item);
  for (const item of intent.items) makeStage(intent.id, item);
  return goBack(intent);
}

/** Before anything is taken from the live name: what belongs there must be somewhere else. */
function requireOld(item: IntentItem): void {
  const [kept, live] = [setAsidePath(item), liveOf(item)];
  if (kept === undefined || live === 'old' || live === 'other' || existsSync(kept)) return;
  throw new BackupError('source-missing', `The old database is not there any more: ${kept}.`, {
    path: kept,
    hint: 'Give it that name again, or finish the restore.',
  });
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

/** A restore that was stopped in the middle, as its intent and the disk tell it. */
export interface Interrupted {
  id: string;
  intent: string;
  action: 'restore' | 'undo';
  /** ISO 8601. */
  startedAt: string;
  backup?: string;
  items: {
    realTarget: string;
    setAside?: string;
    /** What is under the live name now. */
    live: 'old' | 'new' | 'missing' | 'other';
    /** The old database has been written to after the interruption. */
    changedSince: boolean;
    /** Its -wal or -journal, without which the old database is another one, is only beside the set-aside. */
    lacksSiblings: boolean;
  }[];
  /** The directions in which it can be brought to an end. */
  can: ('finish' | 'roll-back')[];
  /** For a person: where it stopped, and why a direction is not possible. */
  words: string;
}

export interface RecoverRequest {
  intent: string;
  how: 'finish' | 'roll-back';
  ignoreHolders?: boolean;
}

export interface Recovered {
  id: string;
  how: 'finish' | 'roll-back';
  items: { realTarget: string; live: 'old' | 'new' | 'missing' | 'other'; setAside?: string }[];
  remarks: Finding[];
}
