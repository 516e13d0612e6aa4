/** What notifications and rows say: facts in, words out. Errors and times have files of their own. */
import * as vscode from 'vscode';
import { ownLosses } from '../core/manifest/loss.ts';
import type { Finding, Manifest, OutOfStep, VerdictStatus } from '../core/manifest/manifest.ts';
import { isRestoredName } from '../core/manifest/names.ts';
import { outOfStepNames } from '../core/manifest/verdictWords.ts';
import { formatBytes, formatDuration } from '../core/units.ts';
import { type Attention, newestNotDamaged } from './attention.ts';
import type { BackUpResult } from './backupJobs.ts';
import type { Database } from './backups.ts';
import { errorMessage } from './errorMessages.ts';
import { lossTexts, offerTexts } from './lossMessages.ts';
import type { Retained } from './retention.ts';
import type { Job } from './runningJobs.ts';
import { said } from './said.ts';
import { relativeTime } from './times.ts';

const { t } = vscode.l10n;

export function databaseName(uri: vscode.Uri): string {
  return vscode.workspace.asRelativePath(uri);
}

/** One notification for one run, whatever it consisted of. */
export function resultMessage(result: BackUpResult): string {
  const [warning] = [
    ...result.done.flatMap(({ snapshot }) => findingsToTell(snapshot.manifest.verdict)),
    ...result.done.flatMap(({ snapshot }) => snapshot.manifest.warnings ?? []),
  ];
  const parts = [
    outcomeMessage(result),
    ...lossTexts(result.done.flatMap(({ snapshot }) => ownLosses(snapshot.manifest))),
    ...offerTexts(result.done.flatMap(({ snapshot }) => snapshot.offer ?? [])),
    ...(result.retained === undefined ? [] : retentionTexts(result.retained)),
    ...(warning === undefined ? [] : [t('Note: {0}', warningText(warning))]),
  ];
  return parts.join(' ');
}

/** Why a backup could not be checked, or what is out of step in it. */
function findingsToTell({ status, findings, outOfStep }: Manifest['verdict']): Finding[] {
  return status === 'unchecked' || outOfStep !== undefined ? findings : [];
}

/** Nothing when nothing went and nothing was to go. */
function retentionTexts({ removed, removedBytes, problems }: Retained): string[] {
  const [problem] = problems;
  return [
    ...(removed.length === 0
      ? []
      : [
          t('Retention deleted {0} ({1}).', backupCount(removed.length), formatBytes(removedBytes)),
        ]),
    ...(problem === undefined ? [] : [t('Retention could not delete some backups: {0}', problem)]),
  ];
}

/** What was noticed during a backup that is good all the same. */
export function warningText({ code, message }: Finding): string {
  switch (code) {
    case 'wal-grew':
      return t(
        'The WAL grew a lot during the backup, because it cannot be reset while it is read.',
      );
    case 'rollback-writer':
      return t(
        'The database was written to during the backup. In rollback mode its writers wait meanwhile; WAL mode avoids that.',
      );
    case 'source-replaced':
      return t(
        'The database file was replaced during the backup. The backup holds the previous file.',
      );
    case 'hard-linked':
      return t(
        'The database file has other names (hard links). Only the -wal beside this one was read.',
      );
    default:
      return said(message);
  }
}

function outcomeMessage({ done, failed, cut }: BackUpResult): string {
  const [onlyDone] = done;
  const [firstFailure] = failed;
  if (firstFailure === undefined) {
    if (onlyDone === undefined) return '';
    const { uri, snapshot } = onlyDone;
    const size = formatBytes(snapshot.manifest.sizeBytes);
    const duration = formatDuration(snapshot.durationMs);
    const { status, outOfStep, findings } = snapshot.manifest.verdict;
    const verdict = verdictWord(status, outOfStep, findings);
    return done.length === 1
      ? t('Backed up {0}: {1} in {2}, {3}.', databaseName(uri), size, duration, verdict)
      : cut === 'one-instant'
        ? t('Backed up {0} databases at the same moment: {1}.', done.length, totals(done))
        : t('Backed up {0} databases, each consistent in itself: {1}.', done.length, totals(done));
  }
  const reason = errorMessage(firstFailure.error, databaseName(firstFailure.uri));
  if (done.length === 0 && failed.length === 1) return reason;
  const all = done.length + failed.length;
  return cut === 'one-instant'
    ? t('Backed up {0} of {1} databases at the same moment. {2}', done.length, all, reason)
    : t('Backed up {0} of {1} databases. {2}', done.length, all, reason);
}

/** `3.7 MB in 0.4 s, verified`; the weakest verdict counts for all. */
function totals(done: BackUpResult['done']): string {
  const verdicts = done.map(({ snapshot }) => snapshot.manifest.verdict);
  const weakest = verdicts.find(({ status }) => status !== 'ok') ?? verdicts[0];
  const seconds = formatDuration(Math.max(...done.map(({ snapshot }) => snapshot.durationMs)));
  const size = formatBytes(totalBytes(done));
  return weakest === undefined
    ? size
    : t(
        '{0} in {1}, {2}',
        size,
        seconds,
        verdictWord(weakest.status, weakest.outOfStep, weakest.findings),
      );
}

