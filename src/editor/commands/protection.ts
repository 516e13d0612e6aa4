import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import * as vscode from 'vscode';
import type { CatalogEntry } from '../../core/catalog/catalog.ts';
import type { Checkpoints as Taken } from '../../core/checkpoint/checkpoint.ts';
import { fromPlainError } from '../../core/errors.ts';
import { formatBytes } from '../../core/units.ts';
import { errorMessage } from '../errorMessages.ts';
import { inertLine, notify } from '../inert.ts';
import { databaseName, verdictWord } from '../messages.ts';
import { causeText, checkpointLabel } from '../protection/checkpointRows.ts';
import { isRow } from '../rows.ts';
import { dayAndTime, dayName, timeOfDay } from '../times.ts';
import { urisOf } from './backUp.ts';
import type { Parts } from './parts.ts';
import { pickDatabase } from './pickDatabase.ts';
import { restore } from './restore.ts';

/** What the command and the public API return: plain data. */
export interface PlainCheckpoints {
  checkpoints: Taken['checkpoints'];
  unchanged: { database: string; id: string }[];
  failures: { database: string; code: string; message: string }[];
}

export function plainCheckpoints({ checkpoints, unchanged, failures }: Taken): PlainCheckpoints {
  return {
    checkpoints,
    unchanged: unchanged.map(({ database, id }) => ({ database, id })),
    failures: failures.map(({ database, error }) => ({
      ...{ database, code: error.code },
      message: errorMessage(fromPlainError(error), databaseName(vscode.Uri.file(database))),
    })),
  };
}

/** Of the selected databases, else of all of the workspace: one cut of those that have changed. */
export async function checkpointNow(
  parts: Parts,
  target: unknown,
  selection: unknown,
): Promise<PlainCheckpoints> {
  const { t } = vscode.l10n;
  const { backups, checkpoints } = parts;
  if (!backups.isReady) await backups.refresh();
  const uris = urisOf(target, selection) ?? backups.databases.map(({ uri }) => uri);
  if (uris.length === 0) {
    void notify.info(t('There is no SQLite database in this workspace.'));
    return { checkpoints: [], unchanged: [], failures: [] };
  }
  const taken = await vscode.window.withProgress({ location: { viewId: parts.viewId } }, () =>
    checkpoints.take(uris, { kind: 'manual' }, { trigger: 'manual' }),
  );
  const plain = plainCheckpoints(taken);
  const [first] = plain.failures;
  const count = plain.checkpoints.length;
  if (first !== undefined)
    void notify.error(plain.failures.map(({ message }) => message).join(' '));
  else if (count > 0)
    void notify.info(count === 1 ? t('1 checkpoint taken.') : t('{0} checkpoints taken.', count));
  else void notify.info(t('Nothing has changed since the last checkpoint.'));
  return plain;
}

/** Automatic checkpoints stand still until a time, which is always told. `minutes` is for callers that need not be asked. */
export async function pauseProtection({ protection }: Parts, minutes?: unknown): Promise<void> {
  const { t } = vscode.l10n;
  const tomorrow = new Date();
  tomorrow.setDate(tomorrow.getDate() + 1);
  tomorrow.setHours(8, 0, 0, 0);
  const after = (count: number): Date => new Date(Date.now() + count * 60_000);
  const items = [
    { label: t('For 15 minutes'), until: after(15) },
    { label: t('For 1 hour'), until: after(60) },
    { label: t('Until tomorrow at 8:00'), until: tomorrow },
  ];
  const until =
    typeof minutes === 'number'
      ? after(minutes)
      : (
          await vscode.window.showQuickPick(items, {
            placeHolder: t('For how long should automatic checkpoints pause?'),
          })
        )?.until;
  if (until === undefined) return;
  await protection.pause(until);
  const resume = t('Resume');
  const time = dayAndTime(until.toISOString(), Date.now());
  const text = t('No automatic checkpoints are taken until {0}.', time);
  void notify.info(text, resume).then((answer) => {
    if (answer === resume) return protection.resume();
  });
}

