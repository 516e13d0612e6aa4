/** What is said to people of rows that are gone, and of backups that may be of the same database. */
import * as vscode from 'vscode';
import type { Loss } from '../core/manifest/loss.ts';
import type { Offer } from '../core/manifest/offer.ts';
import { numberText } from './numbers.ts';

const { t } = vscode.l10n;

/** `users had 5,000 rows at the last backup, now 0`. */
export function lossText({ table, before, now }: Loss): string {
  return now === undefined
    ? t(
        '{0} had {1} rows at the last backup; the table was deleted or renamed',
        table,
        numberText(before),
      )
    : t('{0} had {1} rows at the last backup, now {2}', table, numberText(before), numberText(now));
}

/** The worst loss, and how many more there are; nothing when there is none. */
export function lossTexts(losses: readonly Loss[]): string[] {
  const [worst] = losses;
  if (worst === undefined) return [];
  const more = losses.length - 1;
  return [
    more === 0
      ? t('{0}.', lossText(worst))
      : t('{0}, and {1} more tables.', lossText(worst), numberText(more)),
  ];
}

/** Other backups that may be of the same database; nothing when there are none. */
export function offerTexts(offers: readonly Offer[]): string[] {
  const count = offers.reduce((sum, offer) => sum + offer.count, 0);
  if (count === 0) return [];
  const from = offers.find((offer) => offer.from !== undefined)?.from;
  return [
    from === undefined
      ? t('Other backups with the same name that may be of this database: {0}.', count)
      : t('Backups of {0} that may be of this database: {1}.', from, count),
  ];
}
