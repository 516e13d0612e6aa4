/** The backups of a database that are in a folder already: what the next one is compared with. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { statIfAny } from '../files/paths.ts';
import { inLineage, latestOf, timeOf } from './lineage.ts';
import { findLosses, type KnownTables, lostRows, openLosses, tableKey } from './loss.ts';
import {
  type BundleManifest,
  longestManifestBytes,
  type Manifest,
  parseManifest,
  type RecordedLoss,
  type Released,
} from './manifest.ts';
import { removePair } from './manifestFile.ts';
import { isSuspectName, manifestNameOf, timestampIn } from './names.ts';

export interface Earlier {
  path: string;
  manifest: Manifest | BundleManifest;
}

/** So many backups of a database are looked at when none of them has a count of its rows. */
const mostUncounted = 20;

/**
 * The newest backups in `folder` of each of the databases `ids`, newest first: back to the first good one that has counted
 * rows. A backups folder may hold thousands, on a slow disk. What cannot be read is left out.
 */
export function earlierBackups(folder: string, ids: ReadonlySet<string>, now: Date): Earlier[] {
  const found: (Earlier & { createdAt: string; after?: string | undefined })[] = [];
  if (ids.size === 0) return [];
  const names = readdirSync(folder);
  const present = new Set(names);
  const missing = new Map([...ids].map((id) => [id, mostUncounted]));
  let time = '';
  for (const name of newestNameFirst(names.filter((one) => present.has(manifestNameOf(one))))) {
    // Those of the same second are not in order.
    if (missing.size === 0 && (timestampIn(name) ?? '') !== time) break;
    time = timestampIn(name) ?? '';
    const path = join(folder, name);
    const manifest = readManifestWith(manifestNameOf(path), ids);
    if (manifest === undefined) continue;
    found.push({ path, manifest, createdAt: manifest.createdAt, after: manifest.after });
    for (const [id, most] of missing) {
      if (tablesIn(manifest, id) === undefined) continue;
      const isGood = manifest.verdict.status !== 'damaged' && timeOf(manifest.createdAt) <= +now;
      if ((isGood && isCounted(manifest, id)) || most === 1) missing.delete(id);
      else if (isGood) missing.set(id, most - 1);
    }
  }
  return inLineage(found).map(({ path, manifest }) => ({ path, manifest }));
}

/** By the time in the names; those that a person has given come first. */
function newestNameFirst(names: readonly string[]): string[] {
  const keyed = names.map((name) => ({ name, time: timestampIn(name) ?? '~' }));
  keyed.sort((a, b) => (a.time < b.time ? 1 : a.time > b.time ? -1 : 0));
  return keyed.map(({ name }) => name);
}

/** What a manifest tells of the tables of one database; undefined when it is not of that. */
export function tablesIn(
  manifest: Manifest | BundleManifest,
  id: string,
): Pick<Manifest, 'tables' | 'tablesOmitted'> | undefined {
  if (manifest.kind === 'snapshot') return manifest.source.id === id ? manifest : undefined;
  return manifest.entries.find((entry) => entry.kind === 'database' && entry.source.id === id) as
    | Pick<Manifest, 'tables' | 'tablesOmitted'>
    | undefined;
}

function readManifestWith(
  path: string,
  ids: ReadonlySet<string>,
): Manifest | BundleManifest | undefined {
  try {
    const size = statIfAny(path)?.size ?? Infinity;
    // A bundle of very many files is not worth the time.
    if (size > longestManifestBytes) return undefined;
    const text = readFileSync(path, 'utf8');
    // Most are of other databases: to look only for the ids takes a fraction of the time.
    const isOfOne = [...text.matchAll(/"id": ?"([^"]+)"/g)].some(([, id = '']) => ids.has(id));
    if (!isOfOne) return undefined;
    const parsed = parseManifest(text);
    return parsed.kind === 'manifest' || parsed.kind === 'bundle' ? parsed.manifest : undefined;
  } catch {
    return undefined; // Gone meanwhile, or unreadable: then it cannot be compared with.
  }
}