/** Asks which checkpoint, unless the row tells, and opens its runbook. */
export async function restoreCheckpoint(
  parts: Parts,
  target: unknown,
): Promise<{ runbook?: string }> {
  const { backups, checkpoints } = parts;
  const { t } = vscode.l10n;
  if (isRow(target) && target.kind === 'snapshot') return restore(parts, target);
  if (!backups.isReady) await backups.refresh();
  await checkpoints.refresh();
  const uri =
    target instanceof vscode.Uri
      ? target
      : isRow(target) && (target.kind === 'database' || target.kind === 'checkpoints')
        ? target.uri
        : undefined;
  const known = uri === undefined ? backups.databases.map((one) => one.uri) : [uri];
  const own = known
    .flatMap((one) => checkpoints.of(one).map((entry) => ({ uri: one, entry })))
    .sort((a, b) => b.entry.createdAt.localeCompare(a.entry.createdAt));
  if (own.length === 0) {
    void notify.info(t('There is no checkpoint yet.'));
    return {};
  }
  const now = Date.now();
  const days = Map.groupBy(own, ({ entry }) => dayName(entry.createdAt, now));
  const items = [...days].flatMap(([label, some]) => [
    { label, kind: vscode.QuickPickItemKind.Separator },
    ...some.map((one) => ({
      label: inertLine(t('Restore to {0}', checkpointLabel(one.entry, timeOfDay))),
      description: inertLine(
        `${databaseName(one.uri)} · ${formatBytes(one.entry.sizeBytes)} · ${verdictWord(one.entry.verified)}`,
      ),
      one,
    })),
  ]);
  const picked = await vscode.window.showQuickPick(items, {
    placeHolder: t('Checkpoint to restore'),
  });
  if (picked === undefined || !('one' in picked)) return {};
  return restore(parts, { kind: 'snapshot', ...picked.one });
}

/** Those of databases that are not there any more: a workspace that was deleted, a file that was moved to another disk. */
export async function deleteGoneCheckpoints(
  parts: Parts,
  paths?: unknown,
): Promise<{ removed: string[] }> {
  const { t } = vscode.l10n;
  const { checkpoints } = parts;
  await checkpoints.refresh();
  const present = new Set(parts.backups.databases.flatMap(({ uri }) => checkpoints.of(uri)));
  const gone = checkpoints.all.filter(
    (entry) => !present.has(entry) && !existsSync(entry.kept?.livePath ?? ''),
  );
  const groups = [...Map.groupBy(gone, (entry) => entry.kept?.livePath ?? entry.database ?? '')];
  if (groups.length === 0) {
    void notify.info(t('Every checkpoint is of a database that is still there.'));
    return { removed: [] };
  }
  const items = groups.map(([path, entries]) => ({
    label: inertLine(basename(path)),
    description: inertLine(path),
    detail: t(
      '{0} checkpoints, {1}, the last one {2}',
      entries.length,
      sizeOf(entries),
      dayAndTime(entries[0]?.createdAt ?? '', Date.now()),
    ),
    path,
    entries,
  }));
  const picked = Array.isArray(paths)
    ? items.filter(({ path }) => paths.includes(path))
    : ((await vscode.window.showQuickPick(items, {
        canPickMany: true,
        placeHolder: t('Choose the missing databases whose checkpoints to delete'),
      })) ?? []);
  const chosen = picked.flatMap(({ entries }) => entries);
  if (chosen.length === 0) return { removed: [] };
  const question = t('Delete {0} checkpoints ({1})?', chosen.length, sizeOf(chosen));
  const detail = t('They cannot be brought back.');
  return Array.isArray(paths) || (await agrees(question, detail))
    ? { removed: await removeAll(parts, chosen) }
    : { removed: [] };
}

