/** What retention removes, told to log and audit, whoever asked for it. */
import * as vscode from 'vscode';
import type { Pruned } from '../core/keeping.ts';
import type { Trigger } from '../core/manifest.ts';
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
  /** What retention counts together. */
  group: string;
}

/**
 * Applies the rules to the databases that were just backed up, and to no others, when the person has switched that on.
 * A failure is told in the log: the backups are good all the same.
 */
export async function retainAfterBackup(
  parts: Parts,
  done: readonly BackedUp[],
  trigger: Trigger,
): Promise<void> {
  if (!parts.settings.retainsAfterBackup() || !vscode.workspace.isTrusted) return;
  for (const { uri, folder, group } of done) {
    const policy = parts.settings.retention(uri);
    if (Object.keys(policy).length === 0) continue;
    try {
      const plan = await parts.worker.call('planPruning', { folder, policy, only: [group] });
      const paths = plan.remove.map(({ path }) => path);
      if (paths.length > 0) await prune(parts, folder, paths, trigger);
    } catch (error) {
      parts.log.error(`Retention of the backups of ${uri.fsPath} failed`, error);
    }
  }
}
