/** Restores that were stopped in the middle: what their intents and the disk say, and how they are brought to an end. */
import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { BackupError, isBackupError } from '../errors.ts';
import type { RestoreHooks } from '../job.ts';
import type { Finding } from '../manifest/manifest.ts';
import { isClaimed, whileClaimed } from './claim.ts';
import {
  dropIntent,
  type Intent,
  type IntentItem,
  listIntents,
  livePath,
  livesOf,
  makeStage,
  readIntent,
  setAsidePath,
  writeIntent,
} from './intent.ts';
import { goBack, lookAtHolders, placeAll } from './run.ts';
import { isStaged, stageBackup, stageWhole } from './staging.ts';
import { type ItemState, liveOf, obstacleToFinish, stateOf, wordsFor } from './states.ts';
import { resolveTarget } from './target.ts';
import { putBackSetAside } from './undo.ts';

/** The restores that were stopped in the middle, by the intents in `folder` and those of its symbolic links. Only reads. */
export function findInterrupted(folder: string): Interrupted[] {
  return [...listIntents(folder), ...intentsBehindLinks(folder)].map((path) => {
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

/** A restore follows a symbolic link, so its intent is where that leads. */
function intentsBehindLinks(folder: string): string[] {
  const links = readdirSync(folder, { withFileTypes: true }).filter((one) => one.isSymbolicLink());
  const places = links.flatMap(({ name }) => {
    try {
      const real = resolveTarget(join(folder, name)).realTarget;
      return [{ real, folder: dirname(real) }];
    } catch {
      return []; // It leads to nothing that a restore replaces.
    }
  });
  const folders = new Set(places.map((place) => place.folder));
  folders.delete(realpathSync(folder));
  return [...folders].flatMap(listIntents).filter((path) => {
    try {
      return livesOf(path).some((live) => places.some(({ real }) => real === live));
    } catch {
      return false; // What cannot be read is shown in its own folder.
    }
  });
}

function describe(path: string, intent: Intent): Interrupted {
  const { id, action, startedAt, backup } = intent;
  const states = intent.items.map((item) => ({ item, state: stateOf(id, item) }));
  const items = states.map(({ item, state }) => {
    const setAside = setAsidePath(item);
    return {
      realTarget: livePath(item),
      ...(setAside !== undefined && { setAside }),
      live: liveOf(state),
      changedSince: state.isUsed,
      lacksSiblings: state.position === 'old-whole' || state.lacks.length > 0,
    };
  });
  const common = {
    id,
    intent: path,
    action,
    startedAt,
    ...(backup !== undefined && { backup }),
    items,
  };
  const busy = livesOf(path).find(isClaimed);
  if (busy !== undefined) {
    const words = `Another process is working on ${busy}: wait until it has ended.`;
    return { ...common, can: [], words };
  }
  const obstacle = firstObstacle(intent, states);
  const lines = states.map(({ item, state }) => `${livePath(item)}: ${wordsFor(action, state)}.`);
  if (lines.length === 0) lines.push('Nothing is half-done: only the note of the restore is left.');
  if (obstacle !== undefined) lines.push(obstacle);
  return {
    ...common,
    can: obstacle === undefined ? ['finish', 'roll-back'] : ['roll-back'],
    words: lines.join(' '),
  };
}

/** Why a restore cannot be finished; undefined when it can. */
function firstObstacle(
  { id, backup }: Intent,
  states: readonly { item: IntentItem; state: ItemState }[],
): string | undefined {
  for (const { item, state } of states) {
    const obstacle = obstacleToFinish(state, livePath(item));
    if (obstacle !== undefined) return obstacle;
    const hasSource = liveOf(state) === 'new' || (backup !== undefined && existsSync(backup));
    if (!hasSource && !isStaged(id, item))
      return `It cannot be finished, because ${backup ?? 'what it would put in place'} no longer exists.`;
  }
  return undefined;
}

/** Brings an interrupted restore to its end, or back to its beginning. Can itself be stopped, and run again. */
export async function recoverInterrupted(
  { intent: path, how, ignoreHolders = false }: RecoverRequest,
  hooks: RestoreHooks,
): Promise<Recovered> {
  return whileClaimed(livesOf(path), async () => {
    const intent = readIntent(path); // As it is now that no other process works on it.
    lookAtHolders(intent.items, { ignoreHolders, isResumed: true });
    const remarks = await (how === 'finish'
      ? finish(intent, path, ignoreHolders, hooks)
      : back(intent, ignoreHolders, hooks));
    return {
      id: intent.id,
      how,
      items: intent.items.map((item) => {
        const setAside = setAsidePath(item);
        const state = stateOf(intent.id, item);
        return {
          realTarget: livePath(item),
          live: liveOf(state),
          words: wordsFor(intent.action, state),
          ...(setAside !== undefined && existsSync(setAside) && { setAside }),
        };
      }),
      remarks,
    };
  });
}

async function back(
  intent: Intent,
  ignoreHolders: boolean,
  hooks: RestoreHooks,
): Promise<Finding[]> {
  await hooks.beforePublish();
  for (const item of intent.items) requireOld(intent.id, item);
  const kept = await undoUsed(intent, hooks);
  for (const item of intent.items) {
    makeStage(intent.id, item);
    stageWhole(intent.id, item, 'old', { isHeld: ignoreHolders });
  }
  writeIntent(intent);
  return [...kept, ...(await goBack(intent, { ignoreHolders, isResumed: true }, hooks))];
}

/** Where a program has written to what was put in place, that is undone as a restore is, so that it is kept as well. */
async function undoUsed(
  { id, items, toolVersion }: Intent,
  hooks: RestoreHooks,
): Promise<Finding[]> {
  const remarks: Finding[] = [];
  for (const item of items) {
    const state = stateOf(id, item);
    if (liveOf(state) !== 'new' || !state.isUsed) continue;
    const { setAside } = await putBackSetAside(item, toolVersion, hooks);
    remarks.push({
      code: 'kept',
      message: `A program has changed ${livePath(item)} since. With these changes it is kept as ${setAside}.`,
    });
  }
  return remarks;
}

/** Before anything is taken from the live name: what belongs there must be somewhere else. */
function requireOld(id: string, item: IntentItem): void {
  const [kept, { position }] = [setAsidePath(item), stateOf(id, item)];
  const isNeeded = position === 'new' || position === 'new-whole' || position === 'missing';
  if (kept === undefined || !isNeeded || existsSync(kept)) return;
  throw new BackupError('source-missing', `The previous database no longer exists: ${kept}.`, {
    path: kept,
    hint: 'Give it that name again, or finish the restore.',
  });
}

async function finish(
  intent: Intent,
  path: string,
  ignoreHolders: boolean,
  hooks: RestoreHooks,
): Promise<Finding[]> {
  const states = intent.items.map((item) => ({ item, state: stateOf(intent.id, item) }));
  const obstacle = firstObstacle(intent, states);
  if (obstacle !== undefined) {
    throw new BackupError('target-in-use', obstacle, {
      path,
      hint: 'Roll it back: the previous database comes back, complete.',
    });
  }
  for (const { item, state } of states) {
    if (liveOf(state) === 'new') continue;
    makeStage(intent.id, item);
    if (!isStaged(intent.id, item) && intent.backup !== undefined)
      item.staged = (await stageBackup(intent.id, item, intent.backup, hooks)).files;
    stageWhole(intent.id, item, 'old', { isHeld: ignoreHolders });
  }
  await hooks.beforePublish();
  if (intent.items.length === 0) {
    dropIntent(intent);
    return [];
  }
  writeIntent(intent);
  return placeAll(intent, { ignoreHolders, isResumed: true }, hooks);
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
  items: {
    realTarget: string;
    live: 'old' | 'new' | 'missing' | 'other';
    /** For a person: what is under the live name now. */
    words: string;
    setAside?: string;
  }[];
  remarks: Finding[];
}
