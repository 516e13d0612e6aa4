/** Which databases somebody should look at, by what is known of their backups. */
import type * as vscode from 'vscode';
import type { CatalogEntry } from '../core/catalog.ts';
import type { FoundDatabase } from '../core/discovery.ts';
import { databaseKey, folderKey, isOfWorkspace } from './located.ts';

/** `never` and `stale` are about the newest backup that is not damaged. */
export type Attention = 'failed' | 'damaged' | 'never' | 'stale';

export interface KnownBackups {
  /** Newest first. */
  readonly snapshots: readonly CatalogEntry[];
  /** The newest bundle with it that is not damaged. */
  readonly bundle: CatalogEntry | undefined;
}

/** The newest of both that is not damaged. */
export function newestGood({ snapshots, bundle }: KnownBackups): CatalogEntry | undefined {
  const snapshot = snapshots.find(({ verified }) => verified !== 'damaged');
  if (snapshot === undefined || bundle === undefined) return snapshot ?? bundle;
  return snapshot.createdAt < bundle.createdAt ? bundle : snapshot;
}

export function attentionFor(
  { modifiedAt }: FoundDatabase,
  backups: KnownBackups,
  staleAfterMs: number | undefined,
): Attention | undefined {
  const newestAt = newestGood(backups)?.createdAt ?? '';
  const [newest] = backups.snapshots;
  if (newest?.verified === 'damaged' && newest.createdAt > newestAt) return 'damaged';
  if (staleAfterMs === undefined) return undefined;
  if (newestAt === '') return 'never';
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
  for (const folder of folders) {
    for (const entry of catalogs.get(folderKey(folder)) ?? []) {
      if (entry.verified === 'damaged') continue;
      for (const one of entry.bundle?.databases ?? []) {
        if (one.path === undefined || !isOfWorkspace(one, folder)) continue;
        const key = databaseKey(folder, one.path);
        // Newest first: what is there already is newer.
        if (!newest.has(key)) newest.set(key, entry);
      }
    }
  }
  return newest;
}
