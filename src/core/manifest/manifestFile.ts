/** Manifests on disk: a backup and its manifest are published, read and changed as a pair. */
import { randomBytes } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, renameSync, rmSync, unlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BackupError, explain } from '../errors.ts';
import { statIfAny } from '../files/paths.ts';
import { linkWithoutOverwriting, writePrivateFile } from '../files/publish.ts';
import { siblingSuffixes } from '../files/siblingNames.ts';
import { syncFile, syncFolder } from '../files/sync.ts';
import { makePrivateFolder } from '../files/workplace.ts';
import {
  type BundleManifest,
  longestBundleManifestBytes,
  longestManifestBytes,
  type Manifest,
  type ParsedManifest,
  parseManifest,
  serializeManifest,
} from './manifest.ts';
import { bundleExtension, isPublishedName, isSuspectName, manifestNameOf } from './names.ts';

/**
 * Publishes a file and the manifest that describes it as a pair, under the first of `names` that is free for both, and
 * returns their paths. The manifest is `<name>.json`; `describe` makes its text once the name is known.
 */
export function publishPair(
  file: string,
  folder: string,
  names: Iterable<string>,
  describe: (name: string) => string,
  { isSynced = false }: { isSynced?: boolean } = {},
): { path: string; manifestPath: string } {
  if (!isSynced) syncFile(file);
  for (const name of names) {
    const path = join(folder, name);
    const manifestPath = manifestNameOf(path);
    if (lstatSync(manifestPath, { throwIfNoEntry: false }) !== undefined) continue;
    const manifest = join(dirname(file), `${randomBytes(6).toString('hex')}.json`);
    writePrivateFile(manifest, describe(name));
    let how: ReturnType<typeof linkWithoutOverwriting>;
    try {
      how = linkWithoutOverwriting(file, path);
    } catch (error) {
      if (error instanceof Error && Reflect.get(error, 'code') === 'EEXIST') continue;
      throw explain(error, 'target', path);
    }
    let linkedManifest = false;
    try {
      linkWithoutOverwriting(manifest, manifestPath);
      linkedManifest = true;
      syncFolder(folder);
    } catch (error) {
      // Half of a pair is of no use, and names that may not survive a power failure are no backup.
      tryToUnlink(path);
      if (linkedManifest) tryToUnlink(manifestPath);
      throw explain(error, 'target', manifestPath);
    }
    if (how === 'claimed') sweepClaims(folder);
    return { path, manifestPath };
  }
  throw new BackupError('name-taken', `${folder} has no free name left.`, { path: folder });
}

const claimLastsMs = 60_000;

/**
 * Removes the empty files that killed processes left under names of backups, where there are no hard links. A backup has
 * bytes, and a claim lasts for a moment, so what is empty and older is neither.
 */
function sweepClaims(folder: string): void {
  const names = readdirSync(folder);
  const present = new Set(names);
  for (const name of names) {
    // A backup that lost its content has a manifest beside it, and is shown as damaged.
    if (!isPublishedName(name) || present.has(manifestNameOf(name))) continue;
    const path = join(folder, name);
    const stats = lstatSync(path, { throwIfNoEntry: false });
    const isClaim = stats?.isFile() === true && stats.size === 0;
    if (isClaim && Date.now() - stats.mtimeMs > claimLastsMs) tryToUnlink(path);
  }
}

function tryToUnlink(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // The first failure is the one to report.
  }
}

/**
 * Removes a backup with its manifest. The backup first: a manifest without its backup is plainly nothing, the other way
 * round looks foreign. `movedTo` is where the backup is, where that is not under its name any more.
 */
export function removePair(path: string, movedTo: string = path): void {
  unlinkSync(movedTo);
  unlinkSync(manifestNameOf(path));
  // Only a damaged file is kept with what lay beside it.
  if (isSuspectName(path))
    for (const suffix of siblingSuffixes) rmSync(path + suffix, { force: true });
}

/**
 * Replaces the manifest of a backup by a newer one, in one step, unless it is not meant any more just before. Returns whether
 * it did.
 */
export function replaceManifest(
  backupPath: string,
  text: string,
  isStillMeant: () => boolean = () => true,
): boolean {
  const folder = dirname(backupPath);
  const scratch = makePrivateFolder(folder);
  try {
    const manifest = join(scratch.path, 'manifest.json');
    writePrivateFile(manifest, text);
    if (!isStillMeant()) return false;
    renameSync(manifest, manifestNameOf(backupPath));
    syncFolder(folder);
    return true;
  } catch (error) {
    throw explain(error, 'target', manifestNameOf(backupPath));
  } finally {
    scratch.remove();
  }
}

/** The manifest beside a backup, without trusting it. Undefined when there is none. */
export function readManifestOf(backup: string): ParsedManifest | undefined {
  const path = manifestNameOf(backup);
  const stats = statIfAny(path);
  if (stats === undefined) return undefined;
  const isBundle = backup.endsWith(bundleExtension);
  const longestBytes = isBundle ? longestBundleManifestBytes : longestManifestBytes;
  if (!stats.isFile() || stats.size > longestBytes) {
    return { kind: 'foreign', reason: 'no backup details of SQLite Backup' };
  }
  return parseManifest(readFileSync(path, 'utf8'));
}

/** Writes `changes` into the manifest of a backup, and keeps what other versions of format 1 have added to it. */
export function updateManifest(
  path: string,
  changes: Partial<Record<keyof Manifest & keyof BundleManifest, unknown>>,
): void {
  editManifest(path, (before) => ({ ...before, ...changes }));
}

/** Replaces what the manifest of a backup says. `edit` is called again when another process has changed it meanwhile. */
export function editManifest(path: string, edit: (before: object) => object): void {
  const read = (): string => readFileSync(manifestNameOf(path), 'utf8');
  for (;;) {
    const before = read();
    const after = edit(JSON.parse(before) as object) as Manifest | BundleManifest;
    // What another process has written while the draft went to the disk is edited in its turn.
    if (replaceManifest(path, serializeManifest(after), () => read() === before)) return;
  }
}
