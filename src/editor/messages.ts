/** All that is said to people in notifications and rows: facts in, words out. */
import { basename } from 'node:path';
import * as vscode from 'vscode';
import type { BackupError } from '../core/errors.ts';
import { ownLosses } from '../core/manifest/loss.ts';
import type { Finding, Manifest, OutOfStep, VerdictStatus } from '../core/manifest/manifest.ts';
import { outOfStepNames } from '../core/manifest/verdictWords.ts';
import { formatBytes, formatDuration } from '../core/units.ts';
import { type Attention, newestGood } from './attention.ts';
import type { BackUpResult, Database } from './backups.ts';
import { folderName } from './backupsFolder.ts';
import { lossTexts, offerTexts } from './lossMessages.ts';
import type { Retained } from './retention.ts';
import type { Job } from './runningJobs.ts';

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
      return message;
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
        ? t(
            'Backed up {0} databases at the same moment: {1}.',
            done.length,
            formatBytes(totalBytes(done)),
          )
        : t(
            'Backed up {0} databases, each consistent in itself: {1}.',
            done.length,
            formatBytes(totalBytes(done)),
          );
  }
  const reason = errorMessage(firstFailure.error, databaseName(firstFailure.uri));
  if (done.length === 0 && failed.length === 1) return reason;
  const all = done.length + failed.length;
  return cut === 'one-instant'
    ? t('Backed up {0} of {1} databases at the same moment. {2}', done.length, all, reason)
    : t('Backed up {0} of {1} databases. {2}', done.length, all, reason);
}

function totalBytes(done: BackUpResult['done']): number {
  return done.reduce((sum, { snapshot }) => sum + snapshot.manifest.sizeBytes, 0);
}

/** What an error means and what to do next, in the person's language, naming the database as the person knows it. */
export function errorMessage(error: BackupError, name: string): string {
  const facts = error.facts ?? {};
  const folder = error.path === undefined ? '' : folderName(error.path);
  switch (error.code) {
    case 'source-missing':
      if (facts['reason'] === 'still-open')
        return t(
          '{0} does not exist, but {1} (pid {2}) still has it open. Save its content before that program ends.',
          name,
          String(facts['program']),
          String(facts['pid']),
        );
      return t(
        '{0} does not exist: there is no file at {1}. Check the path.',
        name,
        error.path ?? name,
      );
    case 'source-busy':
      // It is no lock: it changes, or locks would not reach the program.
      if (facts['reason'] === 'changed' || facts['reason'] === 'other-side')
        return [error.message, error.hint ?? ''].join(' ').trim();
      return facts['program'] === undefined
        ? t(
            '{0} is locked by another program. Nothing was written. Close its transaction and try again.',
            name,
          )
        : t(
            '{0} is locked by another program ({1}, pid {2}). Nothing was written. Close its transaction and try again.',
            name,
            String(facts['program']),
            Number(facts['pid']),
          );
    case 'not-a-database':
      if (facts['backup'] !== undefined) return restorable(name, facts);
      return facts['reason'] === 'empty'
        ? t('{0} is empty (0 bytes): there is nothing to back up yet.', name)
        : t('{0} is not a SQLite database. It was left alone.', name);
    case 'encrypted-or-not-sqlite':
      return t(
        '{0} is not a plain SQLite file (encrypted, or another format). It was left alone.',
        name,
      );
    case 'corrupt':
      if (facts['backup'] !== undefined) return restorable(name, facts);
      return facts['suspect'] === undefined
        ? t('{0} is damaged, so there is no backup of it. Restore it from an older one.', name)
        : t(
            '{0} is damaged. This copy does not count as a backup and is kept as {1}.',
            name,
            basename(String(facts['suspect'])),
          );
    case 'hot-journal':
      return t(
        '{0} was interrupted in the middle of a transaction. Open it once with the program that wrote it, which repairs it, then back up again.',
        name,
      );
    case 'read-only-media':
      return t(
        '{0} is in WAL mode in a folder that cannot be written, so SQLite cannot read it there. Copy it together with its -wal file elsewhere and back up that.',
        name,
      );
    case 'source-fs-full':
      return t(
        'The disk of {0} is full, and WAL mode needs a little room there. Free some space and try again.',
        name,
      );
    case 'target-full':
      return facts['neededBytes'] === undefined
        ? t('Not enough space in {0}. Nothing was written.', folder)
        : t(
            'Not enough space in {0}: {1} needed, {2} free. Nothing was written.',
            folder,
            formatBytes(Number(facts['neededBytes'])),
            formatBytes(Number(facts['availableBytes'])),
          );
    case 'access':
      return t('{0} Nothing was written. {1}', error.message, error.hint ?? '').trim();
    case 'deadline':
      return t('{0} took too long and was stopped. Nothing was written.', name);
    case 'worker-died':
      return t('The backup of {0} ended unexpectedly. Try again; the log has the details.', name);
    case 'cancelled':
      return t('Cancelled: {0} was not backed up.', name);
    case 'newer-format':
      return t('{0} was written by a newer version. Update SQLite Backup.', name);
    case 'too-large':
      return t(
        '{0} has {1}, more than the limit of {2}. Nothing was written. Raise sqliteBackup.maxSize if the size is real.',
        name,
        formatBytes(Number(facts['sizeBytes'])),
        formatBytes(Number(facts['largestBytes'])),
      );
    case 'feature-missing':
    case 'incomplete':
    case 'name-taken':
    case 'bad-name':
    case 'backup-damaged':
    case 'not-proved':
    case 'target-in-use':
    case 'io-error':
    case 'bad-setting':
    case 'internal':
      return [error.message, error.hint].filter((part) => part !== undefined).join(' ');
  }
}