function totalBytes(done: BackUpResult['done']): number {
  return done.reduce((sum, { snapshot }) => sum + snapshot.manifest.sizeBytes, 0);
}

/** Never more than was checked. */
export function verdictWord(
  status: VerdictStatus,
  outOfStep: readonly OutOfStep[] = [],
  findings: readonly Finding[] = [],
): string {
  switch (status) {
    case 'ok':
      return t('verified');
    case 'partial': {
      if (outOfStep.length === 0) return t('verified as far as possible');
      const names = outOfStepNames(outOfStep, outOfStepName, (count) => t('{0} more', count));
      return t('rows complete, {0} out of step', names);
    }
    case 'unchecked':
      return findings.length > 0 ? t('could not be checked') : t('not verified');
    case 'damaged':
      return t('damaged');
  }
}

export function outOfStepName({ what, name }: OutOfStep): string {
  switch (what) {
    case 'index':
      return t('index {0}', name);
    case 'full-text':
      return t('full-text index {0}', name);
    case 'rules':
      return t('table {0} with its rules', name);
    default:
      return name;
  }
}

/** `38 % · 210 MB/s · 3 s left` while copying, the name of the phase otherwise. */
export function progressText({ progress, startedAt }: Job, now: number): string {
  if (progress === undefined) return t('starting…');
  const { phase, doneBytes, totalBytes } = progress;
  const percent = totalBytes === 0 ? 0 : Math.floor((doneBytes / totalBytes) * 100);
  switch (phase) {
    case 'copy': {
      const elapsedMs = now - startedAt;
      // Compacting does not say how far it is.
      if (doneBytes === 0 && elapsedMs > 2000) return t('copying…');
      if (elapsedMs < 500 || doneBytes === 0) return t('{0} %', percent);
      const bytesPerMs = doneBytes / elapsedMs;
      const left = t('{0} s', Math.max(1, Math.ceil((totalBytes - doneBytes) / bytesPerMs / 1000)));
      return t('{0} % · {1}/s · {2} left', percent, formatBytes(bytesPerMs * 1000), left);
    }
    case 'stage':
      return t('copying…');
    case 'check':
    case 'prove':
      return t('checking…');
    case 'compare':
      return t('comparing {0} %', percent);
    case 'hash':
      return t('checksum {0} %', percent);
    case 'move':
    case 'publish':
      return t('finishing…');
  }
}

/** `2 never backed up, 1 backed up long ago`: what the number on the view is made of. */
export function attentionSummary(databases: readonly Database[]): string {
  const count = (attention: Attention): number =>
    databases.filter((database) => database.attention === attention).length;
  const parts = [
    [count('failed'), (n: number) => t('{0} failed', n)],
    [count('damaged'), (n: number) => t('{0} with a damaged backup', n)],
    [count('never'), (n: number) => t('{0} never backed up', n)],
    [count('unknown'), (n: number) => t('{0} with unknown backups', n)],
    [count('stale'), (n: number) => t('{0} backed up long ago', n)],
  ] as const;
  const facts = parts.flatMap(([n, say]) => (n === 0 ? [] : [say(n)]));
  return t('Databases that need attention: {0}', facts.join(', '));
}

/** `1 backup`, `12 backups`. */
export function backupCount(count: number): string {
  return count === 1 ? t('1 backup') : t('{0} backups', count);
}

/** `1 copy`, `12 copies`. */
export function copyCount(count: number): string {
  return count === 1 ? t('1 copy') : t('{0} copies', count);
}

/** `1 database`, `12 databases`. */
export function databaseCount(count: number): string {
  return count === 1 ? t('1 database') : t('{0} databases', count);
}

/** `1 file`, `12 files`. */
export function fileCount(count: number): string {
  return count === 1 ? t('1 file') : t('{0} files', count);
}

/** `1 damaged backup`, `12 damaged backups`. */
export function damagedCount(count: number): string {
  return count === 1 ? t('1 damaged backup') : t('{0} damaged backups', count);
}

/** What a row of a database says beside its name: trouble first, because a narrow view cuts the end off. */
export function databaseDescription(database: Database, now: number): string {
  if (database.job !== undefined) return progressText(database.job, now);
  const size = formatBytes(database.file.sizeBytes);
  const good = newestNotDamaged(database);
  const age = good && relativeTime(good.createdAt, now);
  if (database.failure !== undefined) return t('backup failed · {0}', size);
  if (age === undefined) {
    if (isRestoredName(database.path)) return t('copy of a backup · {0}', size);
    if (!database.isListed) return t('backups unknown · {0}', size);
    return database.attention === 'damaged'
      ? t('only damaged backups · {0}', size)
      : t('never backed up · {0}', size);
  }
  if (database.attention === 'damaged') {
    return t('newest backup damaged, good one {0} · {1}', age, size);
  }
  return database.attention === 'stale'
    ? t('changed since backup {0} · {1}', age, size)
    : good?.bundle !== undefined
      ? t('bundled {0} · {1}', age, size)
      : t('backed up {0} · {1}', age, size);
}
