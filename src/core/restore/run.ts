/** Carries out an intent, forward or back. */
import { existsSync } from 'node:fs';
import { BackupError, explain } from '../errors.ts';
import { fileIdentity } from '../files/paths.ts';
import { intentPath } from '../files/workplace.ts';
import { findHolders } from '../holders/holders.ts';
import type { KeptOut, RestoreHooks } from '../job.ts';
import type { Finding } from '../manifest/manifest.ts';
import { pause } from '../pause.ts';
import {
  discardStages,
  dropIntent,
  type Intent,
  type IntentItem,
  livePath,
  setAsidePath,
  stageFolder,
  writeIntent,
} from './intent.ts';
import {
  changedMeanwhile,
  dropFrom,
  dropSetAside,
  keepFrom,
  keepOld,
  requireAsItWas,
  settle,
  type Watch,
} from './moves.ts';
import { hasContent, sizeOf } from './parts.ts';
import { writeRecord } from './record.ts';
import { type Goal, type ItemState, liveOf, sideOf, stateOf, staysAsItIs } from './states.ts';
import { inUse, requireFree } from './target.ts';

export interface RunOptions {
  /** Goes on although programs have the databases open. */
  ignoreHolders: boolean;
  isResumed?: boolean;
}

/** Looks who has the databases of an intent open, and refuses while a program has. */
export function lookAtHolders(
  items: readonly IntentItem[],
  { ignoreHolders, isResumed = false }: RunOptions,
): void {
  // In the middle of a restore a probe of the locks has nothing to say.
  if (!ignoreHolders) requireFree(items.map(livePath), { probe: !isResumed });
}

/** Writes the intent and makes all set-asides complete. What goes wrong is undone at once. */
export function moveAll(intent: Intent, { ignoreHolders }: RunOptions): void {
  try {
    writeIntent(intent);
    lookAtHolders(intent.items, { ignoreHolders });
    for (const item of intent.items) keepAndRecord(intent.id, item, { ignoreHolders });
  } catch (error) {
    throw rollBack(intent, error, watchFor({ ignoreHolders }));
  }
}

/** Makes the set-aside complete. Until that is done the live files must not change. */
export function keepAndRecord(id: string, item: IntentItem, { ignoreHolders }: RunOptions): void {
  keepOld(id, item);
  requireAsItWas(item, { isHeld: ignoreHolders });
  const kept = setAsidePath(item);
  if (kept !== undefined)
    writeRecord(kept, item.old, stageFolder(id, item), { isHeld: ignoreHolders });
}

/** Puts everything that is staged under the live names. What goes wrong is undone at once, for all items. */
export async function placeAll(
  intent: Intent,
  options: RunOptions,
  hooks: Pick<RestoreHooks, 'keepOut'>,
): Promise<Finding[]> {
  const { id, items } = intent;
  const remarks = await whileKeptOut(intent, 'new', options, hooks, (watch) => {
    try {
      for (const item of items) {
        if (options.isResumed === true) keepOld(id, item, { isResumed: true });
        else requireAsItWas(item, { isHeld: options.ignoreHolders });
      }
      for (const item of items) settle(id, item, 'new', watch);
    } catch (error) {
      throw rollBack(intent, error, watch);
    }
  });
  return [...remarks, ...finishOff(intent)];
}

/** Brings the old state back for all items, and ends the restore. */
export async function goBack(
  intent: Intent,
  options: RunOptions,
  hooks: Pick<RestoreHooks, 'keepOut'>,
): Promise<Finding[]> {
  const found: Finding[] = [];
  const remarks = await whileKeptOut(intent, 'old', options, hooks, (watch) => {
    found.push(...bringBack(intent, watch));
  });
  return [...found, ...remarks];
}

/**
 * Runs `action` while SQLite's locks keep other programs out of the files that have or get the live names: a program that
 * starts in this moment waits, and finds one database or the other.
 */
async function whileKeptOut(
  intent: Intent,
  goal: Goal,
  { ignoreHolders }: RunOptions,
  { keepOut }: Pick<RestoreHooks, 'keepOut'>,
  action: (watch: Watch) => void,
): Promise<Finding[]> {
  const paths = intent.items.flatMap((item) => pathsToLock(intent.id, item, goal));
  let kept: KeptOut;
  try {
    kept = await keepOut(paths);
  } catch (error) {
    throw goal === 'new' ? rollBack(intent, error, watchFor({ ignoreHolders })) : error;
  }
  const remarks: Finding[] = [];
  try {
    const watch = watchFor({ ignoreHolders, besides: kept.pid, remarks });
    try {
      const busy = paths.find((_path, index) => kept.outcomes[index] === 'busy');
      if (busy !== undefined && !ignoreHolders) throw hiddenHolder(busy);
      watch.requireFree(intent.items.map(livePath));
    } catch (error) {
      throw goal === 'new' ? rollBack(intent, error, watch) : error;
    }
    action(watch);
    return remarks;
  } finally {
    await kept.letGo();
    // A file that was locked may have kept its folder from going, as on FUSE.
    if (!intent.folders.some((folder) => existsSync(intentPath(folder, intent.id))))
      discardStages(intent);
  }
}

