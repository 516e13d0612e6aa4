/** The steps, each with how it stands. */
import {
  type RunbookStep,
  runbookSteps,
  type StepId,
  stepIds,
} from '../../core/runbook/runbook.ts';
import type { Line, Step } from '../protocol.ts';
import type { Restoration } from '../restoration.ts';
import { currentStep, setAsidesOf, stepsOf } from '../run.ts';
import { progressOf } from './progress.ts';
import { controlsOf } from './stepControls.ts';
import { linesOf } from './stepLines.ts';
import type { Wording } from './wording.ts';

export function steps(restore: Restoration, wording: Wording): Step[] {
  const texts = textsOf(restore);
  return stepIds.map((id, number) => {
    const { run, busy, host } = restore;
    const status = statusOf(restore, id);
    const isWatched = status === 'current' && (id === 'stop' || id === 'restart');
    const at = run.done[id]?.at;
    const log = run.log.filter((entry) => entry.step === id);
    return {
      // Ids are unique among all that the page shows, and buttons are called like their steps.
      ...{ id: `step-${id}`, number, status, title: titleOf(id, restore) },
      ...(isWatched && { statusText: host.t('watching…') }),
      ...(at !== undefined && { at: wording.time(at) }),
      ...aheadOf(restore, status, texts.get(id)),
      ...{ holders: [], checks: [], actions: [] },
      ...controlsOf(restore, id, wording),
      lines: [
        ...log.map((entry): Line => ({
          ...{ kind: 'proof', text: entry.text, at: wording.time(entry.at) },
        })),
        ...linesOf(restore, id),
      ],
      ...(busy?.step === id && { progress: progressOf(busy, host) }),
    };
  });
}

/** They are about a restore over the live database: a new file beside it has none. */
function textsOf({ knownPlan, run }: Restoration): Map<StepId, RunbookStep> {
  if (knownPlan === undefined || run.destination === 'beside') return new Map();
  const options = { now: new Date(run.startedAt), setAsides: setAsidesOf(run) };
  return new Map(runbookSteps(knownPlan, options).map((step) => [step.id, step]));
}

/** Only the move itself decides on the time in the names. */
function moveText({ knownPlan, host }: Restoration): string {
  const names = (knownPlan?.items ?? []).map(
    ({ realTarget }) => `${host.nameOf(realTarget)}.bad-…`,
  );
  return host.t(
    'The current database is kept as {0} with the files that SQLite has beside it. The application still sees it until step 3.',
    names.join(', '),
  );
}

/** What is to be done, and how by hand, until it is done. */
function aheadOf(
  restore: Restoration,
  status: Step['status'],
  text: RunbookStep | undefined,
): Pick<Step, 'summary' | 'commands'> {
  const isAhead = status === 'current' || status === 'waiting' || status === 'failed';
  if (!isAhead || text === undefined) return {};
  return {
    // What the plan says is on the cards above.
    ...(text.id !== 'plan' && {
      summary: text.id === 'move' ? moveText(restore) : restore.host.t(text.text),
    }),
    ...(text.sh.length > 0 && {
      commands: { posix: text.sh.join('\n'), powershell: text.powershell.join('\n') },
    }),
  };
}

function titleOf(id: StepId, { run, host: { t } }: Restoration): string {
  switch (id) {
    case 'plan':
      return t('Plan');
    case 'stop':
      return t('Stop everything that uses the database');
    case 'move':
      return t('Keep the current database');
    case 'copy':
      return run.destination === 'beside'
        ? t('Copy the backup to a new file')
        : t('Copy the backup into place');
    case 'restart':
      return t('Restart');
    case 'verify':
      return t('Verify');
    case 'clean-up':
      return t('Clean up');
  }
}

function statusOf(restore: Restoration, id: StepId): Step['status'] {
  const { run, busy, failure } = restore;
  if (!stepsOf(run).includes(id)) return 'skipped';
  if (busy?.step === id) return 'running';
  if (failure?.step === id) return 'failed';
  return run.done[id]?.how ?? (currentStep(run) === id ? 'current' : 'waiting');
}
