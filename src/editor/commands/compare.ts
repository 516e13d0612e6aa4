import { basename } from 'node:path';
import * as vscode from 'vscode';
import type { CatalogEntry } from '../../core/catalog/catalog.ts';
import type { Comparison } from '../../core/compare/compare.ts';
import { BackupError } from '../../core/errors.ts';
import { type Compared, comparisonReport, printable } from '../comparisonReport.ts';
import { notify } from '../inert.ts';
import { livePathOf } from '../livePath.ts';
import { databaseName } from '../messages.ts';
import { backupTitle } from '../whichDatabase.ts';
import { privateCopy } from '../privateCopies.ts';
import { memberRows } from './members.ts';
import type { Parts } from './parts.ts';
import { backupsFor, withCancel } from './selection.ts';

/**
 * Compares a backup, or a member of a bundle, with the database as it is now. The live one is the left side of the
 * comparison. `path` says which it is, for callers that know.
 */
export async function compareWithLive(
  parts: Parts,
  target: unknown,
  _selection?: unknown,
  path?: unknown,
): Promise<Comparison | undefined> {
  const [row] = memberRows(target, undefined);
  if (row !== undefined) {
    const { entry, member } = row;
    const copy = await privateCopy(parts, entry, member.name);
    const live = liveOf(parts, entry, member.name);
    const name = vscode.l10n.t(
      '{0} in {1}',
      backupTitle(parts.backups.names, entry, member.name),
      basename(entry.path),
    );
    return compare(parts, live, copy, withLive(live, name));
  }
  const [entry] = await backupsFor(parts, target, undefined, {
    several: false,
    title: vscode.l10n.t('Compare with Live'),
  });
  if (entry === undefined) return undefined;
  if (entry.bundle !== undefined) {
    void notify.info(
      vscode.l10n.t('Open the bundle in the view Backups, and compare a database in it.'),
    );
    return undefined;
  }
  const live = typeof path === 'string' ? path : liveOf(parts, entry);
  return compare(parts, live, entry.path, withLive(live, nameOf(parts, entry)));
}

function withLive(live: string, backup: string): readonly [Compared, Compared] {
  const { t } = vscode.l10n;
  return [
    {
      ...{ is: 'right', side: t('Backup'), only: t('only backup'), name: backup },
      tables: t('Tables only in the backup:'),
      schema: t('Schema only in the backup:'),
    },
    {
      ...{ is: 'left', side: t('Live'), only: t('only live') },
      name: databaseName(vscode.Uri.file(live)),
      tables: t('Tables only in the live database:'),
      schema: t('Schema only in the live database:'),
    },
  ];
}

function nameOf({ backups }: Parts, entry: CatalogEntry): string {
  return `${backupTitle(backups.names, entry)} (${basename(entry.path)})`;
}

/** Compares two backups, the older one on the left. */
export async function compareSelected(
  parts: Parts,
  target: unknown,
  selection: unknown,
): Promise<Comparison | undefined> {
  const entries = await backupsFor(parts, target, selection, {
    several: true,
    title: vscode.l10n.t('Compare Two Backups'),
  });
  const [older, newer, ...rest] = entries.toSorted((a, b) =>
    a.createdAt.localeCompare(b.createdAt),
  );
  if (older === undefined || newer === undefined || rest.length > 0) {
    void notify.info(vscode.l10n.t('Select two backups to compare.'));
    return undefined;
  }
  const { t } = vscode.l10n;
  return compare(parts, older.path, newer.path, [
    {
      ...{ is: 'left', side: t('Older'), only: t('only older'), name: nameOf(parts, older) },
      tables: t('Tables only in the older backup:'),
      schema: t('Schema only in the older backup:'),
    },
    {
      ...{ is: 'right', side: t('Newer'), only: t('only newer'), name: nameOf(parts, newer) },
      tables: t('Tables only in the newer backup:'),
      schema: t('Schema only in the newer backup:'),
    },
  ]);
}

function liveOf({ backups }: Parts, entry: CatalogEntry, member?: string): string {
  const live = livePathOf(backups, entry, member);
  if (live !== undefined) return live;
  const message = vscode.l10n.t(
    'The database of {0} is not in this workspace.',
    backupTitle(backups.names, entry, member),
  );
  throw new BackupError('access', message, { path: entry.path });
}

/** `sides` in the order in which they are shown, in one tab. */
async function compare(
  parts: Parts,
  left: string,
  right: string,
  sides: readonly [Compared, Compared],
): Promise<Comparison> {
  const { t } = vscode.l10n;
  const names = [printable(sides[0].name), printable(sides[1].name)] as const;
  const title = t('Comparing {0} with {1}', ...names);
  const comparison = await withCancel(title, (signal, report) =>
    parts.worker.call(
      'compare',
      { left, right },
      {
        signal,
        onProgress: ({ doneBytes, totalBytes }) =>
          report(t('{0} of {1} tables', Math.floor(doneBytes), totalBytes)),
      },
    ),
  );
  const text = comparisonReport(comparison, sides, {
    t: (message, ...values) => t(message, ...values),
    count: (value) => value.toLocaleString(vscode.env.language),
  });
  await parts.documents.show(t('{0} ↔ {1}', ...names), text);
  return comparison;
}
