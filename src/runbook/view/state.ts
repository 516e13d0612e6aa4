/** What the page shows of a restore: facts in, one state out. Pure. */
import type { RunbookState } from '../protocol.ts';
import type { Restoration } from '../restoration.ts';
import { isCopied, isUnderWay } from '../run.ts';
import { pageWords } from '../words.ts';
import { button, cancelButton } from './buttons.ts';
import { backupCard, liveCard } from './cards.ts';
import { comparisons } from './comparisons.ts';
import { notices } from './notices.ts';
import { steps } from './steps.ts';
import type { Wording } from './wording.ts';

export function stateOf(restore: Restoration, wording: Wording): RunbookState {
  const { run, host, busy } = restore;
  const { t } = host;
  return {
    runbook: run.id,
    words: pageWords(t),
    title: t('Restore {0}', restore.namesOf(run.items.map(({ live }) => live))),
    subtitle: subtitle(restore),
    notices: notices(restore),
    from: backupCard(restore, wording),
    to: liveCard(restore),
    comparisons: comparisons(restore, wording),
    steps: steps(restore, wording),
    footer: footer(restore),
    busy: busy !== undefined,
    liveMessage: busy?.text ?? restore.failure?.text ?? '',
    shell: wording.shell,
  };
}

function subtitle({ run, setAsides, host: { t } }: Restoration): string {
  switch (run.ending) {
    case 'undone':
      return t('Undone: the previous database is back.');
    case 'kept':
      return setAsides.length > 0
        ? t('Finished. The previous database is kept. Undo puts it back.')
        : t('Finished.');
    case 'elsewhere':
      return t('Finished outside this page.');
    case 'archived':
    case 'deleted':
      return t('Finished.');
    case undefined:
  }
  if (run.destination === 'beside') {
    return isCopied(run)
      ? t('A new file was made. Nothing that existed was changed.')
      : t('A new file is made. Nothing that exists is changed.');
  }
  if (isCopied(run)) return t('The backup is live. You can undo until you clean up.');
  return isUnderWay(run)
    ? t('The live database is unchanged, and kept. You can undo until you clean up.')
    : t('Nothing is changed until step 2. You can stop at any point, and undo until you clean up.');
}

function footer(restore: Restoration): RunbookState['footer'] {
  const { run, host, setAsides, missingSetAsides, busy } = restore;
  const { t } = host;
  const lines = [
    ...(setAsides.length > 0
      ? [t('The previous database is kept as {0}.', restore.namesOf(setAsides))]
      : []),
    ...(missingSetAsides.length > 0
      ? [t('{0} no longer exists.', restore.namesOf(missingSetAsides))]
      : []),
    ...(!isUnderWay(run) && run.ending === undefined
      ? [t('Your current database is kept until you clean up.')]
      : []),
  ];
  const isOver = run.ending !== undefined && run.ending !== 'kept';
  return {
    text: run.destination === 'beside' || isOver ? '' : lines.join(' '),
    actions: [
      button(restore, 'export', t('Export Runbook…'), 'secondary', {
        enabled: restore.exportable !== undefined,
        reason: t('Export is available once the backup has been compared with the live database.'),
      }),
      ...(run.destination === 'beside' || isOver
        ? []
        : [
            busy?.step === 'undo' && busy.canCancel
              ? cancelButton(restore, 'cancel')
              : button(restore, 'undo', t('Undo…'), 'secondary', {
                  enabled: restore.canUndo,
                  reason: whyNoUndo(restore),
                }),
          ]),
    ],
  };
}

function whyNoUndo({ run, missingSetAsides, host: { t } }: Restoration): string {
  if (!isUnderWay(run) && run.ending === undefined) return t('Nothing was changed yet.');
  return missingSetAsides.length > 0
    ? t('The previous database no longer exists.')
    : t('There was no database before.');
}
