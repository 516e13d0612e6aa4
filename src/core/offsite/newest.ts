/** Which backups and copies are the newest, also where a clock was wrong. Pure. */
import { inLineage } from '../manifest/lineage.ts';
import type { Remote } from './driver.ts';
import { isFuture } from './due.ts';

/** Newest first, by the order in which one machine made them. */
export function inOrder(copies: readonly Remote[]): Remote[] {
  return inLineage(copies.map((copy) => ({ ...copy, path: copy.name, copy }))).map(
    ({ copy }) => copy,
  );
}

/**
 * The newest of each group, which is what is sent, listed and proved. Where it is dated in the future, the clock of the
 * machine that made it may have been ahead, and the newest of the past is the newest in truth: both count.
 *
 * @param all Newest first.
 */
export function newestOfGroups<T extends { createdAt: string }>(
  all: readonly T[],
  groupOf: (one: T) => string,
  now: number,
): T[] {
  return [...Map.groupBy(all, groupOf).values()].flatMap((group) => {
    const past = group.find(({ createdAt }) => !isFuture(createdAt, now));
    return [...new Set([group[0], past])].filter((one) => one !== undefined);
  });
}

/** @param all Newest first. */
export function newestOfEachDatabase(all: readonly Remote[], now: number): Remote[] {
  return newestOfGroups(all, ({ database, name }) => database ?? name, now);
}
