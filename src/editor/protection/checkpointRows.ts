/** How checkpoints look: in the view below their database, and in the list of the palette. */
import { basename } from 'node:path';
import * as vscode from 'vscode';
import type { CatalogEntry } from '../../core/catalog/catalog.ts';
import type { Cause } from '../../core/manifest/manifest.ts';
import type { ShortNames } from '../../core/manifest/shortNames.ts';
import { formatBytes } from '../../core/units.ts';
import { rowContext } from '../ids.ts';
import { inertLine } from '../inert.ts';
import { backupItem, type Row, tooltip } from '../rows.ts';
import { dayAndTime, dayName, timeOfDay } from '../times.ts';

export type CheckpointsRow = Extract<Row, { kind: 'checkpoints' }>;

/** `before npm test`, `agent: clean up`, `schedule`: why it was taken. */
export function causeText({ kind, text, turn, moment }: Cause): string {
  const { t } = vscode.l10n;
  const said = text === undefined || text === '' ? undefined : text;
  if (moment !== undefined && said !== undefined)
    return moment === 'before'
      ? t('before {0}', said)
      : t('at the start of {0}, may include its first writes', said);
  switch (kind) {
    case 'run':
    case 'terminal':
      return said === undefined ? t('before a command') : t('before {0}', said);
    case 'debug':
      return said === undefined ? t('before debugging') : t('before debugging {0}', said);
    case 'task':
      return said === undefined ? t('by a task') : t('task: {0}', said);
    case 'schedule':
      return t('by schedule');
    case 'branch':
      return said === undefined ? t('of a branch') : t('of the branch {0}', said);
    case 'worktree':
      return t('for a worktree');
    case 'baseline':
      return said === undefined ? t('before a baseline') : t('before the baseline {0}', said);
    case 'manual':
      return said ?? t('by hand');
    case 'agent':
      if (turn !== undefined && said !== undefined) return t('turn {0}, before {1}', turn, said);
      return said === undefined ? kind : `${kind}: ${said}`;
    default:
      return said === undefined ? kind : `${kind}: ${said}`;
  }
}

/** `10:02, before prisma migrate reset`. */
export function checkpointLabel(entry: CatalogEntry, time: (iso: string) => string): string {
  const { cause } = entry.kept ?? {};
  const at = time(entry.createdAt);
  return cause === undefined ? at : vscode.l10n.t('{0}, {1}', at, causeText(cause));
}

/** The level below a database; then days; then the checkpoints of a day, those of an agent's session in one row. */
export function checkpointRows(row: CheckpointsRow, entries: readonly CatalogEntry[]): Row[] {
  const now = Date.now();
  const days = Map.groupBy(entries, ({ createdAt }) => dayName(createdAt, now));
  if (row.day === undefined)
    return [...days.keys()].map((day) => ({ kind: 'checkpoints', uri: row.uri, day }));
  const { uri, day, session } = row;
  const own = days.get(day) ?? [];
  const rowOf = (entry: CatalogEntry): Row => ({ kind: 'snapshot', entry, uri });
  if (session !== undefined)
    return own.filter((entry) => sessionOf(entry) === session).map((entry) => rowOf(entry));
  const seen = new Set<string>();
  return own.flatMap((entry): Row[] => {
    const id = sessionOf(entry);
    if (id === undefined) return [rowOf(entry)];
    if (seen.has(id)) return [];
    seen.add(id);
    return [{ kind: 'checkpoints', uri, day, session: id }];
  });
}

/** The session of an agent that a checkpoint was taken for. */
function sessionOf({ kept }: CatalogEntry): string | undefined {
  return kept?.cause?.kind === 'agent' ? kept.cause.session : undefined;
}

export function checkpointsItem(
  { uri, day, session }: CheckpointsRow,
  entries: readonly CatalogEntry[],
): vscode.TreeItem {
  const { t } = vscode.l10n;
  const now = Date.now();
  const own = entries.filter(
    (one) =>
      (day === undefined || dayName(one.createdAt, now) === day) &&
      (session === undefined || sessionOf(one) === session),
  );
  const begun = own.at(-1)?.createdAt;
  const label =
    session === undefined || begun === undefined
      ? (day ?? t('Checkpoints'))
      : t('Agent, since {0}', timeOfDay(begun));
  const item = new vscode.TreeItem(
    label,
    day === undefined || session !== undefined
      ? vscode.TreeItemCollapsibleState.Collapsed
      : vscode.TreeItemCollapsibleState.Expanded,
  );
  item.id = `checkpoints:${uri.toString()}:${day ?? ''}:${session ?? ''}`;
  item.contextValue = rowContext.checkpoints;
  const [newest] = own;
  const last =
    day === undefined && newest && checkpointLabel(newest, (iso) => dayAndTime(iso, now));
  item.description = inertLine([String(own.length), ...(last ? [last] : [])].join(' · '));
  if (day === undefined) item.iconPath = new vscode.ThemeIcon('history');
  if (session !== undefined) item.iconPath = new vscode.ThemeIcon('hubot');
  const bytes = own.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  item.tooltip = tooltip([
    t('{0} checkpoints of {1}, {2}', own.length, basename(uri.fsPath), formatBytes(bytes)),
    t('They are taken by themselves, kept outside of the workspace, and thinned out.'),
  ]);
  item.accessibilityInformation = { label: `${label}, ${item.description}` };
  return item;
}

/** A checkpoint is a backup, whose label says why it was taken. */
export function checkpointItem(entry: CatalogEntry, names: ShortNames): vscode.TreeItem {
  const item = backupItem(entry, 'database', names);
  const label = inertLine(checkpointLabel(entry, timeOfDay));
  item.label = label;
  item.accessibilityInformation = { label: `${label}, ${String(item.description)}` };
  return item;
}
