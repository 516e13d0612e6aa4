import * as vscode from 'vscode';
import type { CatalogEntry } from '../../core/catalog/catalog.ts';
import { formatBytes } from '../../core/units.ts';
import { inertLine, notify } from '../inert.ts';
import { isRow } from '../rows.ts';
import { memberRows } from './members.ts';
import type { Parts } from './parts.ts';
import { backupsFor } from './selection.ts';

/** Shows what is inside a backup, or inside a database of a bundle. Changes nothing. */
export async function lookInside(
  parts: Parts,
  target: unknown,
  selection: unknown,
): Promise<{ path?: string; member?: string }> {
  // A click on a row leaves the keyboard there, for the next row or for a key of the row. A menu passes a selection.
  const keepsFocus = isRow(target) && selection === undefined;
  const [row] = memberRows(target, undefined);
  if (row !== undefined) {
    await parts.looks.show(row.entry, row.member.name, keepsFocus);
    return { path: row.entry.path, member: row.member.name };
  }
  const [entry] = await backupsFor(parts, target, undefined, {
    several: false,
    title: vscode.l10n.t('Look Inside a Backup'),
  });
  if (entry === undefined) return {};
  if (entry.bundle === undefined) {
    await parts.looks.show(entry, undefined, keepsFocus);
    return { path: entry.path };
  }
  const member = await databaseIn(entry);
  if (member === undefined) return {};
  await parts.looks.show(entry, member, keepsFocus);
  return { path: entry.path, member };
}

/** The only database of a bundle, or the one that the person picks. */
async function databaseIn({ bundle }: CatalogEntry): Promise<string | undefined> {
  const { t } = vscode.l10n;
  const databases = bundle?.databases ?? [];
  if (databases.length === 0) {
    void notify.info(t('There is no database in this bundle.'));
    return undefined;
  }
  if (databases.length === 1) return databases[0]?.name;
  const items = databases.map(({ name, sizeBytes }) => ({
    ...{ label: inertLine(name), description: formatBytes(sizeBytes), name },
  }));
  const placeHolder = t('Database in the bundle');
  const title = t('Look Inside');
  return (await vscode.window.showQuickPick(items, { title, placeHolder }))?.name;
}
