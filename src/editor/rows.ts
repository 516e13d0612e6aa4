/** The rows that both views share: what a backup looks like. */
import { basename } from 'node:path';
import * as vscode from 'vscode';
import type { BundleMember } from '../core/bundle/openBundle.ts';
import type { CatalogEntry } from '../core/catalog/catalog.ts';
import { openLosses, ownLosses } from '../core/manifest/loss.ts';
import type { BundleManifest, Manifest, RecordedLoss } from '../core/manifest/manifest.ts';
import { hasNameOfOurs } from '../core/manifest/names.ts';
import type { SetAside } from '../core/restore/setAside.ts';
import { formatBytes } from '../core/units.ts';
import type { Absence } from './absence.ts';
import { commands } from './contributed.ts';
import { rowContext } from './ids.ts';
import { inertLine } from './inert.ts';
import { lossText } from './lossMessages.ts';
import type { ShortNames } from '../core/manifest/shortNames.ts';
import { readManifest } from './manifests.ts';
import { offsiteWords } from './offsiteWords.ts';
import { databaseCount, fileCount, verdictWord } from './messages.ts';
import { said } from './said.ts';
import { dayAndTime, exactTime, timeAndDay, timeOfDay } from './times.ts';
import { databaseOf } from './whichDatabase.ts';
import type { MissingRow } from './worktrees.ts';

export type Row =
  | { kind: 'folder'; folder: vscode.WorkspaceFolder }
  | { kind: 'database'; uri: vscode.Uri }
  | {
      /** A folder with databases in it, where there are many. */
      kind: 'databaseFolder';
      folder: vscode.WorkspaceFolder | undefined;
      prefix: string;
      label: string;
      count: number;
    }
  | { kind: 'gone'; folder: vscode.WorkspaceFolder; path: string; why: Absence }
  | {
      kind: 'others';
      /** Undefined where the view shows one folder. */ folder?: vscode.WorkspaceFolder;
    }
  | { kind: 'day'; label: string; entries: readonly CatalogEntry[] }
  | {
      kind: 'checkpoints';
      uri: vscode.Uri;
      /** Undefined for the level above the days. */ day?: string;
      /** Of an agent, for the level below a day that has its checkpoints. */ session?: string;
      /** Of that session, for the level below it. */ turn?: string;
    }
  | MissingRow
  | PreviousRow
  | BackupRow
  | MemberRow
  | MemberFolderRow
  | {
      kind: 'problem';
      /** The id of the row above. */
      parent: string;
      text: string;
      why: string;
      /** What a click does about it. */
      command?: string;
    }
  | { kind: 'more'; /** The id of the row above. */ parent: string; count: number };

export type CheckpointsRow = Extract<Row, { kind: 'checkpoints' }>;

/** A snapshot or a bundle. */
export interface BackupRow {
  kind: 'snapshot';
  entry: CatalogEntry;
  /** The database, where it is known. */
  uri?: vscode.Uri;
}

/** The previous database that a restore has kept beside a live one. */
export interface PreviousRow {
  kind: 'previous';
  previous: SetAside;
}

/** Something inside a bundle. */
export interface MemberRow {
  kind: 'member';
  /** The bundle. */
  entry: CatalogEntry;
  member: Omit<BundleMember, 'entry'>;
  /** What the folder above it says already. */
  prefix?: string;
}

/** A folder with members of a bundle in it, where there are many. */
export interface MemberFolderRow {
  kind: 'memberFolder';
  entry: CatalogEntry;
  prefix: string;
  label: string;
  count: number;
}

/** A row of our trees, as VS Code hands it to a command. */
export function isRow(value: unknown): value is Row {
  return (
    typeof value === 'object' && value !== null && 'kind' in value && typeof value.kind === 'string'
  );
}

/** Where a row is: below its database, below its day, or in a list of all. */
export type Place = 'database' | 'day' | 'list';

/**
 * The file name is in the tooltip and in what a screen reader says: a narrow view has no room for it. The tooltip is made
 * when it is asked for: `backupTooltip`.
 */
