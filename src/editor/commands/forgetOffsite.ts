import * as vscode from 'vscode';
import type { CopyDecision, ForgetPlan } from '../../core/offsite/forget.ts';
import { formatBytes } from '../../core/units.ts';
import { inertLine, notify } from '../inert.ts';
import { copyCount } from '../messages.ts';
import { dayAndTime } from '../times.ts';
import type { Parts } from './parts.ts';
import { withCancel } from './selection.ts';

const mostNamed = 10;

/** Shows restic's plan for old copies in our words, and removes only what the person agreed to. */
export async function forgetOffsite(parts: Parts): Promise<{ removed: number }> {
  const { t } = vscode.l10n;
  const { offsite, settings, worker } = parts;
  const result = { removed: 0 };
  const destinations = offsite.destinations().filter(({ engine }) => engine === 'restic');
  if (destinations.length === 0) {
    void notify.info(t('No off-machine copies are set up with restic.'));
    return result;
  }
  const policy = settings.retention(vscode.workspace.workspaceFolders?.[0]);
  const outcomes: string[] = [];
  for (const destination of destinations) {
    const { name } = destination;
    const access = { destination, secret: await offsite.secretOf(destination) };
    const plan = await withCancel(t('Looking at the copies in {0}', name), (signal) =>
      worker.call('offsitePlanForgetting', { ...access, policy }, { signal }),
    );
    if (plan.remove.length === 0) {
      const kept = plan.keep.length;
      outcomes.push(
        kept === 0
          ? t('There is no copy in {0}.', name)
          : t('Nothing to remove from {0}: the rules keep {1}.', name, copyCount(kept)),
      );
      continue;
    }
    if (!(await isAgreed(parts, name, plan))) continue;
    const ids = plan.remove.map(({ id }) => id);
    const { removed } = await withCancel(t('Removing copies from {0}', name), () =>
      worker.call('offsiteForget', { ...access, ids }),
    );
    result.removed += removed.length;
    outcomes.push(t('{0} removed from {1}.', copyCount(removed.length), name));
  }
  if (outcomes.length > 0) void notify.info(outcomes.join(' '));
  if (result.removed > 0) await parts.backups.refresh();
  return result;
}

async function isAgreed(
  { documents }: Parts,
  name: string,
  { keep, remove }: ForgetPlan,
): Promise<boolean> {
  const { t } = vscode.l10n;
  const [review, agree] = [t('Review…'), t('Remove')];
  const more = remove.length - mostNamed;
  const detail = [
    t('The limit for the total size does not apply to off-machine copies.'),
    ...remove.slice(0, mostNamed).map(line),
    ...(more > 0 ? [t('and {0} more', more)] : []),
  ].join('\n');
  const question = t(
    'Remove {0} from {1} and keep {2}?',
    copyCount(remove.length),
    name,
    keep.length,
  );
  // The first one is what Enter presses.
  const answer = await notify.confirm(question, detail, review, agree);
  if (answer === review)
    await documents.show(
      t('Off-machine copies.txt'),
      [t('Remove:'), ...remove.map(line), '', t('Keep:'), ...keep.map(line), ''].join('\n'),
    );
  return answer === agree;
}

function line({ name, createdAt, sizeBytes, reasons }: CopyDecision): string {
  return `  ${inertLine(name)}  ${dayAndTime(createdAt, Date.now())}  ${formatBytes(sizeBytes)}  (${reasons.join('; ')})`;
}