/** The paths of the live database and of the one to come. A file with a sibling that has content is not opened: its whole is placed first. */
function pathsToLock(id: string, item: IntentItem, goal: Goal): string[] {
  const live = livePath(item);
  const { position } = stateOf(id, item);
  if (position === goal || position === 'other') return [];
  const sides = [sideOf(id, item, 'old'), sideOf(id, item, 'new')];
  const wholes = sides.flatMap(({ whole, wholeState }) =>
    wholeState === undefined ? [] : [whole],
  );
  const to = sideOf(id, item, goal);
  const next = to.main !== undefined && !to.files.some(hasContent) ? [to.main] : [];
  const hasJournal = sizeOf(`${live}-journal`) > 0;
  const all = [...(position === 'missing' || hasJournal ? [] : [live]), ...wholes, ...next];
  // Under two names it is still one file, with one lock.
  const byFile = new Map(
    all.filter((path) => existsSync(path)).map((path) => [fileIdentity(path), path]),
  );
  return [...byFile.values()];
}

function hiddenHolder(path: string): BackupError {
  return inUse(path, `${path} is locked by a program that cannot be seen from here.`, {});
}

const patienceMs = 10_000;
const betweenLooksMs = 200;

function watchFor({
  ignoreHolders,
  besides,
  remarks = [],
}: {
  ignoreHolders: boolean;
  besides?: number | undefined;
  remarks?: Finding[];
}): Watch {
  return {
    isHeld: ignoreHolders,
    requireFree(paths) {
      if (!ignoreHolders) requireFree(paths, { probe: false, besides });
    },
    waitForDeleted(path) {
      const look = (): ReturnType<typeof findHolders>['holders'] =>
        findHolders([`${path} (deleted)`]).holders.filter(({ pid }) => pid !== besides);
      let left = look();
      for (const end = Date.now() + patienceMs; left.length > 0 && Date.now() < end; left = look())
        pause(betweenLooksMs);
      if (left.length === 0) return;
      const programs = left.map(({ name, pid }) => `${name} (pid ${pid})`).join(', ');
      remarks.push({
        code: 'restart',
        message: `${programs} opened ${path} while it was replaced and still uses the previous file. Restart it now: what it writes is lost, or damages the database.`,
      });
    },
  };
}

/** From here on the new state is complete: what cannot be tidied up is a remark. */
function finishOff(intent: Intent): Finding[] {
  try {
    const remarks = intent.items.flatMap(dropFrom);
    dropIntent(intent);
    return remarks;
  } catch (error) {
    const { message } = explain(error, 'target', intent.folders[0] ?? '');
    return [
      {
        code: 'leftover',
        message: `Everything is in place, but a temporary file of the restore could not be removed: ${message}`,
      },
    ];
  }
}

/** Brings all items back and returns the error to throw: the cause, or that going back failed as well. */
function rollBack(intent: Intent, error: unknown, watch: Watch): BackupError {
  const [folder = ''] = intent.folders;
  const cause = explain(error, 'target', folder);
  try {
    bringBack(intent, watch);
    return cause;
  } catch (failure) {
    const { message } = explain(failure, 'target', folder);
    return new BackupError(
      'incomplete',
      `${cause.message} The previous state could not be brought back at once: ${message}`,
      {
        path: folder,
        hint: `Nothing is lost. Recover it: sqlite-backup restore --recover ${JSON.stringify(folder)}`,
        facts: { reason: cause.code },
        cause: failure,
      },
    );
  }
}

function bringBack(intent: Intent, watch: Watch): Finding[] {
  const remarks = intent.items.toReversed().flatMap((item): Finding[] => {
    const state = stateOf(intent.id, item);
    // Going back would lose what the program has written. A recovery keeps that as well.
    if (liveOf(state) === 'new' && state.isUsed) throw changedMeanwhile(livePath(item));
    const stays = staysAsItIs(state, 'old');
    keepFrom(intent.id, item);
    if (!stays) settle(intent.id, item, 'old', watch);
    return stays && state.position !== 'old' ? stayed(item, state) : dropSetAside(item);
  });
  dropIntent(intent);
  return remarks;
}

/** Nothing is removed where a program has written meanwhile. */
function stayed(item: IntentItem, state: ItemState): Finding[] {
  const [live, kept] = [livePath(item), setAsidePath(item)];
  const what =
    liveOf(state) === 'old'
      ? `${live} is the previous database with later changes by a program. It is left as it is`
      : `${live} is neither the previous nor the restored database. It is left as it is`;
  const message = kept === undefined ? `${what}.` : `${what}, and so is ${kept}.`;
  return [{ code: 'other', message }];
}
