/** The order in which the backups of a database were made. Pure: no file is looked at. */
import { sequenceOf } from './names.ts';

export interface Dated {
  path: string;
  /** ISO 8601. */
  createdAt: string;
  /** The clock went back: a backup that was there already is dated so much later. */
  after?: string | undefined;
}

/** In ms since 1970. A time that cannot be read counts as the future, which is always kept. */
export function timeOf(iso: string): number {
  const time = Date.parse(iso);
  return Number.isNaN(time) ? Infinity : time;
}

/** Newest first, by the order in which they were made, and not by a clock that has gone back meanwhile. */
export function inLineage<T extends Dated>(backups: readonly T[]): T[] {
  const keyed = backups.map((backup) => {
    const created = timeOf(backup.createdAt);
    const after = backup.after === undefined ? -Infinity : timeOf(backup.after);
    return { backup, created, latest: Math.max(created, after), isAfter: after >= created };
  });
  const byDescending = (a: number, b: number): number => (a === b ? 0 : a < b ? 1 : -1);
  return keyed
    .sort(
      (a, b) =>
        byDescending(a.latest, b.latest) ||
        Number(b.isAfter) - Number(a.isAfter) ||
        byDescending(a.created, b.created) ||
        sequenceOf(b.backup.path) - sequenceOf(a.backup.path) ||
        (a.backup.path < b.backup.path ? 1 : -1),
    )
    .map(({ backup }) => backup);
}

/** The latest time that any of these backups knows of; -Infinity when there is none. */
export function latestOf(backups: readonly Dated[]): number {
  return Math.max(
    ...backups.map(({ createdAt, after }) =>
      Math.max(timeOf(createdAt), after === undefined ? -Infinity : timeOf(after)),
    ),
  );
}
