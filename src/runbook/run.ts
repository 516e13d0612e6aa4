/** What is remembered of one restore: enough to go on after the window was closed, crashed or reloaded. */
import type { MovedAside, Restored } from '../core/restore/apply.ts';
import type { RestorePlan } from '../core/restore/plan.ts';
import { type LogEntry, type StepId, stepIds } from '../core/runbook/runbook.ts';

export interface RunItem {
  /** The name inside a bundle. */
  member?: string;
  /** Absolute path of the live database. */
  live: string;
  chosen: boolean;
}

/** `elsewhere`: by another window, the command line or by hand, and how is not known. */
export type Ending = 'kept' | 'archived' | 'deleted' | 'undone' | 'elsewhere';

export interface Run {
  id: string;
  /** Absolute. */
  backup: string;
  items: RunItem[];
  /** `beside`: a new file, and nothing that exists is touched. */
  destination: 'undecided' | 'beside' | 'live';
  /** The new files, one for each chosen item, when the destination is `beside`. */
  besides?: string[];
  /** ISO 8601. */
  startedAt: string;
  /** What the restore over the live database was to change, as it stood before the first step that changed something. */
  planned?: RestorePlan;
  done: Partial<Record<StepId, { at: string; how: 'done' | 'confirmed' }>>;
  log: LogEntry[];
  moved?: MovedAside;
  /** The copy into place was begun, and how it ended is not known: the disk may be in between. */
  isCopying?: boolean;
  restored?: Restored;
  /** Set-asides that were not made by this page's own steps: by hand, or while an interruption was dealt with. */
  alsoKept?: { path: string; target: string }[];
  /** Set-asides that an undo has put back, of several. */
  putBack?: string[];
  /** Processes that the person lets go on although they have a database open. */
  accepted?: number[];
  /** Names of the programs that had a database open before they were stopped. */
  programs?: string[];
  /** The backup is damaged, and the person wants it as it is, in a new file. */
  acceptsDamaged?: boolean;
  /** Deleted files that programs have open, by their `key`, which were saved or which the person does not want. */
  settled?: string[];
  /** Ids of the spot checks that the person has ticked. */
  ticked: string[];
  ending?: Ending;
}

export function newRun(id: string, backup: string, items: RunItem[], now: Date): Run {
  return {
    ...{ id, backup, items, destination: 'undecided' },
    ...{ startedAt: now.toISOString(), done: {}, log: [], ticked: [] },
  };
}

/** The steps that this restore has: a new file beside replaces nothing, so nothing has to be stopped or moved. */
export function stepsOf({ destination }: Run): readonly StepId[] {
  return destination === 'beside' ? ['plan', 'copy', 'verify'] : stepIds;
}

/** The first step that is not done; undefined when all are. */
export function currentStep(run: Run): StepId | undefined {
  return run.ending === undefined
    ? stepsOf(run).find((step) => run.done[step] === undefined)
    : undefined;
}

/** True from the first change on disk until the person has cleaned up. */
export function isUnderWay(run: Run): boolean {
  const isMoved = run.moved !== undefined || run.done.move !== undefined;
  return run.ending === undefined && (isMoved || (isCopied(run) && run.destination === 'live'));
}

/** True once the backup is under the live names, or in its new files. */
export function isCopied({ restored, done }: Run): boolean {
  return restored !== undefined || done.copy !== undefined;
}

export interface Kept {
  /** Of the set-aside. */
  path: string;
  /** The file that it was, behind symbolic links. */
  realTarget: string;
  /** The same as it was asked for, where that is known. */
  target: string;
  member?: string;
}

/** The previous databases that were kept, whether they still exist or not. */
export function keptOf({ restored, moved, alsoKept = [], items: asked }: Run): Kept[] {
  const own = ((restored ?? moved)?.items ?? []).flatMap(
    ({ setAside, realTarget, target, member }): Kept[] =>
      setAside === undefined
        ? []
        : [{ path: setAside, realTarget, target, ...(member !== undefined && { member }) }],
  );
  const targets = new Set(own.map(({ realTarget }) => realTarget));
  const others = alsoKept
    .filter(({ target }) => !targets.has(target))
    .map(({ path, target }): Kept => {
      const member = asked.find(({ live }) => live === target)?.member;
      return { path, realTarget: target, target, ...(member !== undefined && { member }) };
    });
  return [...own, ...others];
}

export function setAsidesOf(run: Run): string[] {
  return keptOf(run).map(({ path }) => path);
}
