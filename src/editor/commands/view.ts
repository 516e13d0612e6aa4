import * as vscode from 'vscode';
import { type SortBy, sortOrders } from '../settings.ts';
import { views } from '../ids.ts';
import type { Parts } from './parts.ts';
import { backupsFor } from './selection.ts';

/** Leaves out the rows that do not hold every word. `text` is for callers that need not ask. */
export async function setFilter(parts: Parts, text?: unknown): Promise<{ filter?: string }> {
  const answer =
    typeof text === 'string'
      ? text
      : await vscode.window.showInputBox({
          title: vscode.l10n.t('Filter Databases and Backups'),
          value: parts.filter.text,
          placeHolder: vscode.l10n.t('Words of a path, a name, a note; "damaged", "pinned"'),
        });
  if (answer === undefined) return {};
  parts.filter.set(answer);
  return { filter: parts.filter.text };
}

/** Selects a backup in the view Backups. */
export async function showInBackups(parts: Parts, target?: unknown): Promise<void> {
  if (!parts.backups.isReady) await parts.backups.refresh();
  const [entry] = await backupsFor(parts, target, undefined, {
    several: false,
    title: vscode.l10n.t('Show in Backups'),
  });
  if (entry === undefined) return;
  await vscode.commands.executeCommand(`${views.backups}.focus`);
  await parts.backupsView.showBackup(entry);
}

/** Lets the person choose the order of both views; it is kept in the user's settings. */
export async function sort({ settings }: Parts): Promise<void> {
  const { t } = vscode.l10n;
  const words: Readonly<Record<'databases' | 'backups', Readonly<Record<SortBy, string>>>> = {
    databases: {
      name: t('Databases by Path'),
      size: t('Databases by Size'),
      age: t('Databases by Last Backup'),
    },
    backups: {
      name: t('Backups by Name'),
      size: t('Backups by Size'),
      age: t('Backups by Day'),
    },
  };
  const group = (
    label: string,
    key: 'databases.sortBy' | 'backups.sortBy',
    current: SortBy,
    say: Readonly<Record<SortBy, string>>,
  ): (vscode.QuickPickItem & { key?: typeof key; order?: SortBy })[] => [
    { label, kind: vscode.QuickPickItemKind.Separator },
    ...sortOrders.map((order) => ({
      label: say[order],
      ...(order === current && { description: t('now') }),
      ...{ key, order },
    })),
  ];
  const picked = await vscode.window.showQuickPick(
    [
      ...group(t('Databases'), 'databases.sortBy', settings.sortDatabases(), words.databases),
      ...group(t('Backups'), 'backups.sortBy', settings.sortBackups(), words.backups),
    ],
    { title: t('Sort By'), placeHolder: t('Order of the rows') },
  );
  if (picked?.key !== undefined) await settings.remember(picked.key, picked.order);
}
