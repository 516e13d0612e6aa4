/** What is in a backups folder. Foreign and half-written files are part of life: they are listed or left out, never an error. */
import { readdirSync, realpathSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { BackupError, explain } from './errors.ts';
import { isPrivateFolderName, isSiblingName } from './files.ts';
import { readHeader } from './header.ts';
import { parseSetAsideName, sequenceOf } from './names.ts';
import type { Manifest, VerdictStatus } from './manifest.ts';
import { readManifestOf } from './verify.ts';

export interface CatalogEntry {
  path: string;
  kind: 'snapshot';
  /** As the manifest names it; undefined for a file that nothing is known about. */
  database?: string;
  /** ISO 8601. For a foreign file, when it was last written. */
  createdAt: string;
  sizeBytes: number;
  verified: VerdictStatus;
  /** Not made by this extension: readable, never ours to change. */
  foreign: boolean;
  /** An old database that a restore has kept: foreign too, so that no rule ever removes it. */
  setAside?: true;
  /** Undefined for foreign files and for manifests of a newer format. */
  manifest?: Manifest;
}

/** The backups in `folder`, newest first. A missing folder has none. */
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

/** True for a file that is itself a backup of ours, so that outputs never become sources. */
export function isOwnBackup(path: string): boolean {
  const parsed = readManifestOf(path);
  return parsed !== undefined && parsed.kind !== 'foreign';
}
