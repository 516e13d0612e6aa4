/** What the person can do in a step, and what they have to see for it. */
import type { Holder } from '../../core/holders/holders.ts';
import type { StepId } from '../../core/runbook/runbook.ts';
import type { Action, Step, Tick } from '../protocol.ts';
import type { Restoration } from '../restoration.ts';
import { currentStep, isCopied, isUnderWay } from '../run.ts';
import { canEnd } from '../steps/holders.ts';
import { button, cancelButton, saveButton } from './buttons.ts';
import type { Wording } from './wording.ts';

type Controls = Partial<Pick<Step, 'holders' | 'checks' | 'confirm' | 'actions' | 'members'>>;

export function controlsOf(restore: Restoration, id: StepId, wording: Wording): Controls {
  const { busy, run, interrupted } = restore;
  if (busy !== undefined) {
    // A comparison is cancelled where it is shown.
    const isOver = busy.progress?.phase === 'publish' || busy.progress?.phase === 'move';
    const canStop = busy.step === id && id !== 'plan' && busy.canCancel && !isOver;
    return canStop ? { actions: [cancelButton(restore, 'cancel')] } : {};
  }
  // Between two pieces of work, all its buttons would come for a moment and go.
  if (restore.isActing || interrupted !== undefined) return {};
  if (id === 'plan') return planControls(restore);
  if (currentStep(run) !== id) return {};
  switch (id) {
    case 'stop':
      return stopControls(restore, wording);
    case 'move':
      return { actions: moveActions(restore) };
    case 'copy':
      return { actions: copyActions(restore) };
    case 'restart':
      return { actions: restartActions(restore) };
    case 'verify':
      return verifyControls(restore, wording);
    case 'clean-up':
      return { actions: cleanUpActions(restore) };
  }
}

function planControls(restore: Restoration): Controls {
  const { plan, run, host, failure } = restore;
  const { t } = host;
  if (isUnderWay(run) || isCopied(run) || run.ending !== undefined) return {};
  const isUndecided = run.destination === 'undecided';
  const items = run.items.map(({ live, chosen, member }, index): Tick => ({
    ...{ id: `item-${index}`, label: member ?? host.nameOf(live), ticked: chosen, enabled: true },
    ...(member !== undefined && { note: host.nameOf(live) }),
  }));
  const members = items.length > 1 &&
    isUndecided && { members: { label: t('Databases to restore'), items } };
  const change = isUndecided ? [] : [button(restore, 'change-mind', t('Change'), 'link')];
  if (plan === undefined) {
    const label = failure?.step === 'plan' ? t('Try Again') : t('Compare');
    const reason = t('Choose a database.');
    const compare = button(restore, 'compare-choice', label, 'primary', {
      ...{ enabled: restore.chosen.length > 0, reason },
    });
    return { ...members, actions: [compare, ...change] };
  }
  if (!isUndecided) return { actions: change };
  const isDamaged = plan.verified === 'damaged';
  const names = restore.namesOf(restore.livePaths);
  return {
    ...members,
    actions: [
      isDamaged
        ? button(restore, 'restore-damaged', t('Restore to a New File…'), 'secondary')
        : button(restore, 'restore-beside', t('Restore to a New File'), 'primary'),
      button(restore, 'restore-live', t('Restore over {0}…', names), 'secondary', {
        enabled: !isDamaged,
        reason: t('A damaged backup replaces no database. It can be restored to a new file.'),
      }),
    ],
  };
}

function stopControls(restore: Restoration, wording: Wording): Controls {
  const { seen, hasAgreed, host, unsaved } = restore;
  const { t } = host;
  const isFree = seen?.holders.length === 0;
  const mustSave = unsaved.length > 0;
  const isProved = isFree && seen?.known === 'all';
  return {
    holders: (seen?.holders ?? []).map((one) => holderOf(restore, one, wording)),
    ...(!isProved &&
      !mustSave && {
        confirm: {
          // Two ids: to confirm the one is not to confirm the other.
          id: isFree ? 'confirm-unseen' : 'confirm-open',
          ...{ ticked: hasAgreed, enabled: seen !== undefined },
          label: isFree
            ? t('No other program uses it.')
            : t('Continue anyway. Changes these programs make from now on may be lost.'),
        },
      }),
    actions: [
      ...(mustSave ? saveActions(restore) : taskButton(restore, 'run-stop-task', host.tasks.stop)),
      button(
        restore,
        'stop-done',
        t('Continue'),
        mustSave ? 'secondary' : kindBeside(restore, host.tasks.stop),
        {
          enabled: !mustSave && (isProved || (seen !== undefined && hasAgreed)),
          reason: mustSave
            ? t('Save what the program has open first.')
            : isFree
              ? t('Confirm that no other program uses it.')
              : t('A program has it open.'),
        },
      ),
      button(restore, 'check-stop', t('Look Again'), 'secondary'),
    ],
  };
}

