import { basename, join } from 'node:path';
import * as vscode from 'vscode';
import type { CatalogEntry } from '../core/catalog/catalog.ts';
import type { Backups } from './backups.ts';

/** Where the database of a backup, or of a member of a bundle, lives or lived; undefined when nothing tells. */
export function livePathOf(
  backups: Backups,
  entry: CatalogEntry,
  member?: string,
): string | undefined {
  const isIt = ({ path }: CatalogEntry): boolean => path === entry.path;
  if (member === undefined) {
    if (entry.kept?.livePath !== undefined) return entry.kept.livePath;
    const known = backups.databases.find(({ snapshots }) => snapshots.some(isIt));
    if (known !== undefined) return known.uri.fsPath;
    const gone = backups.gone.find(({ snapshots }) => snapshots.some(isIt));
    if (gone !== undefined) return join(gone.folder.uri.fsPath, gone.path);
  }
  const source =
    member === undefined
      ? { path: entry.database, workspace: entry.workspace }
      : entry.bundle?.databases.find(({ name }) => name === member);
  if (source?.path !== undefined && source.workspace === undefined) {
    // Made outside of a workspace, by the command line: then only a database that is there can be meant.
    const [only, ...others] = backups.databases.filter(({ path }) => path === source.path);
    return others.length === 0 ? only?.uri.fsPath : undefined;
  }
  const folder = vscode.workspace.workspaceFolders?.find(
    ({ uri }) => basename(uri.fsPath) === source?.workspace,
  );
  return folder === undefined || source?.path === undefined
    ? undefined
    : join(folder.uri.fsPath, source.path);
}
