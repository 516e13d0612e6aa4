import { basename } from 'node:path';
import * as vscode from 'vscode';
import type { CatalogEntry } from '../../core/catalog/catalog.ts';
import type { Comparison } from '../../core/compare/compare.ts';
import { BackupError } from '../../core/errors.ts';
import { notify } from '../inert.ts';
import { livePathOf } from '../livePath.ts';
import { databaseName } from '../messages.ts';
import { backupTitle } from '../whichDatabase.ts';
import { privateCopy } from '../privateCopies.ts';
import { memberRows } from './members.ts';
import type { Parts } from './parts.ts';
import { backupsFor, withCancel } from './selection.ts';

/** Compares a backup, or a member of a bundle, with the database as it is now: the live one on the left. */
export async function compareWithLive(
  parts: Parts,
  target: unknown,
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
  const live = liveOf(parts, entry);
  return compare(parts, live, entry.path, withLive(live, nameOf(parts, entry)));
}

function withLive(live: string, backup: string): readonly [Compared, Compared] {
  const { t } = vscode.l10n;
  return [
    {
      ...{ side: t('Live'), only: t('only live'), name: databaseName(vscode.Uri.file(live)) },
      tables: t('Tables only in the live database:'),
    },
    {
      ...{ side: t('Backup'), only: t('only backup'), name: backup },
      tables: t('Tables only in the backup:'),
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
      ...{ side: t('Older'), only: t('only older'), name: nameOf(parts, older) },
      tables: t('Tables only in the older backup:'),
    },
    {
      ...{ side: t('Newer'), only: t('only newer'), name: nameOf(parts, newer) },
      tables: t('Tables only in the newer backup:'),
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

/** One of the two in a comparison, as people tell it from the other. */
interface Compared {
  side: string;
  /** Heads the column of rows that only it has. */
  only: string;
  /** Heads the tables that only it has. */
  tables: string;
  name: string;
}

async function compare(
  parts: Parts,
  left: string,
  right: string,
  sides: readonly [Compared, Compared],
): Promise<Comparison> {
  const { t } = vscode.l10n;
  const names = [printable(sides[0].name), printable(sides[1].name)] as const;
  const title = t('Comparing {0} with {1}', ...names);
  const { comparison, schemas } = await withCancel(title, async (signal, report) => {
    const found = await parts.worker.call(
      'compare',
      { left, right },
      {
        signal,
        onProgress: ({ doneBytes, totalBytes }) =>
          report(t('{0} of {1} tables', Math.floor(doneBytes), totalBytes)),
      },
    );
    if (found.schema.same) return { comparison: found, schemas: undefined };
    const texts = [
      await parts.worker.call('schema', { path: left }, { signal }),
      await parts.worker.call('schema', { path: right }, { signal }),
    ] as const;
    return { comparison: found, schemas: texts };
  });
  await parts.documents.show(t('{0} ↔ {1}.txt', ...names), report(comparison, sides));
  if (schemas !== undefined) {
    const uris = schemas.map((text, index) =>
      parts.documents.add(`${names[index] ?? ''}.sql`, text),
    );
    const label = t('Schema: {0} ↔ {1}', ...names);
    await vscode.commands.executeCommand('vscode.diff', ...uris, label, { preview: false });
  }
  return comparison;
}

function report(
  { schema, tables, notCompared }: Comparison,
  [left, right]: readonly [Compared, Compared],
): string {
  const { t } = vscode.l10n;
  const compared = tables.filter((one) => one.compared);
  const oneSided = compared.filter(({ only }) => only !== undefined);
  const differing = compared.filter(
    (one) => one.only === undefined && one.onlyLeft + one.onlyRight + one.changed > 0,
  );
  const same = compared.length - differing.length - oneSided.length;
  const lines = [
    t('{0}: {1}', left.side, printable(left.name)),
    t('{0}: {1}', right.side, printable(right.name)),
    '',
    schema.same ? t('The schemas are the same.') : t('The schemas differ: see the diff.'),
    differing.length === 1
      ? t('1 table differs, {0} hold the same rows.', same)
      : t('{0} tables differ, {1} hold the same rows.', differing.length, same),
  ];
  if (differing.length > 0) {
    const width = Math.max(...differing.map(({ name }) => printable(name).length));
    const head = [left.only, right.only, t('changed')].map((text) => text.padStart(12)).join('');
    lines.push('', ' '.repeat(width) + head);
    for (const { name, onlyLeft, onlyRight, changed } of differing) {
      const numbers = [onlyLeft, onlyRight, changed].map((n) => String(n).padStart(12)).join('');
      lines.push(printable(name).padEnd(width) + numbers);
    }
  }
  for (const [side, title] of [
    ['left', left.tables],
    ['right', right.tables],
  ] as const) {
    const names = oneSided
      .filter(({ only }) => only === side)
      .map(({ name, onlyLeft, onlyRight }) => {
        const rows = onlyLeft + onlyRight;
        return `  ${printable(name)}: ${rows === 1 ? t('1 row') : t('{0} rows', rows)}`;
      });
    if (names.length > 0) lines.push('', title, ...names);
  }
  if (notCompared.length > 0) {
    lines.push('', t('Not compared:'));
    for (const { name, reason } of notCompared) lines.push(`  ${printable(name)}: ${reason}`);
  }
  return `${lines.join('\n')}\n`;
}

/** Names may hold anything, line breaks and invisible characters included. */
function printable(name: string): string {
  const shown = name.replace(/[\p{Cc}\p{Bidi_Control}]/gu, '�');
  return shown.length > 80 ? `${shown.slice(0, 79)}…` : shown;
}