/** A damaged database that has backups. */
function restorable(name: string, facts: NonNullable<BackupError['facts']>): string {
  const kept =
    facts['suspect'] === undefined
      ? ''
      : t('The damaged file is kept as {0}.', basename(String(facts['suspect'])));
  const text = t(
    '{0} is damaged. Restore its newest good backup, {1}.',
    name,
    basename(String(facts['backup'])),
  );
  return [text, kept].join(' ').trim();
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

/** `2 min ago`; exact times are for tooltips. */
export function relativeTime(iso: string, now: number): string {
  const minutes = Math.floor((now - Date.parse(iso)) / 60_000);
  if (minutes < 1) return t('just now');
  if (minutes < 60) return t('{0} min ago', minutes);
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return t('{0} h ago', hours);
  const days = Math.floor(hours / 24);
  return days === 1 ? t('1 day ago') : t('{0} days ago', days);
}

/** `13:45`, local time. */
export function timeOfDay(iso: string): string {
  return format({ hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }, iso);
}

/** `Today 13:45`, `Yesterday 18:00`, `Nov 19, 13:45`, and the year when it is another. Local time. */
export function dayAndTime(iso: string, now: number): string {
  const time = timeOfDay(iso);
  const days = daysBefore(iso, now);
  if (days === 0) return t('Today {0}', time);
  if (days === 1) return t('Yesterday {0}', time);
  return t('{0}, {1}', format({ month: 'short', day: 'numeric', ...yearOf(iso, now) }, iso), time);
}

/** `Today`, `Yesterday`, then `Thu, Nov 19`: what groups the backups of a day. */
export function dayName(iso: string, now: number): string {
  const days = daysBefore(iso, now);
  if (days === 0) return t('Today');
  if (days === 1) return t('Yesterday');
  return format({ weekday: 'short', month: 'short', day: 'numeric', ...yearOf(iso, now) }, iso);
}

/** The year is said only when it is another one. */
function yearOf(iso: string, now: number): Intl.DateTimeFormatOptions {
  return new Date(iso).getFullYear() === new Date(now).getFullYear() ? {} : { year: 'numeric' };
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** Making a format takes longer than using it, and a folder may hold thousands of backups. */
function format(options: Intl.DateTimeFormatOptions, iso: string): string {
  const key = JSON.stringify(options);
  const known = formats.get(key) ?? new Intl.DateTimeFormat(vscode.env.language, options);
  formats.set(key, known);
  return known.format(new Date(iso));
}

function daysBefore(iso: string, now: number): number {
  const midnight = new Date(now).setHours(0, 0, 0, 0);
  return Math.round((midnight - new Date(iso).setHours(0, 0, 0, 0)) / 86_400_000);
}

/** `2 never backed up, 1 backed up long ago`: what the number on the view is made of. */
export function attentionSummary(databases: readonly Database[]): string {
  const count = (attention: Attention): number =>
    databases.filter((database) => database.attention === attention).length;
  const parts = [
    [count('failed'), (n: number) => t('{0} failed', n)],
    [count('damaged'), (n: number) => t('{0} with a damaged backup', n)],
    [count('never'), (n: number) => t('{0} never backed up', n)],
    [count('stale'), (n: number) => t('{0} backed up long ago', n)],
  ] as const;
  const facts = parts.flatMap(([n, say]) => (n === 0 ? [] : [say(n)]));
  return t('Databases that need attention: {0}', facts.join(', '));
}

/** `1 backup`, `12 backups`. */
export function backupCount(count: number): string {
  return count === 1 ? t('1 backup') : t('{0} backups', count);
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

/** The exact local time with its zone, for tooltips. */
export function exactTime(iso: string): string {
  return format({ dateStyle: 'full', timeStyle: 'long' }, iso);
}

/** What a row of a database says beside its name: trouble first, because a narrow view cuts the end off. */
export function databaseDescription(database: Database, now: number): string {
  if (database.job !== undefined) return progressText(database.job, now);
  const size = formatBytes(database.file.sizeBytes);
  const good = newestGood(database);
  const age = good && relativeTime(good.createdAt, now);
  if (database.failure !== undefined) return t('backup failed · {0}', size);
  if (age === undefined) {
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
      ? t('{0} · bundled {1}', size, age)
      : t('{0} · backed up {1}', size, age);
}
