/** What is to be read before everything else. */
import { isOfThisRestore } from '../interruption.ts';
import type { Action, Notice } from '../protocol.ts';
import type { Restoration } from '../restoration.ts';
import { currentStep, isCopied, isUnderWay } from '../run.ts';
import { lostWords, shortened } from '../words.ts';
import { button, saveButton } from './buttons.ts';

export function notices(restore: Restoration): Notice[] {
  const { interrupted, failure, plan, host, run, unsaved } = restore;
  const { t } = host;
  const found: Notice[] = [];
  if (interrupted !== undefined) {
    found.push({
      ...{ id: 'notice-interrupted', kind: 'warning' },
      title:
        interrupted.action === 'undo'
          ? t('The undo was interrupted.')
          : isOfThisRestore(interrupted, restore)
            ? t('This restore was interrupted.')
            : t('Another restore to the same place was interrupted.'),
      text: t(
        '{0} Nothing is lost. Finish it, or roll it back.',
        shortened(
          interrupted.words,
          interrupted.items.map(({ realTarget }) => realTarget),
          host,
        ),
      ),
      actions: [
        button(restore, 'finish', t('Finish'), 'primary', {
          enabled: interrupted.can.includes('finish'),
        }),
        button(restore, 'roll-back', t('Roll Back'), 'secondary', {
          enabled: interrupted.can.includes('roll-back'),
        }),
      ],
    });
  }
  if (unsaved.length > 0 && !isCopied(run)) {
    found.push({
      ...{ id: 'notice-unsaved', kind: 'error' },
      title: t('Do not stop {0} yet: data would be lost.', lostWords(unsaved)),
      text: t(
        '{0} was deleted or replaced while the program has it open. Only the program still has its content. Save it, then stop the program.',
        unsaved.flatMap(({ names }) => names).join(', '),
      ),
      actions: [saveButton(restore, 'save-lost-first')],
    });
  }
  if (plan?.verified === 'damaged' && !isUnderWay(run)) {
    found.push({
      ...{ id: 'notice-damaged', kind: 'error', title: t('This backup is damaged.') },
      text: [
        ...plan.findings.map(({ message }) => message),
        t('It replaces no database: choose another backup, or restore it to a new file.'),
      ].join(' '),
      actions: [],
    });
  }
  const [beside] = run.besides ?? [];
  if (run.destination === 'beside' && beside !== undefined && currentStep(run) === undefined) {
    found.push({
      ...{ id: 'notice-beside', kind: 'info' },
      title: t('The backup is in {0}.', restore.namesOf(run.besides ?? [])),
      text: t('The live database is unchanged. Look at the new file, then decide.'),
      actions: besideActions(restore),
    });
  }
  if (failure?.step === 'undo') {
    const dismiss = button(restore, 'dismiss', t('Dismiss'), 'secondary');
    found.push({
      ...{ id: 'notice-failure', kind: 'error', title: t('It was not undone.') },
      text: failure.text,
      actions: [dismiss],
    });
  }
  return found;
}

function besideActions(restore: Restoration): Action[] {
  const { run, host, livePaths } = restore;
  const { t } = host;
  const names = restore.namesOf(livePaths);
  return [
    button(restore, 'look-beside', t('Look Inside'), 'primary'),
    button(restore, 'compare-beside', t('Compare with Live'), 'secondary'),
    button(restore, 'reveal-beside', t('Reveal'), 'secondary'),
    ...(run.acceptsDamaged === true
      ? []
      : [button(restore, 'restore-now', t('Now Restore over {0}…', names), 'secondary')]),
  ];
}
