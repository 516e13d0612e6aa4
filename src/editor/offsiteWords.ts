/** What a row says of the copies that a backup has on other machines. */
import * as vscode from 'vscode';
import type { CatalogEntry } from '../core/catalog/catalog.ts';
import { relativeTime } from './times.ts';

const weekMs = 7 * 24 * 60 * 60 * 1000;

export function offsiteWords({ kept }: CatalogEntry, now = Date.now()): string | undefined {
  const { t } = vscode.l10n;
  const receipts = (kept?.offsite ?? []).filter(({ removedAt }) => removedAt === undefined);
  if (receipts.length === 0) return undefined;
  const proofs = receipts.flatMap(({ provedAt }) => provedAt ?? []).sort();
  const last = proofs.at(-1);
  if (last === undefined) return t('☁ off-machine, not proved');
  const words = t('☁ proved off-machine {0}', relativeTime(last, now));
  return now - Date.parse(last) > weekMs ? t('{0}, check again', words) : words;
}