export function backupItem(entry: CatalogEntry, place: Place, names: ShortNames): vscode.TreeItem {
  const { path, foreign, kept, bundle, setAside } = entry;
  const label = inertLine(labelOf(entry, place, names));
  const item = new vscode.TreeItem(
    label,
    bundle === undefined
      ? vscode.TreeItemCollapsibleState.None
      : vscode.TreeItemCollapsibleState.Collapsed,
  );
  item.id = place === 'database' ? `snapshot:${path}` : backupId(path);
  item.contextValue = [
    rowContext.backup,
    bundle === undefined ? rowContext.snapshot : rowContext.bundle,
    setAside === true ? rowContext.setAside : foreign ? 'foreign' : 'own',
    ...(kept === undefined ? [] : [kept.pinned ? 'pinned' : 'unpinned']),
    ...(openLosses(kept?.losses ?? [], kept?.released ?? []).length > 0 ? [rowContext.loss] : []),
  ].join(' ');
  item.description = descriptionOf(entry, place, names);
  if (bundle === undefined) item.command = lookCommand({ kind: 'snapshot', entry });
  item.iconPath = iconOf(entry);
  const name = place === 'database' ? label : inertLine(basename(path));
  const spoken = [name, item.description, ...(name === label ? [] : [label])];
  item.accessibilityInformation = { label: spoken.join(', ') };
  return item;
}

/** What a click on a row does. */
export function lookCommand(row: Row): vscode.Command {
  return { command: commands.lookInside, title: '', arguments: [row] };
}

/** Each once, and unlike every other row. */
export function backupId(path: string): string {
  return `backup:${path}`;
}

/** What cannot be shown, or is not there, and why. */
export function problemItem({
  parent,
  text,
  why,
  command,
}: Extract<Row, { kind: 'problem' }>): vscode.TreeItem {
  const item = new vscode.TreeItem(inertLine(text));
  item.id = `problem:${parent}:${text}`;
  item.iconPath = new vscode.ThemeIcon(
    'warning',
    new vscode.ThemeColor('editorWarning.foreground'),
  );
  item.tooltip = tooltip([text, why]);
  if (command !== undefined) item.command = { command, title: '' };
  item.accessibilityInformation = { label: inertLine(`${text}, ${why}`) };
  return item;
}

export function othersId(folder: vscode.WorkspaceFolder | undefined): string {
  return `others:${folder?.uri.toString() ?? ''}`;
}

/** Stands for databases by content whose names are those of other files. */
export function othersItem(
  folder: vscode.WorkspaceFolder | undefined,
  count: number,
  sawAllFiles: boolean,
): vscode.TreeItem {
  const { t } = vscode.l10n;
  const label = count === 1 ? t('1 more file is SQLite') : t('{0} more files are SQLite', count);
  const item = new vscode.TreeItem(label, vscode.TreeItemCollapsibleState.Collapsed);
  item.id = othersId(folder);
  item.contextValue = rowContext.others;
  item.iconPath = new vscode.ThemeIcon('file-binary');
  item.tooltip = tooltip([
    t('SQLite by content. The setting sqliteBackup.include does not list their names.'),
    t('After its first backup, a file moves to the databases above.'),
    sawAllFiles
      ? undefined
      : t('There may be more: the search stopped before it had looked at all files.'),
  ]);
  item.accessibilityInformation = { label };
  return item;
}

export function moreItem({ parent, count }: Extract<Row, { kind: 'more' }>): vscode.TreeItem {
  const item = new vscode.TreeItem(vscode.l10n.t('{0} more…', count));
  item.id = `more:${parent}`;
  item.contextValue = rowContext.more;
  item.command = { command: commands.showAll, title: '', arguments: [parent] };
  return item;
}