/** Those that have the database `id`, newest first. */
export function thoseOf(earlier: readonly Earlier[], id: string | undefined): Earlier[] {
  if (id === undefined) return [];
  return earlier.filter(({ manifest }) => tablesIn(manifest, id) !== undefined);
}

/** What a new manifest says when the clock went back since one of these was made. */
export function afterOf(earlier: readonly Earlier[], createdAt: Date): { after?: string } {
  const latest = latestOf(earlier.map(({ path, manifest }) => ({ ...manifest, path })));
  return latest > createdAt.getTime() && Number.isFinite(latest)
    ? { after: new Date(latest).toISOString() }
    : {};
}

/**
 * Removes, of the copies of a damaged database, those between the first and a new one: two are enough, and a schedule would fill the
 * disk. What a person has pinned or written a note on stays.
 */
export function removeReplacedSuspects(earlier: readonly Earlier[]): void {
  const good = earlier.findIndex(({ manifest }) => manifest.verdict.status !== 'damaged');
  const sinceGood = good === -1 ? earlier : earlier.slice(0, good);
  const replaced = sinceGood
    .filter(({ path }) => isSuspectName(path))
    .slice(0, -1)
    .filter(({ manifest: { pinned, note } }) => pinned !== true && note === undefined);
  for (const { path } of replaced) {
    try {
      removePair(path);
    } catch {
      // It is gone already, or goes the next time: what is wrong with the database matters more.
    }
  }
}

/** A person reads no more than some, and each later backup tells them again. */
const mostLosses = 100;

/** What a new manifest says of the rows of the databases that it is of, and what it takes over from earlier ones. */
export function lossesSince(
  earlier: readonly Earlier[],
  at: Date,
  databases: readonly ({ id: string | undefined } & KnownTables)[],
): { losses?: RecordedLoss[]; released?: Released[] } {
  const losses: RecordedLoss[] = [];
  const released = new Map<string, Released>();
  for (const { id, ...now } of databases) {
    if (id === undefined) continue;
    const before = thoseOf(earlier, id);
    const ofDatabase = ({ database }: Released): boolean => database === id;
    for (const { manifest } of before)
      for (const one of manifest.released ?? [])
        if (ofDatabase(one)) released.set(tableKey(one), one);
    losses.push(...before.flatMap(({ manifest }) => (manifest.losses ?? []).filter(ofDatabase)));
    for (const since of comparable(before, id, at)) {
      const found = findLosses(tablesIn(since, id) ?? {}, now);
      losses.push(
        ...found.map((loss) => ({
          ...loss,
          ...{ database: id, since: since.createdAt, at: at.toISOString() },
        })),
      );
    }
  }
  const open = openLosses(losses, [...released.values()])
    .sort((a, b) => lostRows(b) - lostRows(a))
    .slice(0, mostLosses);
  return {
    ...(open.length > 0 && { losses: open }),
    ...(released.size > 0 && { released: [...released.values()] }),
  };
}

/**
 * The backups to compare with: the newest good one whose rows were counted. When the clock went back since that, also the
 * newest one of the past, because only that one can be kept from being removed; it comes first.
 */
function comparable(
  before: readonly Earlier[],
  id: string,
  at: Date,
): (Manifest | BundleManifest)[] {
  const counted = before
    .map(({ manifest }) => manifest)
    .filter((manifest) => manifest.verdict.status !== 'damaged' && isCounted(manifest, id));
  const ofThePast = counted.find(({ createdAt }) => timeOf(createdAt) <= at.getTime());
  return [...new Set([ofThePast, counted[0]])].filter((one) => one !== undefined);
}

function isCounted(manifest: Manifest | BundleManifest, id: string): boolean {
  return tablesIn(manifest, id)?.tables?.some(({ rows }) => rows !== undefined) === true;
}
