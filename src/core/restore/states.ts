/*
 * The states that a restore, an undo or their recovery can leave a database in. The disk tells which one it is; this table
 * says what each is called and what may be done next. The live name always leads to a whole database, in this order:
 *
 *   old        the file that was live, with its siblings
 *   old-whole  the same content as one file; its siblings are still there, or already removed
 *   new-whole  the content that is to be live as one file, while its siblings are put beside it (undo only)
 *   new        the file that is to be live, with its siblings
 *
 * A restore goes down, a roll-back goes up. `whole` files are only made where siblings have content; without such siblings
 * the file alone is the whole. `missing` and `other` are the work of other programs or people.
 */
import { existsSync, lstatSync } from 'node:fs';
import { sha256File } from '../files/digests.ts';
import { fileIdentity } from '../files/paths.ts';
import { type IntentItem, livePath, setAsidePath, stagedPath, wholePath } from './intent.ts';
import {
  type FileState,
  hasContent,
  isSame,
  isUnchanged,
  mainOf,
  type Part,
  sizeOf,
} from './parts.ts';

export type Position = 'old' | 'old-whole' | 'new-whole' | 'new' | 'missing' | 'other';
export type Goal = 'old' | 'new';
/** As the protocol has it. */
export type Live = 'old' | 'new' | 'missing' | 'other';

export interface ItemState {
  position: Position;
  /** A program has written to it since. */
  isUsed: boolean;
  /** Siblings with content that belong to the file under the live name and are not beside it. */
  lacks: Part[];
}

/** One of the two databases of an item: the one from before, or the restored one. */
export interface Side {
  goal: Goal;
  /** Where its file is kept under another name until all is done; undefined when there is none. */
  main: string | undefined;
  files: readonly FileState[];
  /** The whole of it as one file. */
  whole: string;
  wholeState: FileState | undefined;
}

export function sideOf(id: string, item: IntentItem, goal: Goal): Side {
  const isOld = goal === 'old';
  const files = isOld ? item.old : (item.staged ?? []);
  const main = isOld ? setAsidePath(item) : stagedPath(id, item);
  return {
    goal,
    main: mainOf(files) === undefined ? undefined : main,
    files,
    whole: wholePath(id, item, goal),
    wholeState: isOld ? item.wholeOld : item.wholeNew,
  };
}

/** Where the kept siblings of a side are, also of one without a file. */
export function keptBase(id: string, item: IntentItem, goal: Goal): string | undefined {
  return goal === 'old' ? setAsidePath(item) : stagedPath(id, item);
}

export function stateOf(id: string, item: IntentItem): ItemState {
  const position = positionOf(id, item);
  if (position === 'missing' || position === 'other')
    return { position, isUsed: position === 'other', lacks: [] };
  const live = livePath(item);
  const goal = position.startsWith('old') ? 'old' : 'new';
  const { files, wholeState } = sideOf(id, item, goal);
  const isWhole = position.endsWith('whole');
  const was = isWhole ? wholeState : mainOf(files);
  const kept = keptBase(id, item, goal);
  const isMainUsed = was !== undefined && !isAsItWas(live, was);
  const known = files.filter(hasContent);
  const isUsed =
    isMainUsed ||
    (['-wal', '-journal'] as const).some((part) => {
      if (sizeOf(live + part) === 0) return false;
      const one = known.find((file) => file.part === part);
      return one === undefined || !isKnown(live + part, one, kept);
    });
  const lacks = isWhole
    ? []
    : known.flatMap(({ part }) => (sizeOf(live + part) === 0 ? [part] : []));
  return { position, isUsed, lacks };
}

