/** How checkpoints look: in the view below their database, and in the list of the palette. */
import { basename } from 'node:path';
import * as vscode from 'vscode';
import type { CatalogEntry } from '../../core/catalog/catalog.ts';
import type { RowChange } from '../../core/checkpoint/rows.ts';
import { turnBegins, turnEnds } from '../../core/checkpoint/turns.ts';
import type { Cause } from '../../core/manifest/manifest.ts';
import type { ShortNames } from '../../core/manifest/shortNames.ts';
import { formatBytes } from '../../core/units.ts';
import { rowContext } from '../ids.ts';
import { inertLine } from '../inert.ts';
import { numberText } from '../numbers.ts';
import { backupItem, type CheckpointsRow, type Row, tooltip } from '../rows.ts';
import { dayAndTime, dayName, timeOfDay } from '../times.ts';

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
      if (turn !== undefined && said === turnBegins) return t('turn {0} begins', turn);
      if (turn !== undefined && said === turnEnds) return t('turn {0} has ended', turn);
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

/** The level below a database; then days; then the checkpoints of a day, those of an agent in rows for session and turn. */
export function checkpointRows(row: CheckpointsRow, entries: readonly CatalogEntry[]): Row[] {
  const now = Date.now();
  const days = Map.groupBy(entries, ({ createdAt }) => dayName(createdAt, now));
  if (row.day === undefined)
    return [...days.keys()].map((day) => ({ kind: 'checkpoints', uri: row.uri, day }));
  const { uri, day, session, turn } = row;
  const own = days.get(day) ?? [];
  const rowOf = (entry: CatalogEntry): Row => ({ kind: 'snapshot', entry, uri });
  const inRow = own.filter((entry) => isIn(row, entry));
  if (turn !== undefined) return inRow.map((entry) => rowOf(entry));
  const seen = new Set<string>();
  return inRow.flatMap((entry): Row[] => {
    const id = session === undefined ? sessionOf(entry) : entry.kept?.cause?.turn;
    if (id === undefined) return [rowOf(entry)];
    if (seen.has(id)) return [];
    seen.add(id);
    const below = { kind: 'checkpoints', uri, day } as const;
    return [session === undefined ? { ...below, session: id } : { ...below, session, turn: id }];
  });
}

function isIn({ session, turn }: CheckpointsRow, entry: CatalogEntry): boolean {
  if (session === undefined) return true;
  return sessionOf(entry) === session && (turn === undefined || entry.kept?.cause?.turn === turn);
}

/** The session of an agent that a checkpoint was taken for. */
function sessionOf({ kept }: CatalogEntry): string | undefined {
  return kept?.cause?.kind === 'agent' ? kept.cause.session : undefined;
}

export function checkpointsItem(
  row: CheckpointsRow,
  entries: readonly CatalogEntry[],
  changes?: RowChange[] | null,
): vscode.TreeItem {
  const { t } = vscode.l10n;
  const { uri, day, session, turn } = row;
  const now = Date.now();
  const own = entries.filter(
    (one) => (day === undefined || dayName(one.createdAt, now) === day) && isIn(row, one),
  );
  const begun = own.at(-1)?.createdAt;
  const ofAgent =
    begun === undefined || session === undefined
      ? undefined
      : turn === undefined
        ? t('Agent, since {0}', timeOfDay(begun))
        : t('Turn {0}, {1}', inertLine(turn), timeOfDay(begun));
  const label = ofAgent ?? day ?? t('Checkpoints');
  const item = new vscode.TreeItem(
    label,
    day === undefined || session !== undefined
      ? vscode.TreeItemCollapsibleState.Collapsed
      : vscode.TreeItemCollapsibleState.Expanded,
  );
  item.id = `checkpoints:${uri.toString()}:${day ?? ''}:${session ?? ''}:${turn ?? ''}`;
  item.contextValue =
    turn === undefined ? rowContext.checkpoints : `${rowContext.checkpoints} ${rowContext.turn}`;
  const [newest] = own;
  const last =
    day === undefined && newest && checkpointLabel(newest, (iso) => dayAndTime(iso, now));
  const changed = turn === undefined || changes === undefined ? undefined : turnText(changes);
  item.description = inertLine(
    changed ?? [String(own.length), ...(last ? [last] : [])].join(' · '),
  );
  if (day === undefined) item.iconPath = new vscode.ThemeIcon('history');
  if (session !== undefined)
    item.iconPath = new vscode.ThemeIcon(turn === undefined ? 'hubot' : 'comment');
  const bytes = own.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  item.tooltip = tooltip([
    t('{0} checkpoints of {1}, {2}', own.length, basename(uri.fsPath), formatBytes(bytes)),
    t('They are taken automatically, kept outside of the workspace, and thinned out.'),
    ...(changed === undefined ? [] : [inertLine(changed)]),
  ]);
  item.accessibilityInformation = { label: `${label}, ${item.description}` };
  return item;
}

/** `orders −120 rows (12,133 → 12,013)`: what a turn has changed. */
export function turnText(changes: readonly RowChange[] | null): string {
  const { t } = vscode.l10n;
  if (changes === null) return t('which rows changed is not known');
  if (changes.length === 0) return t('as many rows as before');
  const said = changes.slice(0, 3).map(changeText);
  const more = changes.length - said.length;
  return [...said, ...(more > 0 ? [t('and {0} more tables', numberText(more))] : [])].join(', ');
}

function changeText({ table, before, now }: RowChange): string {
  const { t } = vscode.l10n;
  if (now === undefined) return t('{0} is gone ({1} rows)', table, numberText(before ?? 0));
  if (before === undefined) return t('{0} is new ({1} rows)', table, numberText(now));
  const by = `${now < before ? '−' : '+'}${numberText(Math.abs(now - before))}`;
  return t('{0} {1} rows ({2} → {3})', table, by, numberText(before), numberText(now));
}

/** A checkpoint is a backup, whose label says why it was taken. */
export function checkpointItem(entry: CatalogEntry, names: ShortNames): vscode.TreeItem {
  const item = backupItem(entry, 'database', names);
  const label = inertLine(checkpointLabel(entry, timeOfDay));
  item.label = label;
  item.accessibilityInformation = { label: `${label}, ${String(item.description)}` };
  return item;
}
