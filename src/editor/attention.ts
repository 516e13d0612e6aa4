/** Which databases a person should look at, by what is known of their backups. */
import { basename } from 'node:path';
import type * as vscode from 'vscode';
import type { CatalogEntry } from '../core/catalog/catalog.ts';
import type { FoundDatabase } from '../core/catalog/discovery.ts';
import { isRestoredName } from '../core/manifest/names.ts';
import { databaseKey, folderKey } from './located.ts';

/** `never` and `stale` are about the newest backup that is not damaged. */
export type Attention = 'failed' | 'damaged' | 'never' | 'unknown' | 'stale';

export interface KnownBackups {
  /** Newest first. */
  readonly snapshots: readonly CatalogEntry[];
  /** The newest bundle with it that is not damaged. */
  readonly bundle: CatalogEntry | undefined;
  /** False when the backups folder cannot be listed: then nothing is known of its backups. */
  readonly isListed: boolean;
}

/** The newest of both that is not damaged. */
export function newestNotDamaged({
  snapshots,
  bundle,
}: Omit<KnownBackups, 'isListed'>): CatalogEntry | undefined {
  const snapshot = snapshots.find(({ verified }) => verified !== 'damaged');
  if (snapshot === undefined || bundle === undefined) return snapshot ?? bundle;
  return snapshot.createdAt < bundle.createdAt ? bundle : snapshot;
}

export function attentionFor(
  { modifiedAt, path }: FoundDatabase,
  backups: KnownBackups,
  staleAfterMs: number | undefined,
): Attention | undefined {
  const newestAt = newestNotDamaged(backups)?.createdAt ?? '';
  const [newest] = backups.snapshots;
  if (newest?.verified === 'damaged' && newest.createdAt > newestAt) return 'damaged';
  if (staleAfterMs === undefined) return undefined;
  // A restore to a new file is a copy of a backup.
  if (newestAt === '') {
    if (isRestoredName(path)) return undefined;
    return backups.isListed ? 'never' : 'unknown';
  }
  const isOld = Date.now() - Date.parse(newestAt) > staleAfterMs;
  // What was not written since is as good as backed up just now.
  return isOld && modifiedAt > newestAt ? 'stale' : undefined;
}

/** The newest bundle of each database, by `databaseKey`, that is not damaged. */
export function newestBundles(
  folders: readonly vscode.WorkspaceFolder[],
  catalogs: ReadonlyMap<string, CatalogEntry[]>,
): Map<string, CatalogEntry> {
  const newest = new Map<string, CatalogEntry>();
  const byName = Map.groupBy(folders, ({ uri }) => basename(uri.fsPath));
  for (const [key, entries] of catalogs) {
    const own = folders.find((folder) => folderKey(folder) === key);
    for (const entry of entries) {
      if (entry.verified === 'damaged') continue;
      for (const { path, workspace } of entry.bundle?.databases ?? []) {
        // A bundle may hold databases of several folders, and is in the backups folder of one of them.
        const named = workspace === undefined ? [own] : (byName.get(workspace) ?? []);
        const folder = named.includes(own) ? own : named.length === 1 ? named[0] : undefined;
        if (path === undefined || folder === undefined) continue;
        const database = databaseKey(folder, path);
        const known = newest.get(database);
        if (known === undefined || known.createdAt < entry.createdAt) newest.set(database, entry);
      }
    }
  }
  return newest;
}
