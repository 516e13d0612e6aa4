import { tmpdir } from 'node:os';
import { basename } from 'node:path';
import * as vscode from 'vscode';
import { notify } from '../inert.ts';
import type { CatalogEntry } from '../../core/catalog.ts';
import type { Finding } from '../../core/manifest.ts';
import type { Parts } from './register.ts';
import { backupsFor, withCancel } from './selection.ts';

export interface VerifyResult {
  results: { path: string; status: string; findings: Finding[]; drill?: string }[];
}

/** Checks backups again, and with `drill` restores each for trial. The verdicts are kept in the manifests. */
export async function verify(
  parts: Parts,
  target: unknown,
  selection: unknown,
  { drill }: { drill: boolean },
): Promise<VerifyResult> {
  const entries = await backupsFor(parts, target, selection, { several: true });
  return verifyEntries(parts, entries, { drill });
}

/** Checks every backup of ours in the backups folders, the newest first. */
export async function verifyAll(parts: Parts): Promise<VerifyResult> {
  if (!parts.backups.isReady) await parts.backups.refresh();
  const own = parts.backups.entries.filter(({ manifest }) => manifest !== undefined);
  if (own.length === 0) void notify.info(vscode.l10n.t('There are no backups yet.'));
  return verifyEntries(parts, own, { drill: false });
}

async function verifyEntries(
  parts: Parts,
  entries: readonly CatalogEntry[],
  { drill }: { drill: boolean },
): Promise<VerifyResult> {
  const results: VerifyResult['results'] = [];
  if (entries.length === 0) return { results };
  const { t } = vscode.l10n;
  const title = drill ? t('Restoring for trial') : t('Verifying');
  await withCancel(title, async (signal, report) => {
    for (const [index, { path }] of entries.entries()) {
      report(t('{0} ({1} of {2})', basename(path), index + 1, entries.length));
      const verdict = await parts.worker.call(
        'verify',
        { path, drill, folder: tmpdir() },
        { signal },
      );
      const { status, findings } = verdict;
      results.push({
        path,
        status,
        findings,
        ...(verdict.drill && { drill: verdict.drill.status }),
      });
      parts.log.info(
        `Verified ${path}: ${status}${verdict.drill ? `, drill ${verdict.drill.status}` : ''}.`,
      );
      for (const { message } of [...findings, ...(verdict.drill?.findings ?? [])])
        parts.log.warn(`${path}: ${message}`);
    }
  });
  await parts.backups.refresh();
  void tell(parts, results);
  return { results };
}

async function tell({ log }: Parts, results: VerifyResult['results']): Promise<void> {
  const { t } = vscode.l10n;
  const showLog = t('Show Log');
  const bad = results.filter(({ status, drill }) => status === 'damaged' || drill === 'failed');
  const [first] = bad;
  if (first !== undefined) {
    const message = t(
      '{0} is damaged: {1} It is kept, and no longer counts as a good backup.',
      basename(first.path),
      first.findings[0]?.message ?? t('It could not be restored for trial.'),
    );
    const more = bad.length > 1 ? t('{0} And {1} more.', message, bad.length - 1) : message;
    if ((await notify.error(more, showLog)) === showLog) log.show();
    return;
  }
  const partial = results.filter(({ status }) => status === 'partial').length;
  const proved = results.filter(({ drill }) => drill === 'ok').length;
  const message =
    proved > 0
      ? t('Proved restorable: {0} of {1} backups.', proved, results.length)
      : partial > 0
        ? t('Verified {0} backups, {1} of them only as far as possible.', results.length, partial)
        : t('Verified {0} backups: all hold.', results.length);
  if ((await notify.info(message, showLog)) === showLog) log.show();
}
