import { basename } from 'node:path';
import * as vscode from 'vscode';
import { notify } from '../inert.ts';
import type { Decision, RetentionPlan } from '../../core/retention.ts';
import { formatBytes } from '../../core/units.ts';
import { prune } from '../retention.ts';
import type { Parts } from './register.ts';

export interface RetentionResult {
  removed: string[];
  kept: number;
}

/** Shows what the rules keep and what they let go, with reasons, and removes only what the person agreed to. */
export async function applyRetention(parts: Parts): Promise<RetentionResult> {
  const { t } = vscode.l10n;
  const result: RetentionResult = { removed: [], kept: 0 };
  for (const { folder, workspaceFolder } of await parts.backups.folders()) {
    const policy = parts.settings.retention(workspaceFolder);
    const plan = await parts.worker.call('planPruning', { folder, policy });
    result.kept += plan.keep.length;
    if (plan.remove.length === 0) continue;
    const [review, remove] = [t('Review…'), t('Remove')];
    const size = formatBytes(sum(plan.remove));
    const question = t(
      'Retention would remove {0} backups ({1}) and keep {2}.',
      plan.remove.length,
      size,
      plan.keep.length,
    );
    const detail = plan.remove.slice(0, 10).map(line).join('\n');
    const answer = await notify.confirm(question, detail, remove, review);
    if (answer === review) await parts.documents.show(t('Retention.txt'), describe(plan));
    if (answer !== remove) continue;
    const paths = plan.remove.map(({ path }) => path);
    const { removed, failures } = await prune(parts, folder, paths, 'manual');
    result.removed.push(...removed);
    const [first] = failures;
    if (first !== undefined) void notify.error(first.message);
  }
  await parts.backups.refresh();
  if (result.removed.length === 0) {
    void notify.info(t('Retention removed nothing: {0} backups stay.', result.kept));
  }
  return result;
}

function sum(decisions: readonly Decision[]): number {
  return decisions.reduce((total, { sizeBytes }) => total + sizeBytes, 0);
}

function line({ path, sizeBytes, reasons }: Decision): string {
  return `${basename(path)}  ${formatBytes(sizeBytes)}  (${reasons.join(', ')})`;
}

function describe({ keep, remove }: RetentionPlan): string {
  const { t } = vscode.l10n;
  return [
    t('Goes: {0} backups, {1}', remove.length, formatBytes(sum(remove))),
    ...remove.map((one) => `  ${line(one)}`),
    '',
    t('Stays: {0} backups, {1}', keep.length, formatBytes(sum(keep))),
    ...keep.map((one) => `  ${line(one)}`),
    '',
  ].join('\n');
}
