/** What a row says of the copies that a backup has on other machines. */
import * as vscode from 'vscode';
import type { CatalogEntry } from '../core/catalog/catalog.ts';
import { isProofDue, lastOf } from '../core/offsite/due.ts';
import { relativeTime } from './times.ts';

export function offsiteWords({ kept }: CatalogEntry, now = Date.now()): string | undefined {
  const { t } = vscode.l10n;
  const receipts = (kept?.offsite ?? []).filter(({ removedAt }) => removedAt === undefined);
  if (receipts.length === 0) return undefined;
  const proofs = receipts.flatMap(({ provedAt }) => provedAt ?? []);
  if (proofs.length === 0) return t('☁ off-machine, not proved');
  const last = lastOf(proofs, now);
  // A clock was wrong: how old the proof is cannot be told.
  const words =
    last === undefined
      ? t('☁ proved off-machine, dated in the future')
      : t('☁ proved off-machine {0}', relativeTime(last, now));
  return isProofDue(last, now) ? t('{0}, check again', words) : words;
}
