import * as vscode from 'vscode';
import { isBackupError } from '../../core/errors.ts';
import type { Destination } from '../../core/offsite/destination.ts';
import type { Sent } from '../../core/offsite/send.ts';
import { formatBytes } from '../../core/units.ts';
import { commands } from '../contributed.ts';
import { notify } from '../inert.ts';
import { backupCount } from '../messages.ts';
import { said } from '../said.ts';
import type { Parts } from './parts.ts';
import { withCancel } from './selection.ts';

export interface OffsiteResult {
  sent: number;
  proved: number;
  waiting: number;
  failures: number;
}

/** From nothing to a copy that is proved off the machine: engine, address, password, and a question for a new repository. */
export async function setUpOffsite(parts: Parts): Promise<OffsiteResult | undefined> {
  const { t } = vscode.l10n;
  const { settings, offsite, worker } = parts;
  if (!vscode.workspace.isTrusted) {
    void notify.warn(t('Off-machine copies need a trusted workspace.'));
    return undefined;
  }
  const title = t('Set Up Off-Machine Copies');
  const engine = await vscode.window.showQuickPick(
    [
      {
        ...{ label: 'restic', description: t('encrypted, needs a password') },
        detail: t('S3, B2, Azure, Google Cloud, SFTP, REST, or a folder on another disk'),
      },
      {
        ...{ label: 'rclone', description: t('plain files') },
        detail: t('A remote that `rclone config` has set up, or a folder on another disk'),
      },
    ],
    { title, placeHolder: t('Which program sends the copies?') },
  );
  if (engine === undefined) return undefined;
  const isRestic = engine.label === 'restic';
  const repository = await vscode.window.showInputBox({
    ...{ title, ignoreFocusOut: true },
    prompt: isRestic
      ? t('Address of the restic repository, without a password in it')
      : t('Address of the rclone folder'),
    placeHolder: isRestic ? 'sftp:me@nas:/backups' : 'remote:backups',
  });
  if (repository === undefined || repository.trim() === '') return undefined;
  const before = settings.offsite();
  const place = {
    engine: isRestic ? ('restic' as const) : ('rclone' as const),
    repository: repository.trim(),
  };
  const same = before.find(
    (one) => one.engine === place.engine && one.repository === place.repository,
  );
  const destination: Destination = {
    // Set up again, it keeps what else its setting says, such as where the program is.
    ...same,
    ...place,
    name: same?.name ?? freeName(engine.label, before),
    what: same?.what ?? 'newest',
    when: same?.when ?? 'daily',
  };
  const secret = isRestic
    ? await vscode.window.showInputBox({
        ...{ title, password: true, ignoreFocusOut: true },
        prompt: t(
          'Password of the repository. It cannot be recovered, and no copy can be read without it: keep it in two places.',
        ),
      })
    : '';
  if (secret === undefined || (isRestic && secret === '')) return undefined;
  const access = { destination, ...(isRestic && { secret }) };
  try {
    await withCancel(title, (signal) => worker.call('offsiteSetUp', access, { signal }));
  } catch (error) {
    if (!isBackupError(error) || error.facts?.['reason'] !== 'no-repository') throw error;
    const create = t('Create Repository');
    const answer = await notify.confirm(
      t('There is no repository at this address yet.'),
      t(
        'The new repository is encrypted with the password that you have typed. A lost password cannot be recovered.',
      ),
      create,
    );
    if (answer !== create) return undefined;
    await withCancel(title, (signal) =>
      worker.call('offsiteSetUp', { ...access, create: true }, { signal }),
    );
  }
  if (isRestic) await offsite.keepSecret(destination, secret);
  const others = before.filter((one) => one.name !== destination.name);
  await settings.remember('offsite', [...others, destination]);
  return sendTo(parts, [destination]);
}

function freeName(engine: string, taken: readonly Destination[]): string {
  for (let n = 1; ; n++) {
    const name = n === 1 ? engine : `${engine} ${n}`;
    if (taken.every((one) => one.name !== name)) return name;
  }
}

/** Sends what is wanted at each destination now. */
export async function sendOffsite(parts: Parts): Promise<OffsiteResult | undefined> {
  const { t } = vscode.l10n;
  const destinations = parts.offsite.destinations();
  if (destinations.length > 0) return sendTo(parts, destinations);
  const setUp = t('Set Up Off-Machine Copies…');
  const words = vscode.workspace.isTrusted
    ? t('No off-machine copies are set up.')
    : t('Off-machine copies need a trusted workspace.');
  void notify.info(words, ...(vscode.workspace.isTrusted ? [setUp] : [])).then((answer) => {
    if (answer === setUp) void vscode.commands.executeCommand(commands.setUpOffsite);
  });
  return { sent: 0, proved: 0, waiting: 0, failures: 0 };
}

async function sendTo(
  { offsite }: Parts,
  destinations: readonly Destination[],
): Promise<OffsiteResult> {
  const { t } = vscode.l10n;
  const total: OffsiteResult = { sent: 0, proved: 0, waiting: 0, failures: 0 };
  const outcomes: { text: string; failed: boolean }[] = [];
  for (const destination of destinations) {
    const { name } = destination;
    const result = await withCancel(t('Sending to {0}', name), (signal, report) =>
      offsite.send(destination, {
        signal,
        onProgress: ({ phase, doneBytes, totalBytes }) => {
          const of = [formatBytes(doneBytes), formatBytes(totalBytes)];
          report(phase === 'prove' ? t('reading back {0} of {1}', ...of) : t('{0} of {1}', ...of));
        },
      }),
    );
    total.sent += result.sent.length;
    total.proved += result.proved.length;
    total.waiting += result.waiting.length;
    total.failures += result.failures.length;
    outcomes.push(outcomeOf(name, result));
  }
  const isFailure = outcomes.some(({ failed }) => failed);
  const show = isFailure ? notify.error : notify.info;
  void show(outcomes.map(({ text }) => text).join(' '));
  return total;
}

function outcomeOf(
  name: string,
  { sent, already, proved, failures, trouble }: Sent,
): { text: string; failed: boolean } {
  const { t } = vscode.l10n;
  const [failure] = failures;
  const good = (text: string): { text: string; failed: boolean } => ({ text, failed: false });
  if (trouble !== undefined)
    return good([said(trouble.message), said(trouble.hint ?? '')].join(' '));
  if (failure !== undefined) {
    const { message, hint = '' } = failure.error;
    return { text: [said(message), said(hint)].join(' '), failed: true };
  }
  if (sent.length + already.length === 0)
    return good(t('There is no backup to send yet. Back up a database first.'));
  return good(
    proved.length > 0
      ? t('Proved off-machine in {0}: {1}.', name, backupCount(proved.length))
      : t('{0} is up to date.', name),
  );
}