function positionOf(id: string, item: IntentItem): Position {
  const live = livePath(item);
  const stats = lstatSync(live, { throwIfNoEntry: false });
  if (stats === undefined) return 'missing';
  const [old, staged] = [mainOf(item.old), mainOf(item.staged ?? [])];
  // Nothing of its own: a name that was taken for a file to come, or a program that has only opened it.
  if (old === undefined && stats.size === 0) return 'missing';
  const identity = item.byContent === true ? undefined : fileIdentity(live);
  for (const [position, file] of [
    ['new', staged],
    ['old', old],
    ['old-whole', item.wholeOld],
    ['new-whole', item.wholeNew],
  ] as const)
    if (identity !== undefined && file?.identity === identity) return position;
  const candidates = (
    [
      ['new', staged],
      ['old', old],
      ['old-whole', item.wholeOld],
      ['new-whole', item.wholeNew],
    ] as const
  ).filter(([, file]) => file?.sha256 !== undefined && file.sizeBytes === stats.size);
  if (candidates.length > 0) {
    const sha256 = sha256File(live);
    const found = candidates.find(([, file]) => file?.sha256 === sha256);
    if (found !== undefined) return found[0];
  }
  const kept = keptBase(id, item, 'old');
  return old !== undefined && kept !== undefined && isSame(live, kept) ? 'old' : 'other';
}

/** True when no program has written to the file since its state was taken, or what it has is the same. */
export function isAsItWas(path: string, was: FileState): boolean {
  if (isUnchanged(path, was)) return true;
  return (
    was.sha256 !== undefined && sizeOf(path) === was.sizeBytes && sha256File(path) === was.sha256
  );
}

/** A sibling that was there before, or that a roll-back has put there again. */
function isKnown(path: string, was: FileState, kept: string | undefined): boolean {
  if (isAsItWas(path, was)) return true;
  if (kept === undefined || !existsSync(kept + was.part)) return false;
  // One file under two names follows what is written to it, so that they are equal proves nothing.
  return (
    fileIdentity(path) !== fileIdentity(kept + was.part) &&
    sizeOf(kept + was.part) === was.sizeBytes &&
    isSame(path, kept + was.part)
  );
}

export function liveOf({ position }: Pick<ItemState, 'position'>): Live {
  switch (position) {
    case 'old':
    case 'old-whole':
      return 'old';
    case 'new':
    case 'new-whole':
      return 'new';
    case 'missing':
    case 'other':
      return position;
  }
}

type Action = 'restore' | 'undo';

/** What the two databases of an item are called. */
const names: Readonly<Record<Action, Readonly<Record<Goal, string>>>> = {
  restore: { old: 'the previous database', new: 'the restored database' },
  undo: { old: 'the database from before the undo', new: 'the previous database' },
};

/** What is under the live name, for a person. */
export function wordsFor(action: Action, { position, isUsed, lacks }: ItemState): string {
  const name = names[action];
  const since = isUsed ? ', and a program has changed it since' : '';
  switch (position) {
    case 'old':
    case 'new': {
      if (lacks.length === 0 || isUsed) return `${name[position]} is live${since}`;
      return `${name[position]} is live without its ${lacks.join(' and ')}, which is kept`;
    }
    case 'old-whole':
    case 'new-whole':
      return `a complete copy of ${name[position === 'old-whole' ? 'old' : 'new']} is live${since}`;
    case 'missing':
      return 'there is no file under this name';
    case 'other':
      return `another file is live: neither ${name.old} nor ${name.new} as it was`;
  }
}

/** Why an item cannot be brought to `new`; undefined when it can. */
export function obstacleToFinish(
  { position, isUsed }: ItemState,
  live: string,
): string | undefined {
  if (position === 'new' || position === 'new-whole' || !isUsed) return undefined;
  return `It cannot be finished, because ${live} was changed after it stopped. Roll it back, then restore again.`;
}

/** True when the live file stays as it is on the way to `goal`, because more than the kept files is in it by now. */
export function staysAsItIs({ position, isUsed }: ItemState, goal: Goal): boolean {
  if (position === 'other') return true;
  return isUsed && liveOf({ position }) === goal;
}
