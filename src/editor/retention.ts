/** What retention removes, told to log and audit, after each way of asking for it. */
import * as vscode from 'vscode';
import type { Pruned } from '../core/catalog/keeping.ts';
import { isBackupError } from '../core/errors.ts';
import type { Trigger } from '../core/manifest/manifest.ts';
import type { WorkerClient } from '../worker/client.ts';
import type { Audit } from './audit.ts';
import type { Log } from './log.ts';
import type { Settings } from './settings.ts';

interface Parts {
  worker: WorkerClient;
  settings: Settings;
  log: Log;
  audit: Audit;
}

/** Removes what a plan lets go, and tells log and audit of each. */
export async function prune(
  { worker, log, audit }: Pick<Parts, 'worker' | 'log' | 'audit'>,
  folder: string,
  paths: string[],
  trigger: Trigger,
): Promise<Pruned> {
  const pruned = await worker.call('remove', { folder, paths });
  for (const path of pruned.removed) {
    log.info(`Removed by retention: ${path}.`);
    void audit.record({ what: 'prune', path, trigger, result: 'ok' });
  }
  for (const { path, message } of pruned.failures) log.warn(`Not removed: ${path}: ${message}`);
  return pruned;
}

interface BackedUp {
  uri: vscode.Uri;
  /** The backups folder. */
  folder: string;
  /** What retention counts together; undefined where the database could not be remembered. */
  group: string | undefined;
}

/** What retention did to the backups of databases that were just backed up. */
export interface Retained {
  removed: string[];
  removedBytes: number;
  /** Why not all that the rules let go is gone. */
  problems: string[];
}

/**
 * Applies the rules to the databases that were just backed up, and to no others, when the person has switched that on:
 * undefined when not. Never rejects for what can go wrong with it: the backups are good all the same.
 */
export async function retainAfterBackup(
  parts: Parts,
  done: readonly BackedUp[],
  trigger: Trigger,
): Promise<Retained | undefined> {
  if (!parts.settings.retainsAfterBackup() || !vscode.workspace.isTrusted) return undefined;
  const retained: Retained = { removed: [], removedBytes: 0, problems: [] };
  for (const { uri, folder, group } of done) {
    const policy = parts.settings.retention(uri);
    if (group === undefined || Object.keys(policy).length === 0) continue;
    try {
      const { remove } = await parts.worker.call('planPruning', { folder, policy, only: [group] });
      if (remove.length === 0) continue;
      const paths = remove.map(({ path }) => path);
      const { removed, failures } = await prune(parts, folder, paths, trigger);
      const gone = new Set(removed);
      retained.removed.push(...removed);
      for (const { path, sizeBytes } of remove) {
        if (gone.has(path)) retained.removedBytes += sizeBytes;
      }
      retained.problems.push(...failures.map(({ message }) => message));
    } catch (error) {
      parts.log.error(`Retention of the backups of ${uri.fsPath} failed`, error);
      const why = isBackupError(error)
        ? [error.message, error.hint].filter((part) => part !== undefined).join(' ')
        : vscode.l10n.t('internal error in SQLite Backup; the log has the details.');
      retained.problems.push(why);
    }
  }
  return retained;
}
