import { tmpdir } from 'node:os';
import { basename } from 'node:path';
import * as vscode from 'vscode';
import type { CatalogEntry } from '../../core/catalog/catalog.ts';
import { isBackupError } from '../../core/errors.ts';
import type { Finding, OutOfStep } from '../../core/manifest/manifest.ts';
import { outOfStepNames } from '../../core/manifest/verdictWords.ts';
import { notify } from '../inert.ts';
import { backupCount, fileCount, outOfStepName } from '../messages.ts';
import type { MemberRow } from '../rows.ts';
import { said } from '../said.ts';
import { backupTitle } from '../whichDatabase.ts';
import { memberRows, withFreshCopy } from './members.ts';
import type { Parts } from './parts.ts';
import { backupsFor, withCancel } from './selection.ts';

export interface VerifyResult {
  results: {
    path: string;
    status: string;
    findings: Finding[];
    outOfStep?: OutOfStep[];
    drill?: string;
  }[];
}

/** Checks backups again, and with `drill` restores each for trial. The verdicts are kept in the manifests. */
export async function verify(
  parts: Parts,
  target: unknown,
  selection: unknown,
  { drill }: { drill: boolean },
): Promise<VerifyResult> {
  const members = memberRows(target, selection);
  if (members.length > 0) return verifyMembers(parts, members);
  const entries = await backupsFor(parts, target, selection, {
    several: true,
    title: drill ? vscode.l10n.t('Test the Restore of Backups') : vscode.l10n.t('Verify Backups'),
  });
  return verifyEntries(parts, entries, { drill });
}

/** Each member on its own: its bytes by the hash in the manifest, a database also by SQLite's check. */
async function verifyMembers(parts: Parts, rows: readonly MemberRow[]): Promise<VerifyResult> {
  const { t } = vscode.l10n;
  const results = await withCancel(t('Verifying'), async (signal, report) => {
    const found: VerifyResult['results'] = [];
    for (const { entry, member } of rows) {
      report(member.name);
      const path = `${entry.path}#${member.name}`;
      found.push({ path, ...(await verifyMember(parts, entry, member, signal)) });
    }
    return found;
  });
  await recordDamage(parts, rows, results);
  void tell(parts, results, fileCount);
  return { results };
}

/** A bundle is as good as what is in it: with a damaged member it is checked as a whole, which its manifest keeps. */
async function recordDamage(
  { backups, worker }: Parts,
  rows: readonly MemberRow[],
  results: VerifyResult['results'],
): Promise<void> {
  const damaged = rows.filter((_row, index) => results[index]?.status === 'damaged');
  if (damaged.length === 0) return;
  for (const path of new Set(damaged.map(({ entry }) => entry.path))) {
    await worker.call('verify', { path, drill: false, folder: tmpdir() });
  }
  await backups.refresh();
}

async function verifyMember(
  parts: Parts,
  entry: CatalogEntry,
  member: MemberRow['member'],
  signal: AbortSignal,
): Promise<{ status: string; findings: Finding[] }> {
  const hasHash = member.sha256 !== undefined;
  try {
    return await withFreshCopy(parts, entry, member.name, async (copy) => {
      if (member.kind !== 'database') return { status: hasHash ? 'ok' : 'partial', findings: [] };
      const request = { path: copy, drill: false, folder: tmpdir() };
      const { status, findings } = await parts.worker.call('verify', request, { signal });
      // What it should contain is known from the bundle, whose hash it has.
      const real = findings.filter(({ code }) => code !== 'no-manifest');
      const isProved = real.length === 0 && status === 'partial' && hasHash;
      return { status: isProved ? 'ok' : status, findings: real };
    });
  } catch (error) {
    if (!isBackupError(error) || error.code !== 'backup-damaged') throw error;
    return { status: 'damaged', findings: [{ code: error.code, message: said(error.message) }] };
  }
}

