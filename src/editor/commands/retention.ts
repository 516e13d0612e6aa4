import { basename, dirname, resolve } from 'node:path';
import * as vscode from 'vscode';
import type { Decision, RetentionPlan } from '../../core/catalog/retention.ts';
import { formatBytes } from '../../core/units.ts';
import { commands } from '../contributed.ts';
import { section } from '../ids.ts';
import { inertLine, notify } from '../inert.ts';
import { backupCount } from '../messages.ts';
import { prune } from '../retention.ts';
import type { Parts } from './parts.ts';

export interface RetentionResult {
  removed: string[];
  /** How many backups of this workspace there are afterwards. */
  kept: number;
}

/** What the rules of one workspace folder mean for its backups. */
interface FolderPlan extends RetentionPlan {
  /** The backups folder. */
  folder: string;
}

const mostNamed = 10;

/** Shows what the rules keep and what they let go, with reasons, and removes only what the person agreed to. */
export async function applyRetention(parts: Parts): Promise<RetentionResult> {
  const { t } = vscode.l10n;
  await parts.backups.refresh();
  const plans = await planAll(parts);
  const keep = plans.flatMap((plan) => plan.keep);
  const remove = plans.flatMap((plan) => plan.remove);
  const result: RetentionResult = { removed: [], kept: keep.length + remove.length };
  if (remove.length === 0) {
    void tellNothingGoes(parts, result.kept);
    return result;
  }
  const [review, agree] = [t('Review…'), t('Remove')];
  const size = formatBytes(sum(remove));
  const question = t(
    'Retention would delete {0} ({1}) and keep {2}.',
    backupCount(remove.length),
    size,
    keep.length,
  );
  const more = remove.length - mostNamed;
  const detail = [
    ...remove.slice(0, mostNamed).map(line),
    ...(more > 0 ? [t('and {0} more', more)] : []),
  ].join('\n');
  // The first one is what Enter presses.
  const answer = await notify.confirm(question, detail, review, agree);
  if (answer === review) {
    await parts.documents.show(t('Retention.txt'), describe({ keep, remove }));
    void askAgain(question);
  }
  if (answer !== agree) return result;
  const problems: string[] = [];
  for (const plan of plans) {
    if (plan.remove.length === 0) continue;
    const paths = plan.remove.map(({ path }) => path);
    const { removed, failures } = await prune(parts, plan.folder, paths, 'manual');
    result.removed.push(...removed);
    problems.push(...failures.map(({ message }) => message));
  }
  result.kept -= result.removed.length;
  const gone = new Set(result.removed);
  const removedBytes = sum(remove.filter(({ path }) => gone.has(path)));
  await parts.backups.refresh();
  void tellRemoved(parts, result, removedBytes, problems);
  return result;
}

async function tellRemoved(
  { log }: Parts,
  { removed, kept }: RetentionResult,
  removedBytes: number,
  [problem]: string[],
): Promise<void> {
  const { t } = vscode.l10n;
  const showLog = t('Show Log');
  const done = t(
    'Retention deleted {0} ({1}) and kept {2}.',
    ...[backupCount(removed.length), formatBytes(removedBytes), backupCount(kept)],
  );
  const answer =
    problem === undefined
      ? await notify.info(done, showLog)
      : await notify.error(t('{0} Some could not be deleted: {1}', done, problem), showLog);
  if (answer === showLog) log.show();
}

/** Only the workspace's own databases: others may share its backups folder, and their rules are not known here. */
async function planAll(parts: Parts): Promise<FolderPlan[]> {
  const plans: FolderPlan[] = [];
  const planned = new Set<string>();
  for (const workspaceFolder of vscode.workspace.workspaceFolders ?? []) {
    const chosen = await parts.folder.resolve(workspaceFolder);
    if (chosen === undefined) continue;
    const folder = resolve(chosen);
    const only = parts.backups.entries.flatMap(({ path, group, workspace }) => {
      const isOwn = workspace === undefined || workspace === basename(workspaceFolder.uri.fsPath);
      if (group === undefined || !isOwn || dirname(path) !== folder || planned.has(path)) return [];
      planned.add(path);
      return [group];
    });
    if (only.length === 0) continue;
    const policy = parts.settings.retention(workspaceFolder);
    plans.push({ folder, ...(await parts.worker.call('planPruning', { folder, policy, only })) });
  }
  return plans;
}

async function tellNothingGoes({ settings }: Parts, kept: number): Promise<void> {
  const { t } = vscode.l10n;
  const hasRules = (vscode.workspace.workspaceFolders ?? []).some(
    (folder) => Object.keys(settings.retention(folder)).length > 0,
  );
  if (hasRules || kept === 0) {
    void notify.info(t('Retention deletes nothing. All stay: {0}.', backupCount(kept)));
    return;
  }
  const openSettings = t('Open Settings');
  const message = t('No retention rule is set. All stay: {0}.', backupCount(kept));
  if ((await notify.info(message, openSettings)) !== openSettings) return;
  await vscode.commands.executeCommand('workbench.action.openSettings', `${section}.retention`);
}

/** After reading, the question comes again, about what is there by then. */
async function askAgain(question: string): Promise<void> {
  const apply = vscode.l10n.t('Apply Retention…');
  if ((await notify.info(question, apply)) !== apply) return;
  await vscode.commands.executeCommand(commands.applyRetention);
}

function sum(decisions: readonly Decision[]): number {
  return decisions.reduce((total, { sizeBytes }) => total + sizeBytes, 0);
}

function line({ path, sizeBytes, reasons }: Decision): string {
  return `${inertLine(basename(path))}  ${formatBytes(sizeBytes)}  (${reasons.join('; ')})`;
}

function describe({ keep, remove }: RetentionPlan): string {
  const { t } = vscode.l10n;
  return [
    t('Delete: {0}, {1}', backupCount(remove.length), formatBytes(sum(remove))),
    ...remove.map((one) => `  ${line(one)}`),
    '',
    t('Keep: {0}, {1}', backupCount(keep.length), formatBytes(sum(keep))),
    ...keep.map((one) => `  ${line(one)}`),
    '',
  ].join('\n');
}
