/** Keeping backups in order: note, pin, rename, and removal. Only pairs of ours are ever changed. */
import { chmodSync, lstatSync, renameSync, unlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BackupError, explain } from '../errors.ts';
import { copyWhole } from '../files/copying.ts';
import { lstatIfAny, resolveRegularFile } from '../files/paths.ts';
import { linkWithoutOverwriting } from '../files/publish.ts';
import { syncFolder } from '../files/sync.ts';
import { makePrivateFolder } from '../files/workplace.ts';
import type { BundleManifest, Manifest } from '../manifest/manifest.ts';
import { readManifestOf, removePair, updateManifest } from '../manifest/manifestFile.ts';
import { manifestNameOf, requireBareName } from '../manifest/names.ts';
import type { Candidate } from './candidate.ts';
import { type CatalogEntry, listBackups } from './catalog.ts';
import { protectedByLoss } from './protection.ts';
import { planRetention, type Policy, type RetentionPlan } from './retention.ts';

const longestNote = 2000;

/** What a person may say of a backup. An empty note takes the note away. */
export interface Remark {
  pinned?: boolean;
  note?: string;
}

/** Writes a remark into the manifest of a backup and returns the manifest as it is now. */
export function remarkOn(backup: string, remark: Remark): Manifest | BundleManifest {
  const { path } = requireOwn(backup);
  const note = remark.note?.trim().slice(0, longestNote);
  updateManifest(path, {
    ...(note !== undefined && { note: note === '' ? undefined : note }),
    ...(remark.pinned !== undefined && { pinned: remark.pinned ? true : undefined }),
  });
  return requireOwn(path).manifest;
}

/** Gives a backup and its manifest another bare name in the same folder. Returns the new path. */
export function renameBackup(backup: string, name: string): string {
  const { path } = requireOwn(backup);
  const target = join(dirname(path), requireBareName(name));
  for (const taken of [target, manifestNameOf(target)]) {
    if (lstatSync(taken, { throwIfNoEntry: false }) !== undefined) throw nameTaken(name, taken);
  }
  try {
    // Where there are no hard links, the file has one name only, which is the new one then.
    const hasMoved = linkWithoutOverwriting(path, target) === 'claimed';
    try {
      renameSync(manifestNameOf(path), manifestNameOf(target));
    } catch (error) {
      if (hasMoved) linkWithoutOverwriting(target, path);
      else unlinkSync(target);
      throw error;
    }
    if (!hasMoved) unlinkSync(path);
    syncFolder(dirname(target));
    return target;
  } catch (error) {
    throw explain(error, 'target', target);
  }
}

function nameTaken(name: string, path: string): BackupError {
  return new BackupError('name-taken', `A backup named ${name} already exists.`, {
    path,
    hint: 'Choose another name: backups are never overwritten.',
  });
}

export function requireOwn(backup: string): { path: string; manifest: Manifest | BundleManifest } {
  const path = resolveRegularFile(backup);
  const parsed = readManifestOf(path);
  if (parsed?.kind === 'manifest' || parsed?.kind === 'bundle')
    return { path, manifest: parsed.manifest };
  throw new BackupError(
    parsed?.kind === 'newer' ? 'newer-format' : 'access',
    parsed?.kind === 'newer'
      ? `${path} was made by a newer version, so this one does not change it.`
      : `${path} was not made by SQLite Backup, so it is not changed.`,
    { path, hint: 'Only backups whose details this version can read can be changed.' },
  );
}

/** Copies a backup to a path that is free, synced and in one step; `readOnly` takes all writing permissions away. */
export function copyOut(backup: string, to: string, { readOnly }: { readOnly: boolean }): string {
  const path = resolveRegularFile(backup);
  const scratch = makePrivateFolder(dirname(to));
  try {
    const copy = join(scratch.path, 'copy.db');
    copyWhole(path, copy, { place: dirname(to) });
    if (readOnly) chmodSync(copy, 0o400);
    linkWithoutOverwriting(copy, to);
    syncFolder(dirname(to));
    return to;
  } catch (error) {
    throw explain(error, 'target', to);
  } finally {
    scratch.remove();
  }
}

/** Decides what of a folder may go, or of the groups `only` in it. Removes nothing. */
export function planPruning(
  folder: string,
  policy: Policy,
  now: Date,
  only?: readonly string[],
): RetentionPlan {
  const candidates = listBackups(folder).map(candidateOf);
  const plan = planRetention(candidates, policy, now);
  if (only === undefined) return plan;
  const groups = new Set(only);
  const asked = new Set(
    candidates.flatMap(({ path, group }) => (group !== undefined && groups.has(group) ? path : [])),
  );
  return {
    keep: plan.keep.filter(({ path }) => asked.has(path)),
    remove: plan.remove.filter(({ path }) => asked.has(path)),
  };
}