function holderOf(restore: Restoration, holder: Holder, wording: Wording): Step['holders'][number] {
  const { t, extensionsPid } = restore.host;
  const { name, pid, isOurs, command, startedAt } = holder;
  const isKnown = isOurs === true || pid === extensionsPid;
  const notes = [
    isOurs === true ? t('a backup or a check of this extension') : undefined,
    pid === extensionsPid ? t('an extension in this window') : undefined,
    isKnown || command === name ? undefined : command,
    isKnown || startedAt === undefined ? undefined : t('since {0}', wording.day(startedAt)),
  ].filter((note) => note !== undefined);
  return {
    ...{ name, pid },
    ...(notes.length > 0 && { note: notes.join(' · ') }),
    ...(canEnd(restore, holder) && {
      action: button(restore, `end-${pid}`, t('End Process…'), 'secondary'),
    }),
  };
}

/** What ends with the program comes before all that could end it. */
function saveActions(restore: Restoration): Action[] {
  return [
    saveButton(restore, 'save-lost'),
    button(restore, 'give-up-lost', restore.host.t('Do Not Save…'), 'secondary'),
  ];
}

function taskButton(restore: Restoration, id: string, name: string): Action[] {
  const { t, isTrusted } = restore.host;
  if (name === '') return [];
  const reason = t('This folder is not trusted: tasks are not run. Do it by hand.');
  return [
    button(restore, id, t('Run Task "{0}"', name), isTrusted() ? 'primary' : 'secondary', {
      enabled: isTrusted(),
      reason,
    }),
  ];
}

/** The task leads on where there is one that can be run. */
function kindBeside({ host }: Restoration, task: string): Action['kind'] {
  return task === '' || !host.isTrusted() ? 'primary' : 'secondary';
}

function moveActions(restore: Restoration): Action[] {
  const { t } = restore.host;
  return [
    button(restore, 'move', t('Keep the Current Database'), 'primary'),
    button(restore, 'check-move', t('I Ran the Commands: Check'), 'secondary'),
  ];
}

function copyActions(restore: Restoration): Action[] {
  const {
    run,
    host: { t },
  } = restore;
  if (run.destination === 'beside') return [button(restore, 'copy', t('Try Again'), 'primary')];
  return [
    button(restore, 'copy', t('Copy the Backup into Place'), 'primary'),
    button(restore, 'check-copy', t('I Ran the Commands: Check'), 'secondary'),
  ];
}

function restartActions(restore: Restoration): Action[] {
  const { tasks, t } = restore.host;
  return [
    ...taskButton(restore, 'run-start-task', tasks.start),
    button(restore, 'restart-done', t('I Have Started It'), kindBeside(restore, tasks.start)),
  ];
}

function verifyControls(restore: Restoration, { spotChecks }: Wording): Controls {
  const { run, proofs, health, host } = restore;
  const { t } = host;
  const checks = spotChecks.map((label, index): Tick => {
    const id = `check-${index}`;
    return { id, label, ticked: run.ticked.includes(id), enabled: true };
  });
  const isProved = proofs !== undefined;
  const isWell = isProved && health?.ok !== false;
  return {
    checks,
    actions: [
      button(
        restore,
        'verify-again',
        isProved ? t('Check Again') : t('Check'),
        isWell ? 'secondary' : 'primary',
      ),
      button(restore, 'verify-done', t('Looks Good'), isWell ? 'primary' : 'secondary', {
        enabled: isProved,
        reason: t('Check first.'),
      }),
    ],
  };
}

function cleanUpActions(restore: Restoration): Action[] {
  const { setAsides, host } = restore;
  const { t } = host;
  if (setAsides.length === 0) return [button(restore, 'keep', t('Finish'), 'primary')];
  return [
    button(restore, 'keep', t('Keep the Previous Database'), 'primary'),
    button(restore, 'archive', t('Archive It as a Zip'), 'secondary', {
      enabled: host.backupsFolder !== undefined,
      reason: t('There is no backups folder.'),
    }),
    button(restore, 'delete', t('Delete It…'), 'danger'),
  ];
}
