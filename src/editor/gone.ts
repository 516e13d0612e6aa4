/** The databases that only backups tell of. */
import { basename, join } from 'node:path';
import * as vscode from 'vscode';
import type { CatalogEntry } from '../core/catalog/catalog.ts';
import { type Absence, absenceOf } from './absence.ts';
import { databaseKey, folderKey, type Located } from './located.ts';

/** A database that is not among those of the workspace, but whose backups are there. */
export interface GoneDatabase {
  readonly folder: vscode.WorkspaceFolder;
  readonly path: string;
  readonly why: Absence;
  /** Newest first. */
  readonly snapshots: readonly CatalogEntry[];
}

/** What the search for databases found out about other files. */
export interface Searched {
  /** Why files were passed over that were found, by path. */
  skipped: ReadonlyMap<string, string>;
  isExcluded: (path: string, folder: vscode.WorkspaceFolder) => boolean;
}

export async function findGone(
  catalogs: ReadonlyMap<string, CatalogEntry[]>,
  located: readonly Located[],
  { skipped, isExcluded }: Searched,
): Promise<GoneDatabase[]> {
  const present = new Set(located.map(({ folder, path }) => databaseKey(folder, path)));
  const gone = (vscode.workspace.workspaceFolders ?? []).flatMap((folder) => {
    const own = (catalogs.get(folderKey(folder)) ?? []).filter(
      ({ database, workspace }) =>
        database !== undefined && workspace === basename(folder.uri.fsPath),
    );
    return [...Map.groupBy(own, ({ database }) => database ?? '')]
      .filter(([path]) => !present.has(databaseKey(folder, path)))
      .map(([path, snapshots]) => ({ folder, path, snapshots }));
  });
  return Promise.all(
    gone.map(async ({ folder, path, snapshots }) => {
      const file = join(folder.uri.fsPath, path);
      const search = { skippedFor: skipped.get(file), isExcluded: isExcluded(file, folder) };
      return { folder, path, snapshots, why: await absenceOf(file, search) };
    }),
  );
}