/** Backups and checkpoints hold personal data. Bundles are named and stay: other databases are in them. */
export async function deleteEveryCopy(
  parts: Parts,
  target: unknown,
): Promise<{ removed: string[] }> {
  const { t } = vscode.l10n;
  const { backups, checkpoints } = parts;
  if (!backups.isReady) await backups.refresh();
  await checkpoints.refresh();
  const uri =
    urisOf(target, undefined)?.[0] ??
    (await pickDatabase(parts, {
      title: t('Delete Every Copy of a Database'),
      placeHolder: t('Choose the database whose copies to delete'),
    }));
  if (uri === undefined) return { removed: [] };
  const database = backups.databaseAt(uri);
  const snapshots = (database?.snapshots ?? []).filter(({ kept }) => kept !== undefined);
  const copies = [...snapshots, ...checkpoints.of(uri)];
  const name = databaseName(uri);
  const inBundles = backups.entries.filter(({ bundle }) =>
    bundle?.databases.some(({ path }) => path === database?.path),
  );
  const left = inBundles.map(({ path }) => path);
  if (copies.length === 0 && left.length === 0) {
    void notify.info(t('There is no copy of {0}.', name));
    return { removed: [] };
  }
  const question = t('Delete every copy of {0}?', name);
  const detail = [
    t(
      '{0} backups and checkpoints, {1}. They cannot be brought back.',
      copies.length,
      sizeOf(copies),
    ),
    t('The database itself stays.'),
    ...(left.length === 0
      ? []
      : [t('These bundles hold it too, and stay until you delete them:'), ...left.map(inertLine)]),
  ].join('\n');
  if (!(await agrees(question, detail))) return { removed: [] };
  const removed = await removeAll(parts, copies);
  await backups.refresh();
  return { removed };
}

function agrees(question: string, detail: string): Promise<boolean> {
  const { t } = vscode.l10n;
  return notify.confirmFinal(question, detail, { yes: t('Delete'), no: t('Keep Copies') });
}

/** Pinned ones, too: a person has said so. */
async function removeAll(
  { audit, checkpoints, log, worker }: Parts,
  entries: readonly CatalogEntry[],
): Promise<string[]> {
  const { t } = vscode.l10n;
  const removed: string[] = [];
  const problems: string[] = [];
  for (const { path, kept } of entries)
    if (kept?.pinned === true) await worker.call('remark', { path, remark: { pinned: false } });
  const byFolder = Map.groupBy(entries, ({ path }) => path.slice(0, -basename(path).length - 1));
  for (const [folder, some] of byFolder) {
    const done = await worker.call('remove', { folder, paths: some.map(({ path }) => path) });
    removed.push(...done.removed);
    problems.push(...done.failures.map(({ message }) => message));
  }
  for (const path of removed) {
    log.info(`Deleted ${path}.`);
    void audit.record({ what: 'deletion', path, trigger: 'manual', result: 'ok' });
  }
  for (const problem of problems) log.warn(problem);
  if (problems.length > 0)
    void notify.error(
      t('{0} copies could not be deleted. The log has the details.', problems.length),
    );
  await checkpoints.refresh();
  return removed;
}

function sizeOf(entries: readonly CatalogEntry[]): string {
  return formatBytes(entries.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
}

/** What is protected now, in lines for a tooltip. */
export function protectionLines({
  checkpoints,
  protection,
  settings,
}: Pick<Parts, 'checkpoints' | 'protection' | 'settings'>): string[] {
  const { t } = vscode.l10n;
  const now = Date.now();
  const { beforeCommands, beforeDebug, schedule } = settings.protection();
  const { pausedUntil } = protection;
  const when = [
    ...(schedule === '' ? [] : [schedule]),
    ...(beforeDebug ? [t('before debugging')] : []),
    ...(beforeCommands.length > 0 ? [t('before migrations and other commands')] : []),
  ];
  const { last } = checkpoints;
  return [
    ...(pausedUntil === undefined
      ? when.length === 0
        ? []
        : [t('Checkpoints: {0}', when.join(', '))]
      : [t('Checkpoints are paused until {0}.', dayAndTime(pausedUntil, now))]),
    ...(last === undefined
      ? []
      : [
          t(
            'Last checkpoint: {0}, {1}',
            dayAndTime(last.createdAt, now),
            last.kept?.cause === undefined ? '' : causeText(last.kept.cause),
          ),
        ]),
  ];
}