/** The time comes first: a narrow view cuts the end off. A name that a person has given says more than the database. */
function labelOf(entry: CatalogEntry, place: Place, names: ShortNames): string {
  const { path, createdAt, bundle, workspace } = entry;
  const now = Date.now();
  if (place === 'database') return timeAndDay(createdAt, now);
  const what = bundle === undefined ? databaseOf(names, entry) : (bundle.name ?? workspace);
  const time = place === 'day' ? timeOfDay(createdAt) : dayAndTime(createdAt, now);
  return `${time} ${what === undefined || !hasNameOfOurs(path) ? basename(path) : what}`;
}

/** What is wrong comes first, then what people say of it, then size and verdict. */
function descriptionOf(entry: CatalogEntry, place: Place, names: ShortNames): string {
  const { t } = vscode.l10n;
  if (entry.unreadable !== undefined) return t('cannot be read now');
  const { path, sizeBytes, verified, foreign, setAside, kept, bundle } = entry;
  const size = formatBytes(sizeBytes);
  const state =
    setAside === true
      ? t('previous database, kept by a restore')
      : foreign
        ? t('not made by SQLite Backup')
        : stateWord(entry);
  const lost = lossesOf(entry).map(({ table }) => table);
  const database = databaseOf(names, entry);
  const parts = [
    place !== 'database' && database !== undefined && !hasNameOfOurs(path) ? database : undefined,
    kept?.trigger === 'pre-restore'
      ? place === 'database' || database === undefined
        ? t('before a restore')
        : t('before a restore of {0}', database)
      : undefined,
    lost.length > 0 ? t('lost rows in {0}', lost.slice(0, mostTables).join(', ')) : undefined,
    bundle?.complete === false ? t('incomplete') : undefined,
    kept?.pinned === true ? t('pinned') : undefined,
    kept?.note === undefined ? undefined : `"${kept.note}"`,
    ...(verified === 'damaged' ? [] : [...bundleWords(bundle), size, state]),
    offsiteWords(entry),
  ];
  const all = verified === 'damaged' ? [state, ...parts, size] : parts;
  return inertLine(all.filter((part) => part !== undefined).join(' · '));
}

/** So many tables fit into a row. */
const mostTables = 3;

/** The losses that this backup found first. */
function lossesOf({ createdAt, kept }: CatalogEntry): RecordedLoss[] {
  return ownLosses({ createdAt, losses: kept?.losses, released: kept?.released });
}

function bundleWords(bundle: CatalogEntry['bundle']): string[] {
  const { t } = vscode.l10n;
  if (bundle === undefined) return [];
  const { databases, companions, cut } = bundle;
  const count = databaseCount(databases.length);
  return [
    cut === undefined || databases.length < 2
      ? count
      : cut === 'one-instant'
        ? t('{0} at the same moment', count)
        : t('{0}, each by itself', count),
    ...(companions === 0 ? [] : [fileCount(companions)]),
  ];
}

/** The most that was proved of it. */
function stateWord({ verified, outOfStep, kept }: CatalogEntry): string {
  return verified === 'ok' && kept?.drill?.status === 'ok'
    ? vscode.l10n.t('restore tested')
    : verdictWord(verified, outOfStep);
}

function iconOf(entry: CatalogEntry): vscode.ThemeIcon {
  const { foreign, bundle, verified, setAside } = entry;
  if (verified === 'damaged') {
    return new vscode.ThemeIcon('error', new vscode.ThemeColor('list.errorForeground'));
  }
  const isWarned = entry.unreadable !== undefined || bundle?.complete === false;
  if (isWarned || lossesOf(entry).length > 0) {
    return new vscode.ThemeIcon('warning', new vscode.ThemeColor('editorWarning.foreground'));
  }
  if (bundle !== undefined) return new vscode.ThemeIcon('package');
  if (setAside === true) return new vscode.ThemeIcon('discard');
  if (foreign) return new vscode.ThemeIcon('file');
  return new vscode.ThemeIcon(verified === 'ok' ? 'verified' : 'archive');
}