/** Why backups in a folder stay whatever the rules say, by the SHA-256 of their bytes. */
export function heldIn(folder: string, now: Date): Map<string, string> {
  const entries = listBackups(folder);
  const candidates = entries.map(candidateOf);
  const reasons = protectedByLoss(candidates, now);
  return new Map(
    entries.flatMap(({ kept }, index) => {
      const candidate = candidates[index];
      if (kept === undefined || candidate === undefined) return [];
      const reason = candidate.pinned ? 'pinned' : reasons.get(candidate);
      return reason === undefined ? [] : [[kept.sha256, reason] as const];
    }),
  );
}

function candidateOf(entry: CatalogEntry): Candidate {
  const { path, group, createdAt, after, sizeBytes, kept, bundle } = entry;
  // A bundle that lacks something is not the good one that the rules have to leave.
  const isWhole = bundle?.complete !== false || entry.verified !== 'ok';
  const verified = isWhole ? entry.verified : 'partial';
  return {
    ...{ path, group, createdAt, after, sizeBytes, verified },
    pinned: kept?.pinned === true,
    foreign: kept === undefined,
    unreadable: entry.unreadable !== undefined,
    databases: databasesIn(entry),
    losses: kept?.losses ?? [],
    released: kept?.released ?? [],
  };
}

/** The ids of the databases in a backup, as far as they are known. */
export function databasesIn({ group, bundle }: CatalogEntry): string[] {
  if (bundle === undefined) return group === undefined ? [] : [group];
  return bundle.databases.flatMap(({ id }) => id ?? []);
}

export interface Pruned {
  removed: string[];
  failures: { path: string; message: string }[];
}

/**
 * Removes the backups at `paths`, each with its manifest, as long as they are what the plan was about: ours, directly in
 * `folder`, and not pinned meanwhile, nor the last of a branch since then. One that cannot be removed is reported, and the
 * others go on. `at` is for tests.
 */
export function removeBackups(
  folder: string,
  paths: readonly string[],
  at: (step: 'listed' | 'aside', path: string) => void = () => undefined,
): Pruned {
  const result: Pruned = { removed: [], failures: [] };
  const own = new Map(listBackups(folder).map((entry) => [entry.path, entry]));
  for (const path of paths) {
    const entry = own.get(path);
    try {
      if (entry?.kept === undefined || entry.kept.pinned) {
        const message = entry?.unreadable ?? `${path} is not a backup that may be removed.`;
        throw new BackupError('access', message, { path });
      }
      at('listed', path);
      if (!removeUnlessHeld(path, at)) throw heldMeanwhile(path);
      result.removed.push(path);
    } catch (error) {
      // The manifest alone is left then, which is nothing without its backup.
      if (isGone(path)) result.removed.push(path);
      result.failures.push({ path, message: explain(error, 'target', path).message });
    }
  }
  try {
    if (result.removed.length > 0) syncFolder(folder);
  } catch (error) {
    const { message } = explain(error, 'target', folder);
    result.failures.push({ path: folder, message: `After the removal: ${message}` });
  }
  return result;
}

/**
 * The backup leaves its name before its manifest is read: what another window writes there until then is seen, and what
 * comes later finds no backup, which is told there.
 */
function removeUnlessHeld(path: string, at: (step: 'aside', path: string) => void): boolean {
  if (isHeld(path)) return false;
  const scratch = makePrivateFolder(dirname(path));
  const aside = join(scratch.path, 'aside');
  try {
    renameSync(path, aside);
    at('aside', path);
  } catch (error) {
    scratch.remove();
    throw error;
  }
  // Where that fails, the private folder stays with what is in it.
  const putBack = (): void => {
    linkWithoutOverwriting(aside, path);
    scratch.remove();
  };
  if (isHeld(path)) {
    putBack();
    return false;
  }
  try {
    removePair(path, aside);
  } catch (error) {
    if (isGone(aside)) scratch.remove();
    else putBack();
    throw error;
  }
  scratch.remove();
  return true;
}

function isHeld(path: string): boolean {
  const parsed = readManifestOf(path);
  if (parsed === undefined) return false;
  if (parsed.kind === 'bundle') return parsed.manifest.pinned === true;
  if (parsed.kind !== 'manifest') return true;
  const { pinned, branches = [] } = parsed.manifest;
  return pinned === true || branches.length > 0;
}

function heldMeanwhile(path: string): BackupError {
  return new BackupError(
    'access',
    `${path} is pinned now, or the last state of a branch, so it stays.`,
    { path },
  );
}

function isGone(path: string): boolean {
  try {
    return lstatIfAny(path) === undefined;
  } catch {
    return false;
  }
}
