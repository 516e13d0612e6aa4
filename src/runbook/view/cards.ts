/** What is restored, and over what. */
import type { PlannedItem } from '../../core/restore/plan.ts';
import { formatBytes } from '../../core/units.ts';
import type { Host } from '../host.ts';
import type { Card } from '../protocol.ts';
import type { Restoration } from '../restoration.ts';
import { isCopied, type Run } from '../run.ts';
import type { Wording } from './wording.ts';

export function backupCard({ knownPlan: plan, run, host }: Restoration, wording: Wording): Card {
  const { t } = host;
  if (plan === undefined) {
    const title = host.nameOf(run.backup);
    return { label: t('Backup'), title, facts: [...wording.backupFacts], lines: [] };
  }
  return {
    label: plan.kind === 'bundle' ? t('Bundle') : t('Backup'),
    title: `${wording.day(plan.createdAt)} · ${formatBytes(plan.sizeBytes)}`,
    facts: [host.nameOf(plan.backup), wording.verdict(plan), ...wording.backupFacts],
    lines: plan.findings.map(({ message }) => ({
      kind: plan.verified === 'damaged' ? 'error' : 'warning',
      text: message,
    })),
  };
}

export function liveCard(restore: Restoration): Card {
  const { knownPlan: plan, run, host } = restore;
  const { t } = host;
  const label = liveLabel(run, t);
  const title = restore.namesOf(run.items.map(({ live }) => live));
  const [only] = plan?.items ?? [];
  if (only === undefined || plan === undefined || plan.items.length > 1) {
    return { label, title, facts: [], lines: [] };
  }
  const isLink = only.realTarget !== only.target;
  return {
    label,
    title: only.targetExists ? `${title} · ${formatBytes(only.targetSizeBytes)}` : title,
    facts: [
      targetWord(only, host.t),
      ...(only.siblings.includes('-wal') ? [t('WAL mode')] : []),
      ...(only.siblings.includes('-journal') ? [t('with -journal')] : []),
      ...(isLink ? [t('a link to {0}', host.nameOf(only.realTarget))] : []),
    ],
    lines: [],
  };
}

/** What is known of it is what was there before the copy. */
function liveLabel(run: Run, t: Host['t']): string {
  const { items, destination, ending } = run;
  const isReplaced = isCopied(run) && destination === 'live' && ending !== 'undone';
  if (items.length > 1) return isReplaced ? t('Replaced databases') : t('Live databases');
  return isReplaced ? t('Replaced database') : t('Live database');
}

function targetWord({ targetState, targetReason }: PlannedItem, t: Host['t']): string {
  switch (targetState) {
    case 'missing':
      return t('the file does not exist');
    case 'readable':
      return t('Readable');
    case 'empty':
      return t('empty');
    case 'damaged':
    case 'not-a-database':
    case 'unreadable':
      return targetReason ?? t('cannot be read');
  }
}