/** All that is known about a backup, read when its tooltip is shown. */
export async function backupTooltip(entry: CatalogEntry, names: ShortNames): Promise<string> {
  const { path, createdAt, verified, outOfStep, kept, unreadable } = entry;
  const { t } = vscode.l10n;
  const { database: recorded } = entry;
  const database = databaseOf(names, entry);
  const whose = database === undefined ? undefined : t('Database: {0}', recorded ?? database);
  if (unreadable !== undefined)
    return tooltip([whose, exactTime(createdAt), path, said(unreadable)]);
  const manifest = kept === undefined ? undefined : await readManifest(path);
  const verdict = manifest?.verdict;
  const word = verdictWord(verified, outOfStep, verdict?.findings);
  return tooltip([
    whose,
    exactTime(createdAt),
    path,
    kept?.trigger === 'pre-restore' ? t('Made before a restore replaced the database') : undefined,
    factsLine(entry, manifest),
    verdict?.checkedAt === undefined ? word : t('{0} at {1}', word, exactTime(verdict.checkedAt)),
    manifest?.drill &&
      t('Test restore at {0}: {1}', exactTime(manifest.drill.at), manifest.drill.status),
    manifest !== undefined && 'cloned' in manifest && manifest.cloned === true
      ? t(
          'Made as a clone: it shares its blocks with the database, except those that changed since.',
        )
      : undefined,
    ...lossesOf(entry).slice(0, mostRemarks).map(lossText),
    ...(verdict?.findings ?? []).map(({ message }) => said(message)),
    ...(manifest === undefined ? [] : contentLines(manifest)),
    manifest?.note,
    manifest && `SHA-256 ${manifest.sha256}`,
  ]);
}

function factsLine(
  { sizeBytes }: CatalogEntry,
  manifest: Manifest | BundleManifest | undefined,
): string {
  const { t } = vscode.l10n;
  const facts = manifest?.kind === 'snapshot' ? manifest.facts : undefined;
  return [
    formatBytes(sizeBytes),
    facts && t('{0} pages of {1}', facts.pageCount, formatBytes(facts.pageSize)),
    facts && journalModeWord(facts.journalMode),
    manifest && t('Method: {0}', manifest.method),
  ]
    .filter((part) => part !== undefined)
    .join(' · ');
}

function journalModeWord(mode: string): string {
  return mode === 'wal' ? vscode.l10n.t('WAL mode') : vscode.l10n.t('journal mode {0}', mode);
}

/** So many fit on a screen. */
const mostRemarks = 20;

function contentLines(manifest: Manifest | BundleManifest): string[] {
  const { t } = vscode.l10n;
  if (manifest.kind === 'bundle') {
    const { entries, failures = [], warnings = [] } = manifest;
    const files = entries.filter((entry) => entry.kind === 'companion');
    const remarks = [
      ...failures.map(({ path, message }) => t('Left out: {0}: {1}', path, said(message))),
      ...files
        .filter(({ changedWhileReading }) => changedWhileReading)
        .map(({ source }) => t('{0} changed each time it was read.', source.path)),
      ...warnings.map(({ message }) => said(message)),
    ];
    return [
      manifest.cut.label === 'one-instant'
        ? t('Databases at the same moment')
        : t('Each database consistent in itself. {0}', said(manifest.cut.reason ?? '')),
      ...(files.length === 0 ? [] : [t('{0} copied beside them', fileCount(files.length))]),
      ...remarks.slice(0, mostRemarks),
      ...(remarks.length > mostRemarks ? [t('and {0} more', remarks.length - mostRemarks)] : []),
    ];
  }
  const { cut, migrations = [], git } = manifest;
  const place = [git?.branch, git?.commit?.slice(0, 7)].filter((part) => part !== undefined);
  return [
    ...(cut?.label === 'one-instant'
      ? [t('At the same moment as {0} others', cut.members - 1)]
      : []),
    ...migrations.map(({ tool, latest }) => `${tool}: ${latest}`),
    ...(place.length === 0 ? [] : [t('Git: {0}', place.join(' '))]),
  ];
}

/** Lines of plain text. No Markdown: it makes a link of every address, however it is escaped. */
export function tooltip(lines: (string | undefined)[]): string {
  return lines
    .filter((line) => line !== undefined)
    .map(inertLine)
    .join('\n');
}
