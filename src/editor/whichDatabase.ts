/** Which database a backup is of, and when it was made: what people tell backups apart by. */
import { basename } from 'node:path';
import * as vscode from 'vscode';
import type { CatalogEntry } from '../core/catalog/catalog.ts';
import { ShortNames } from '../core/manifest/shortNames.ts';
import type { Located } from './located.ts';
import { dayAndTime } from './times.ts';

/** The shortest name of the database of a backup, or of a member of a bundle; undefined where nothing tells. */
export function databaseOf(
  names: ShortNames,
  { database, workspace, bundle }: CatalogEntry,
  member?: string,
): string | undefined {
  if (member === undefined) {
    return database === undefined ? undefined : names.of({ path: database, workspace });
  }
  const source = bundle?.databases.find(({ name }) => name === member);
  return source?.path === undefined
    ? undefined
    : names.of({ path: source.path, workspace: source.workspace });
}

/** `app.db`, or the name of the bundle, or of the file. */
export function subjectOf(names: ShortNames, entry: CatalogEntry, member?: string): string {
  const database = databaseOf(names, entry, member);
  if (database !== undefined) return database;
  if (member !== undefined) return member;
  return entry.bundle?.name ?? basename(entry.path);
}

/** `app.db · Today 13:45` */
export function backupTitle(names: ShortNames, entry: CatalogEntry, member?: string): string {
  const subject = subjectOf(names, entry, member);
  return vscode.l10n.t('{0} · {1}', subject, dayAndTime(entry.createdAt, Date.now()));
}

/** What tells the databases of the workspace apart, and those that only backups tell of. */
export function shortNamesOf(
  located: readonly Located[],
  entries: readonly CatalogEntry[],
): ShortNames {
  return new ShortNames([
    ...located.map(({ path, folder }) => ({
      ...{ path, workspace: folder && basename(folder.uri.fsPath) },
    })),
    ...entries.flatMap(({ database, workspace, bundle }) => [
      ...(database === undefined ? [] : [{ path: database, workspace }]),
      ...(bundle?.databases ?? []).flatMap((one) =>
        one.path === undefined ? [] : [{ path: one.path, workspace: one.workspace }],
      ),
    ]),
  ]);
}
