/** The rows that both views share: what a backup looks like. */
import { basename } from 'node:path';
import * as vscode from 'vscode';
import type { CatalogEntry } from '../core/catalog.ts';
import { hasNameOfOurs } from '../core/names.ts';
import { formatBytes } from '../core/units.ts';
import { rowContext } from './ids.ts';
import { inertLine } from './inert.ts';
import { dayAndTime, exactTime, timeOfDay, verdictWord } from './messages.ts';

export type Row =
  | { kind: 'folder'; folder: vscode.WorkspaceFolder }
  | { kind: 'database'; uri: vscode.Uri }
  | { kind: 'gone'; folder: vscode.WorkspaceFolder; path: string }
  | { kind: 'day'; label: string; entries: readonly CatalogEntry[] }
  | {
      kind: 'snapshot';
      entry: CatalogEntry;
      /** The database, where it is known. */ uri?: vscode.Uri;
    }
  | { kind: 'more'; /** The id of the row above. */ parent: string; count: number };

/** A row of our trees, as VS Code hands it to a command. */
export function isRow(value: unknown): value is Row {
  return (
    typeof value === 'object' && value !== null && 'kind' in value && typeof value.kind === 'string'
  );
}

/** Where a row is: below its database, below its day, or in a list of all. */
export type Place = 'database' | 'day' | 'list';

/** The file name is in the tooltip and in what a screen reader says: a narrow view has no room for it. */
export function snapshotItem(entry: CatalogEntry, place: Place): vscode.TreeItem {
  const { path, verified, foreign, manifest } = entry;
  const label = inertLine(labelOf(entry, place));
  const item = new vscode.TreeItem(label);
  item.id = `${place === 'database' ? 'snapshot' : 'backup'}:${path}`;
  item.contextValue = [
    rowContext.snapshot,
    foreign ? 'foreign' : 'own',
    manifest?.pinned === true ? 'pinned' : 'unpinned',
  ].join(' ');
  item.description = descriptionOf(entry);
  item.iconPath = iconOf(entry, verified);
  item.tooltip = snapshotTooltip(entry);
  const name = place === 'database' ? label : inertLine(basename(path));
  const spoken = [name, item.description, ...(name === label ? [] : [label])];
  item.accessibilityInformation = { label: spoken.join(', ') };
  return item;
}

/** A name that a person has given says more than the time. */
function labelOf(entry: CatalogEntry, place: Place): string {
  const { path, createdAt, database } = entry;
  const now = Date.now();
  if (place === 'database') return dayAndTime(createdAt, now);
  if (database === undefined || !hasNameOfOurs(path)) return basename(path);
  const time = place === 'day' ? timeOfDay(createdAt) : dayAndTime(createdAt, now);
  return `${basename(database)} ${time}`;
}

/** What is wrong comes first, then what people say of it, then size and verdict. */
function descriptionOf(entry: CatalogEntry): string {
  const { sizeBytes, verified, foreign, manifest } = entry;
  const size = formatBytes(sizeBytes);
  const state = foreign ? vscode.l10n.t('not made by SQLite Backup') : stateWord(entry);
  const parts = [
    manifest?.pinned === true ? vscode.l10n.t('pinned') : undefined,
    manifest?.note === undefined ? undefined : `"${manifest.note}"`,
    ...(verified === 'damaged' ? [] : [size, state]),
  ];
  const all = verified === 'damaged' ? [state, ...parts, size] : parts;
  return inertLine(all.filter((part) => part !== undefined).join(' · '));
}

/** The most that was proved of it. */
function stateWord({ verified, manifest }: CatalogEntry): string {
  return verified === 'ok' && manifest?.drill?.status === 'ok'
    ? vscode.l10n.t('proved restorable')
    : verdictWord(verified);
}

function iconOf(
  { foreign, manifest }: CatalogEntry,
  verified: CatalogEntry['verified'],
): vscode.ThemeIcon {
  if (verified === 'damaged') {
    return new vscode.ThemeIcon('error', new vscode.ThemeColor('list.errorForeground'));
  }
  if (manifest?.pinned === true) return new vscode.ThemeIcon('pinned');
  if (foreign) return new vscode.ThemeIcon('file');
  return new vscode.ThemeIcon(verified === 'ok' ? 'verified' : 'archive');
}

function snapshotTooltip(entry: CatalogEntry): vscode.MarkdownString {
  const { path, createdAt, sizeBytes, verified, manifest } = entry;
  const { t } = vscode.l10n;
  const verdict = manifest?.verdict;
  const git = manifest?.git;
  return tooltip([
    path,
    exactTime(createdAt),
    [
      formatBytes(sizeBytes),
      manifest &&
        t('{0} pages of {1}', manifest.facts.pageCount, formatBytes(manifest.facts.pageSize)),
      manifest && t('journal mode {0}', manifest.facts.journalMode),
      manifest?.method,
    ]
      .filter((part) => part !== undefined)
      .join(' · '),
    verdict?.checkedAt === undefined
      ? verdictWord(verified)
      : t('{0} at {1}', verdictWord(verified), exactTime(verdict.checkedAt)),
    manifest?.drill &&
      t('Restored for trial at {0}: {1}', exactTime(manifest.drill.at), manifest.drill.status),
    ...(verdict?.findings ?? []).map(({ message }) => message),
    manifest?.cut?.label === 'one-instant'
      ? t('At one instant with {0} others', manifest.cut.members - 1)
      : undefined,
    ...(manifest?.migrations ?? []).map(({ tool, latest }) => `${tool}: ${latest}`),
    git && [git.branch, git.commit?.slice(0, 10)].filter((part) => part !== undefined).join('@'),
    manifest?.note,
    manifest && `SHA-256 ${manifest.sha256}`,
  ]);
}

/** Lines of plain text: whatever names contain, nothing of it becomes a link or markup. */
export function tooltip(lines: (string | undefined)[]): vscode.MarkdownString {
  const text = new vscode.MarkdownString();
  for (const line of lines) if (line !== undefined) text.appendText(`${inertLine(line)}\n`);
  return text;
}
