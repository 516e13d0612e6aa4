/** The rows of what is in a bundle, in folders where there is much. */
import { basename } from 'node:path';
import * as vscode from 'vscode';
import type { BundleMember } from '../core/bundle/openBundle.ts';
import type { CatalogEntry } from '../core/catalog/catalog.ts';
import { levelOf } from '../core/catalog/folderLevels.ts';
import { formatBytes } from '../core/units.ts';
import { rowContext } from './ids.ts';
import { inertLine } from './inert.ts';
import { fileCount, verdictWord } from './messages.ts';
import { lookCommand, type MemberFolderRow, type MemberRow, tooltip } from './rows.ts';

/** One level: its folders, then the databases, then the other files. */
export function memberRows(
  entry: CatalogEntry,
  members: readonly BundleMember[],
  prefix = '',
): (MemberFolderRow | MemberRow)[] {
  const inside = members.filter(({ name }) => name.startsWith(prefix));
  const { folders, items } = levelOf(inside, prefix, ({ name }) => name);
  const ofKind = (isDatabase: boolean): MemberRow[] =>
    items
      .filter(({ kind }) => (kind === 'database') === isDatabase)
      .map((member) => ({ kind: 'member', entry, member, prefix }));
  return [
    ...folders.map((one): MemberFolderRow => ({
      ...{ kind: 'memberFolder', entry, prefix: one.prefix, label: one.label },
      count: one.items.length,
    })),
    ...ofKind(true),
    ...ofKind(false),
  ];
}

export function memberFolderItem({
  entry,
  prefix,
  label,
  count,
}: MemberFolderRow): vscode.TreeItem {
  const name = inertLine(label);
  const item = new vscode.TreeItem(name, vscode.TreeItemCollapsibleState.Collapsed);
  item.id = `members:${entry.path}:${prefix}`;
  item.contextValue = rowContext.databaseFolder;
  item.description = fileCount(count);
  item.iconPath = new vscode.ThemeIcon('folder');
  item.tooltip = tooltip([prefix]);
  item.accessibilityInformation = { label: `${name}, ${item.description}` };
  return item;
}

/** What is verified of a member holds as long as the bundle around it is what was verified. */
export function memberItem({ entry, member, prefix = '' }: MemberRow): vscode.TreeItem {
  const { name, kind, sizeBytes } = member;
  const isTrusted = entry.verified === 'ok' || entry.verified === 'partial';
  const verified = isTrusted ? member.verified : undefined;
  const item = new vscode.TreeItem(inertLine(name.slice(prefix.length)));
  item.id = `member:${entry.path}:${name}`;
  item.contextValue = kind === 'database' ? rowContext.memberDatabase : rowContext.memberFile;
  if (kind === 'database') item.command = lookCommand({ kind: 'member', entry, member });
  const state = verified === undefined ? [] : [verdictWord(verified)];
  const { databases = [] } = entry.bundle ?? {};
  const source = databases.find((one) => one.name === name);
  const hasSeveral = databases.some(({ workspace }) => workspace !== databases[0]?.workspace);
  // Databases of the same path in two workspaces have made-up names in the zip.
  const whose = hasSeveral && source?.workspace !== undefined ? [source.workspace] : [];
  item.description = inertLine([...whose, formatBytes(sizeBytes), ...state].join(' · '));
  item.iconPath =
    verified === 'damaged'
      ? new vscode.ThemeIcon('error', new vscode.ThemeColor('list.errorForeground'))
      : new vscode.ThemeIcon(kind === 'database' ? 'database' : 'file');
  item.tooltip = tooltip([
    name,
    source?.path && vscode.l10n.t('Copy of {0}', [source.workspace ?? '.', source.path].join('/')),
    vscode.l10n.t('in {0}', basename(entry.path)),
    member.sha256 === undefined ? undefined : `SHA-256 ${member.sha256}`,
  ]);
  item.accessibilityInformation = { label: inertLine(`${name}, ${item.description}`) };
  return item;
}