/** Checks every backup of ours in the backups folders, the newest first. */
export async function verifyAll(parts: Parts): Promise<VerifyResult> {
  if (!parts.backups.isReady) await parts.backups.refresh();
  const own = parts.backups.entries.filter(({ kept }) => kept !== undefined);
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
  const title = drill ? t('Testing the restore') : t('Verifying');
  await withCancel(title, async (signal, report) => {
    for (const [index, { path }] of entries.entries()) {
      report(t('{0} ({1} of {2})', basename(path), index + 1, entries.length));
      const verdict = await parts.worker.call(
        'verify',
        { path, drill, folder: tmpdir() },
        { signal },
      );
      const { status, outOfStep, drill: outcome } = verdict;
      const isTried = outcome?.status !== 'unchecked' || status === 'unchecked';
      const findings = isTried ? verdict.findings : [...verdict.findings, ...outcome.findings];
      results.push({
        path,
        status,
        findings,
        ...(outOfStep !== undefined && { outOfStep }),
        ...(verdict.drill && { drill: verdict.drill.status }),
      });
      parts.log.info(
        `Verified ${path}: ${status}${verdict.drill ? `, drill ${verdict.drill.status}` : ''}.`,
      );
      for (const { message } of [...verdict.findings, ...(verdict.drill?.findings ?? [])])
        parts.log.warn(`${path}: ${message}`);
    }
  });
  await parts.backups.refresh();
  void tell(parts, results);
  return { results };
}

/** What could not be looked at comes first among the findings, a restore for trial that could not be tried last. */
function reasonOf({ status, findings }: VerifyResult['results'][number]): string {
  const reason = status === 'unchecked' ? findings[0] : findings.at(-1);
  return reason?.message ?? vscode.l10n.t('The log has the details.');
}

/** `count` says how many of what there are. */
async function tell(
  { log, backups }: Parts,
  results: VerifyResult['results'],
  count = backupCount,
): Promise<void> {
  const { t } = vscode.l10n;
  const showLog = t('Show Log');
  /** Of which database and time a backup is; `path#member` for a member. */
  const nameOf = (path: string): string => {
    const [file = path, member] = path.split('#');
    const entry = backups.entries.find((one) => one.path === file || one.path === path);
    if (entry === undefined) return basename(path);
    const isMember = entry.path !== path;
    return `${backupTitle(backups.names, entry, isMember ? member : undefined)} (${basename(path)})`;
  };
  const bad = results.filter(({ status, drill }) => status === 'damaged' || drill === 'failed');
  const [first] = bad;
  if (first !== undefined) {
    const message = t(
      '{0} is damaged: {1} It is kept, and no longer counts as a good backup.',
      nameOf(first.path),
      first.findings[0]?.message ?? t('The test restore failed.'),
    );
    const more = bad.length > 1 ? t('{0} And {1} more.', message, bad.length - 1) : message;
    if ((await notify.error(more, showLog)) === showLog) log.show();
    return;
  }
  const unchecked = results.filter(
    ({ status, drill }) => status === 'unchecked' || drill === 'unchecked',
  );
  const [firstUnchecked] = unchecked;
  if (firstUnchecked !== undefined) {
    const message = t(
      '{0} could not be checked: {1} Its earlier verdict stays.',
      nameOf(firstUnchecked.path),
      reasonOf(firstUnchecked),
    );
    const more =
      unchecked.length > 1 ? t('{0} And {1} more.', message, unchecked.length - 1) : message;
    if ((await notify.warn(more, showLog)) === showLog) log.show();
    return;
  }
  const outOfStep = results.flatMap((result) => result.outOfStep ?? []);
  const partial = results.filter(({ status }) => status === 'partial').length;
  const proved = results.filter(({ drill }) => drill === 'ok').length;
  const message =
    proved > 0
      ? t('Restore tested: {0} of {1}.', proved, backupCount(results.length))
      : outOfStep.length > 0
        ? t(
            'Verified {0}: all rows are there, {1} out of step. The log says what fixes it.',
            count(results.length),
            outOfStepNames(outOfStep, outOfStepName, (rest) => t('{0} more', rest)),
          )
        : partial > 0
          ? t('Verified {0}, {1} only as far as possible.', count(results.length), partial)
          : t('Verified {0}: nothing is wrong.', count(results.length));
  if ((await notify.info(message, showLog)) === showLog) log.show();
}
