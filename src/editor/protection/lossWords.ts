/** What is said of rows, tables and databases that are gone. */
import * as vscode from 'vscode';
import type { Loss } from '../../core/manifest/loss.ts';
import { inertLine } from '../inert.ts';
import { databaseName } from '../messages.ts';
import { numberText } from '../numbers.ts';
import { timeOfDay } from '../times.ts';

export interface DataLoss {
  /** The path of the database. */
  database: string;
  /** Empty when the file itself is gone, or is no database any more. */
  losses: Loss[];
  isGone: boolean;
  /** The file is there, and its content is no database. */
  isNoDatabase: boolean;
  /** The last state before, which is pinned. */
  backup: string | undefined;
  /** What ran meanwhile, as far as this window knows. */
  ran: string | undefined;
  /** When it was last seen whole. ISO 8601. */
  since: string;
}

/** `data/app.db lost rows since 10:02 (npm test). orders: 12,000 of 12,013 rows gone.` */
export function lossWords(loss: DataLoss): string {
  const { t } = vscode.l10n;
  const { losses, isGone, isNoDatabase, since } = loss;
  const name = nameOf(loss);
  const time = timeOfDay(since);
  const because = becauseOf([loss]);
  if (isNoDatabase)
    return t('{0} is not a SQLite database any more, since {1}{2}.', name, time, because);
  if (isGone) return t('{0} has been missing since {1}{2}.', name, time, because);
  const list = tablesIn(losses, 3).join('; ');
  return losses.every(({ columns }) => columns !== undefined)
    ? t('{0} lost columns since {1}{2}. {3}.', name, time, because, list)
    : t('{0} lost rows since {1}{2}. {3}.', name, time, because, list);
}

const mostDatabases = 3;

/** `2 databases lost data since 10:02 (npm test): data/app.db (orders: 120 of 300 rows gone); data/b.db (missing).` */
export function lossesWords(all: readonly DataLoss[]): string {
  const { t } = vscode.l10n;
  const shown = all.slice(0, mostDatabases).map((loss) => `${nameOf(loss)} (${shortWords(loss)})`);
  const more = all.length - shown.length;
  const list = [...shown, ...(more > 0 ? [t('and {0} more', numberText(more))] : [])].join('; ');
  const [first = ''] = all.map(({ since }) => since).sort();
  return t(
    '{0} databases lost data since {1}{2}: {3}.',
    numberText(all.length),
    timeOfDay(first),
    becauseOf(all),
    list,
  );
}

function shortWords({ losses, isGone, isNoDatabase }: DataLoss): string {
  const { t } = vscode.l10n;
  if (isNoDatabase) return t('not a SQLite database any more');
  return isGone ? t('missing') : tablesIn(losses, 1).join(', ');
}

function tablesIn(losses: readonly Loss[], most: number): string[] {
  const { t } = vscode.l10n;
  const shown = losses.slice(0, most).map(({ table, before, now, columns }) => {
    if (columns !== undefined) return t('{0}: without {1} now', table, columns.join(', '));
    return now === undefined
      ? t('{0}: the table with {1} rows was deleted or renamed', table, numberText(before))
      : t('{0}: {1} of {2} rows gone', table, numberText(before - now), numberText(before));
  });
  const more = losses.length - shown.length;
  return [...shown, ...(more > 0 ? [t('and {0} more tables', numberText(more))] : [])];
}

/** Of several only what ran for all of them. */
function becauseOf(all: readonly DataLoss[]): string {
  const [ran, ...others] = new Set(all.map((loss) => loss.ran));
  return ran === undefined || others.length > 0 ? '' : ` (${inertLine(ran.slice(0, 100))})`;
}

export function nameOf({ database }: DataLoss): string {
  return databaseName(vscode.Uri.file(database));
}
