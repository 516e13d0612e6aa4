/** Which backups stay because rows were lost after them. */
import { basename } from 'node:path';
import { inLineage, timeOf } from '../manifest/lineage.ts';
import { openLosses } from '../manifest/loss.ts';
import type { Released } from '../manifest/manifest.ts';
import { type Candidate, isAhead } from './candidate.ts';

/**
 * The last backup before each loss of rows that no person has released stays, and so does the newest one that tells of the
 * loss. What is damaged or dated in the future has no say.
 */
export function protectedByLoss(backups: readonly Candidate[], now: Date): Map<Candidate, string> {
  const past = inLineage(
    backups.filter((one) => !one.foreign && one.verified !== 'damaged' && !isAhead(one, now)),
  );
  const holders = new Map<string, Candidate[]>();
  for (const one of past) {
    for (const database of one.databases ?? []) {
      const known = holders.get(database);
      if (known === undefined) holders.set(database, [one]);
      else known.push(one);
    }
  }
  // A backup has no say about databases that are not in it.
  const own = <T extends Released>({ databases = [] }: Candidate, some: readonly T[] = []): T[] =>
    some.filter(({ database }) => databases.includes(database));
  const open = openLosses(
    past.flatMap((one) => own(one, one.losses)),
    past.flatMap((one) => own(one, one.released)),
  );
  const reasons = new Map<Candidate, string>();
  for (const loss of open) {
    const some = holders.get(loss.database) ?? [];
    const since = timeOf(loss.since);
    const before =
      some.find(({ createdAt }) => timeOf(createdAt) === since) ??
      some.find(({ createdAt }) => timeOf(createdAt) <= since);
    if (before === undefined) continue;
    const teller = past.find(({ losses = [] }) => losses.includes(loss)) ?? before;
    if (!reasons.has(teller)) reasons.set(teller, `reports lost rows in ${loss.table}`);
    reasons.set(before, `last backup before rows of ${loss.table} were lost`);
  }
  for (const unreadable of backups.filter((one) => one.unreadable && !isAhead(one, now)))
    for (const some of holders.values()) protectBefore(unreadable, some, reasons);
  return reasons;
}

/** What cannot be read may tell of a loss: the last one before it stays. Its name tells no more than the second. */
function protectBefore(
  { createdAt, path }: Candidate,
  some: readonly Candidate[],
  reasons: Map<Candidate, string>,
): void {
  const begin = timeOf(createdAt);
  for (const one of some) {
    if (timeOf(one.createdAt) >= begin + 1000) continue;
    reasons.set(one, `the newer ${basename(path)} cannot be read now`);
    if (timeOf(one.createdAt) < begin) return;
  }
}
