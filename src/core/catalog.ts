/** What is in a backups folder. Foreign and half-written files are part of life: they are listed or left out, never an error. */
import { readdirSync, realpathSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { BackupError, explain } from './errors.ts';
import { isPrivateFolderName, isSiblingName } from './files.ts';
import { readHeader } from './header.ts';
import { bundleExtension, parseSetAsideName, sequenceOf } from './names.ts';
import type { BundleContents, BundleManifest, Manifest, VerdictStatus } from './manifest.ts';
import { membersOf, openBundle, type BundleMember } from './unbundle.ts';
import { readManifestOf } from './verify.ts';

export interface CatalogEntry {
  path: string;
  kind: 'snapshot' | 'bundle';
  /** Of a snapshot, as the manifest names it; undefined for a file that nothing is known about. */
  database?: string;
  /** ISO 8601. For a foreign file, when it was last written. */
  createdAt: string;
  sizeBytes: number;
  verified: VerdictStatus;
  /** Not made by this extension: readable, never ours to change. */
  foreign: boolean;
  /** An old database that a restore has kept: foreign too, so that no rule ever removes it. */
  setAside?: true;
  /** Of a snapshot. Undefined for foreign files and for manifests of a newer format. */
  manifest?: Manifest;
  /** Present in every bundle, and only there. */
  bundle?: BundleInfo;
}

export interface BundleInfo {
  members: BundleMember[];
  /** What the manifest says of the whole. Undefined for zips of others, of whose instant nothing is known. */
  about?: Omit<BundleContents, 'entries'>;
  /** What only the manifest beside it knows. Without it the bundle can be read, but not pinned, annotated or removed. */
  kept?: Pick<BundleManifest, 'sha256' | 'verdict' | 'drill' | 'note' | 'pinned'>;
}

/** The backups in `folder`, newest first, and with them the zips without a manifest beside them that are bundles. */
export async function listAll(folder: string): Promise<CatalogEntry[]> {
  const path = resolve(folder);
  const entries = listBackups(path);
  const known = new Set(entries.map((entry) => entry.path));
  for (const name of namesIn(path)) {
    if (!name.toLowerCase().endsWith(bundleExtension) || known.has(join(path, name))) continue;
    const entry = await describeZip(join(path, name));
    if (entry !== undefined) entries.push(entry);
  }
  return entries.sort(newestFirst);
}

/** What can be told from manifests and headers: all that is ours to keep in order. A missing folder has none. */
export function listBackups(folder: string): CatalogEntry[] {
  const path = resolve(folder);
  const entries: CatalogEntry[] = [];
  for (const name of namesIn(path)) {
    if (isPrivateFolderName(name) || isSiblingName(name)) continue;
    const entry = describe(join(path, name));
    if (entry !== undefined) entries.push(entry);
  }
  return entries.sort(newestFirst);
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(realpathSync(folder));
  } catch (error) {
    if (error instanceof Error && Reflect.get(error, 'code') === 'ENOENT') return [];
    if (error instanceof Error && Reflect.get(error, 'code') === 'ENOTDIR') {
      throw new BackupError('access', `${folder} is not a folder.`, {
        path: folder,
        hint: 'Check the path.',
        cause: error,
      });
    }
    throw explain(error, 'source', folder);
  }
}

function newestFirst(a: CatalogEntry, b: CatalogEntry): number {
  return (
    b.createdAt.localeCompare(a.createdAt) ||
    sequenceOf(b.path) - sequenceOf(a.path) ||
    b.path.localeCompare(a.path, 'en')
  );
}

function describe(path: string): CatalogEntry | undefined {
  try {
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats === undefined || !stats.isFile()) return undefined;
    const parsed = readManifestOf(path);
    if (parsed?.kind === 'manifest') return ours(path, stats.size, parsed.manifest);
    if (parsed?.kind === 'bundle') return ourBundle(path, stats.size, parsed.manifest);
    // Without facts of our own, only what is a database by content counts as a backup.
    if (readHeader(path).kind !== 'sqlite') return undefined;
    return {
      path,
      kind: 'snapshot',
      createdAt: stats.mtime.toISOString(),
      sizeBytes: stats.size,
      verified: 'unchecked',
      foreign: parsed?.kind !== 'newer',
      ...(parseSetAsideName(basename(path)) !== undefined && { setAside: true }),
    };
  } catch {
    return undefined; // Vanished or unreadable between two looks: nothing that could be listed.
  }
}

function ours(path: string, sizeBytes: number, manifest: Manifest): CatalogEntry {
  return {
    path,
    kind: 'snapshot',
    database: manifest.source.path,
    createdAt: manifest.createdAt,
    sizeBytes,
    // A file whose size has changed since is damaged whatever its manifest says.
    verified: sizeBytes === manifest.sizeBytes ? manifest.verdict.status : 'damaged',
    foreign: false,
    manifest,
  };
}

function ourBundle(path: string, sizeBytes: number, manifest: BundleManifest): CatalogEntry {
  const {
    entries,
    sizeBytes: recordedBytes,
    sha256,
    verdict,
    drill,
    note,
    pinned,
    ...about
  } = manifest;
  return {
    path,
    kind: 'bundle',
    createdAt: manifest.createdAt,
    sizeBytes,
    verified: sizeBytes === recordedBytes ? verdict.status : 'damaged',
    foreign: false,
    bundle: {
      members: membersOf({ entries }),
      about,
      kept: {
        sha256,
        verdict,
        ...(drill !== undefined && { drill }),
        ...(note !== undefined && { note }),
        ...(pinned !== undefined && { pinned }),
      },
    },
  };
}

/** A catalog is to be quick: what has more in it than any bundle that is made by hand is not looked through. */
const mostForeignEntries = 10_000;

/** A zip counts as a bundle when it says so itself, or when it has a database at its top. */
async function describeZip(path: string): Promise<CatalogEntry | undefined> {
  try {
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats === undefined || !stats.isFile()) return undefined;
    const open = await openBundle(path);
    open.zip.close();
    const { members, contents } = open;
    const hasDatabase = members.some(
      ({ name, kind }) => kind === 'database' && !name.includes('/'),
    );
    if (contents === undefined && (!hasDatabase || members.length > mostForeignEntries))
      return undefined;
    return {
      path,
      kind: 'bundle',
      createdAt: contents?.createdAt ?? stats.mtime.toISOString(),
      sizeBytes: stats.size,
      verified: 'unchecked',
      foreign: contents === undefined,
      bundle: { members, ...(contents !== undefined && { about: aboutOf(contents) }) },
    };
  } catch {
    return undefined; // Vanished, unreadable, or a zip that nobody should rely on.
  }
}

function aboutOf(contents: BundleContents): Omit<BundleContents, 'entries'> {
  const { entries, ...about } = contents;
  void entries;
  return about;
}

/** True for a file that is itself a backup of ours, so that outputs never become sources. */
export function isOwnBackup(path: string): boolean {
  const parsed = readManifestOf(path);
  return parsed !== undefined && parsed.kind !== 'foreign';
}
