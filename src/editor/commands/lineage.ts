/** What a person says of losses, and of which database backups are. */
import { basename } from 'node:path';
import * as vscode from 'vscode';
import type { CatalogEntry } from '../../core/catalog/catalog.ts';
import { openLosses } from '../../core/manifest/loss.ts';
import type { RecordedLoss } from '../../core/manifest/manifest.ts';
import { inertLine, notify } from '../inert.ts';
import { lossText } from '../lossMessages.ts';
import { backupCount, databaseName } from '../messages.ts';
import type { Parts } from './parts.ts';
import { pickDatabase } from './pickDatabase.ts';
import { backupsFor } from './selection.ts';

/** Lets a backup go that stays because of lost rows. `chosen` is for callers that need not ask. */
export async function release(
  parts: Parts,
  target: unknown,
  chosen?: unknown,
): Promise<{ tables: string[] }> {
  const [entry] = await backupsFor(parts, target, undefined, {
    several: false,
    own: true,
    title: vscode.l10n.t('Release Lost Rows'),
  });
  if (entry === undefined) return { tables: [] };
  const tables = Array.isArray(chosen) ? chosen.map(String) : await askWhich(parts, entry);
  if (tables === undefined || tables.length === 0) return { tables: [] };
  const released = await parts.worker.call('release', { backup: entry.path, tables });
  await parts.backups.refresh();
  return { tables: released.map(({ table }) => table) };
}

async function askWhich(parts: Parts, entry: CatalogEntry): Promise<string[] | undefined> {
  const { t } = vscode.l10n;
  const losses = lossesAround(parts, entry);
  const [only, ...others] = losses;
  if (only === undefined) {
    void notify.info(t('{0} reports no lost rows.', basename(entry.path)));
    return undefined;
  }
  if (others.length > 0) {
    const items = losses.map((loss) => ({
      label: inertLine(loss.table),
      description: inertLine(lossText(loss)),
      picked: true,
      table: loss.table,
    }));
    const title = t('Tables to Release: Their Losses No Longer Matter');
    const picked = await vscode.window.showQuickPick(items, { canPickMany: true, title });
    return picked?.map(({ table }) => table);
  }
  const yes = t('Release');
  const answer = await notify.confirm(
    t('Release {0}?', inertLine(only.table)),
    t(
      '{0}. Retention may then remove the backup before the loss. Losses of this table are no longer reported.',
      lossText(only),
    ),
    yes,
  );
  return answer === yes ? [only.table] : undefined;
}

/** The losses that a backup tells, and those that are the reason to keep it. */
function lossesAround({ backups }: Parts, { path, createdAt, kept }: CatalogEntry): RecordedLoss[] {
  const { entries } = backups;
  const own = entries.find((one) => one.path === path)?.kept ?? kept;
  const later = entries.flatMap((one) =>
    (one.kept?.losses ?? []).filter(({ since }) => since === createdAt),
  );
  const released = [own, ...entries.map((one) => one.kept)].flatMap((one) => one?.released ?? []);
  return openLosses([...(own?.losses ?? []), ...later], released);
}

/** Counts backups as those of a database. `database` is for callers that need not ask. */
export async function setDatabase(
  parts: Parts,
  target: unknown,
  selection: unknown,
  database?: unknown,
): Promise<{ backups: string[] }> {
  const entries = await backupsFor(parts, target, selection, {
    several: true,
    own: true,
    title: vscode.l10n.t('Set the Database of Backups'),
  });
  if (entries.length === 0) return { backups: [] };
  const uri =
    database instanceof vscode.Uri
      ? database
      : await pickDatabase(parts, { title: vscode.l10n.t('Database of These Backups') });
  if (uri === undefined) return { backups: [] };
  const paths = entries.map(({ path }) => path);
  return adopt(parts, uri, paths);
}

/** After a person has agreed. */
export async function adopt(
  parts: Parts,
  uri: vscode.Uri,
  paths: string[],
): Promise<{ backups: string[] }> {
  const { backups } = await parts.worker.call('adopt', { database: uri.fsPath, backups: paths });
  await parts.backups.refresh();
  const count = backupCount(backups.length);
  void notify.info(vscode.l10n.t('{0} now belong to {1}.', count, databaseName(uri)));
  return { backups };
}
