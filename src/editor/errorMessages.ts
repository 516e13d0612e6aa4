/** What the editor says about an error: what, which database, why, what to do next. */
import { basename } from 'node:path';
import * as vscode from 'vscode';
import type { BackupError } from '../core/errors.ts';
import { formatBytes } from '../core/units.ts';
import { folderName } from './backupsFolder.ts';
import { said } from './said.ts';

const { t } = vscode.l10n;

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
        return [said(error.message), said(error.hint ?? '')].join(' ').trim();
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
      // Of several databases, the others may have been written.
      if (facts['database'] !== undefined && facts['neededBytes'] !== undefined)
        return t(
          'Not enough space in {0} for {1}: {2} needed, {3} free.',
          folder,
          name,
          formatBytes(Number(facts['neededBytes'])),
          formatBytes(Number(facts['availableBytes'])),
        );
      if (facts['database'] !== undefined)
        return t('Not enough space in {0} for {1}.', folder, name);
      return facts['neededBytes'] === undefined
        ? t('Not enough space in {0}. Nothing was written.', folder)
        : t(
            'Not enough space in {0}: {1} needed, {2} free. Nothing was written.',
            folder,
            formatBytes(Number(facts['neededBytes'])),
            formatBytes(Number(facts['availableBytes'])),
          );
    case 'access':
      return t('{0} Nothing was written. {1}', said(error.message), said(error.hint ?? '')).trim();
    case 'deadline':
      return t('{0} took too long and was stopped. Nothing was written.', name);
    case 'worker-died':
      return t('The backup of {0} ended unexpectedly. Try again; the log has the details.', name);
    case 'cancelled':
      return name === '' ? said(error.message) : t('Cancelled: {0} was not backed up.', name);
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
    case 'offsite':
    case 'internal':
      return [said(error.message), said(error.hint ?? '')].join(' ').trim();
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
