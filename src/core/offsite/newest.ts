/** Which copies are the newest, also where a clock was wrong. */
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
 * The newest copy of each database. Where it is dated in the future, the clock of the machine that sent it may have been
 * ahead, and the newest of the past is the newest in truth: both count.
 *
 * @param all Newest first.
 */
export function newestOfEach(all: readonly Remote[], now: number): Remote[] {
  return [...Map.groupBy(all, ({ database, name }) => database ?? name).values()].flatMap(
    (copies) => {
      const past = copies.find(({ createdAt }) => !isFuture(createdAt, now));
      return [...new Set([...copies.slice(0, 1), ...(past === undefined ? [] : [past])])];
    },
  );
}
