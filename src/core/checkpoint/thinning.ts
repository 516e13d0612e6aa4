/** Which checkpoints stay: all of the last two hours, one an hour for a day, one a day for a week, within a cap. */
import { removeBackups } from '../catalog/keeping.ts';
import { diskUseOf } from './diskUse.ts';
import { type StoredCheckpoint, storedIn } from './store.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

export interface ThinningOptions {
  /** Of the disk, for all together. */
  largestTotalBytes: number;
  now: Date;
}

/** Removes what no rule keeps. Trouble with that is left for the next time. */
export function thin(folder: string, options: ThinningOptions): void {
  const goes = planThinning(storedIn(folder), options).map(({ path }) => path);
  if (goes.length > 0) removeBackups(folder, goes);
}

/** Those that may go, oldest first. Never the newest usable one of a database, a pinned one, the last of a branch, or one before lost rows. */
export function planThinning(
  stored: readonly StoredCheckpoint[],
  { largestTotalBytes, now }: ThinningOptions,
): StoredCheckpoint[] {
  const goes = new Set<StoredCheckpoint>();
  const protectedOnes = new Set<StoredCheckpoint>();
  for (const ofOne of Map.groupBy(stored, ({ manifest: { source } }) => source.id ?? '').values()) {
    // Without an identity nothing is known of whose it is.
    if (ofOne[0]?.manifest.source.id === undefined) for (const one of ofOne) protectedOnes.add(one);
    for (const one of protectedIn(ofOne, now)) protectedOnes.add(one);
    const slots = new Set<string>();
    // Newest first: the last one of an hour or a day stays. A damaged one takes the place of no good one.
    for (const one of ofOne) {
      const slot = slotOf(one, now);
      if (slot === undefined) continue;
      const place = one.isUsable ? slot : `${slot}, damaged`;
      if (slot === 'old' || slots.has(place)) goes.add(one);
      slots.add(place);
    }
  }
  const used = isOver(stored, largestTotalBytes) ? diskUseOf(stored) : new Map<string, number>();
  const sizeOf = ({ path, diskBytes }: StoredCheckpoint): number => used.get(path) ?? diskBytes;
  let total = stored.reduce((sum, one) => sum + sizeOf(one), 0);
  const oldestFirst = stored.toReversed().filter((one) => !protectedOnes.has(one));
  for (const one of oldestFirst) if (goes.has(one)) total -= sizeOf(one);
  for (const one of oldestFirst) {
    if (total <= largestTotalBytes) break;
    if (goes.has(one)) continue;
    goes.add(one);
    total -= sizeOf(one);
  }
  return oldestFirst.filter((one) => goes.has(one));
}

/** Only then is it worth asking which blocks are shared. */
function isOver(stored: readonly StoredCheckpoint[], largestTotalBytes: number): boolean {
  return stored.reduce((sum, { diskBytes }) => sum + diskBytes, 0) > largestTotalBytes;
}

function protectedIn(ofOne: readonly StoredCheckpoint[], now: Date): StoredCheckpoint[] {
  const isPast = ({ manifest }: StoredCheckpoint): boolean =>
    Date.parse(manifest.createdAt) <= now.getTime();
  // One that is dated in the future, because a clock was ahead, takes the place of no other.
  const newest = ofOne.find((one) => isPast(one) && one.isUsable);
  const beforeLoss = ofOne.filter((_one, index) => {
    const next = ofOne[index - 1]?.manifest;
    return next?.losses?.some(({ at }) => at === next.createdAt) === true;
  });
  const pinned = ofOne.filter(
    ({ manifest }) => manifest.pinned === true || (manifest.branches ?? []).length > 0,
  );
  const ahead = ofOne.filter((one) => !isPast(one));
  return [...(newest === undefined ? [] : [newest]), ...beforeLoss, ...pinned, ...ahead];
}

/** One that was taken while the clock was back is as young as the one before it. */
function takenAt({ createdAt, after }: StoredCheckpoint['manifest'], now: Date): number {
  const earliest = after === undefined ? -Infinity : Math.min(Date.parse(after), now.getTime());
  return Math.max(Date.parse(createdAt), earliest);
}

/** Undefined for what stays in any case because of its age. */
function slotOf({ manifest }: StoredCheckpoint, now: Date): string | undefined {
  const at = takenAt(manifest, now);
  const age = now.getTime() - at;
  if (age < 2 * hourMs) return undefined;
  if (age < dayMs) return `hour ${Math.floor(at / hourMs)}`;
  if (age < 7 * dayMs) return `day ${Math.floor(at / dayMs)}`;
  return 'old';
}
