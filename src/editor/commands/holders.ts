import * as vscode from 'vscode';
import { unseenWords } from '../../runbook/words.ts';
import { notify } from '../inert.ts';
import { databaseName } from '../messages.ts';
import { isRow } from '../rows.ts';
import type { Parts } from './parts.ts';
import { pickDatabase } from './pickDatabase.ts';

/** The programs that have a database open, by name and number. */
export async function showHolders(
  parts: Parts,
  target?: unknown,
): Promise<{ holders: { pid: number; name: string }[] }> {
  const { t } = vscode.l10n;
  const row = isRow(target) ? target : undefined;
  const uri =
    target instanceof vscode.Uri
      ? target
      : row?.kind === 'database'
        ? row.uri
        : await pickDatabase(parts, { title: t('Show Programs That Have It Open') });
  if (uri === undefined) return { holders: [] };
  const { holders, known } = await parts.worker.call('holders', { paths: [uri.fsPath] });
  const name = databaseName(uri);
  const limit = unseenWords(known, t) ?? '';
  const who = holders.map(({ name, pid, command }) => `${command ?? name} (pid ${pid})`).join(', ');
  const message =
    holders.length === 0
      ? t('No program that this user can see has {0} open.', name)
      : t('{0} is open in {1}.', name, who);
  const text = [message, limit].join(' ').trim();
  void notify.info(text);
  return { holders };
}
