/** The steps "stop" and "restart", which wait for programs to close and to open the databases. */
import { BackupError } from '../../core/errors.ts';
import type { Holder } from '../../core/holders/holders.ts';
import type { StepId } from '../../core/runbook/runbook.ts';
import type { Restoration, Seen } from '../restoration.ts';
import { currentStep } from '../run.ts';
import { lostWords, named } from '../words.ts';
import { compareIfChanged } from './comparison.ts';
import { noteEnded, withLost } from './lostFiles.ts';

/** Looks in the steps that wait for it. What was seen counts only unless `isStale` says that it does not any more. */
export async function watch(restore: Restoration, isStale = (): boolean => false): Promise<void> {
  const { run, host } = restore;
  const step = currentStep(run);
  if (run.destination !== 'live' || (step !== 'stop' && step !== 'restart')) return;
  try {
    const seen = await findHolders(restore);
    if (isStale()) return;
    const { unsaved } = restore;
    restore.seen = seen;
    forgetFailure(restore, seen);
    if (step === 'stop') {
      rememberPrograms(restore);
      noteEnded(restore, unsaved);
    }
    const { known } = restore.openers;
    if (step === 'restart' && known.length > 0) {
      await restore.finish('restart', host.t('{0} has it open again, as before.', named(known)));
    }
  } catch (error) {
    if (isStale()) return;
    restore.fail(step, error, { isOfLook: true });
  }
  restore.changed();
}

function forgetFailure(restore: Restoration, { holders }: Seen): void {
  const { failure } = restore;
  const isOver = failure?.isOfLook === true || holders.length === 0;
  if (isOver && (failure?.step === 'stop' || failure?.step === 'restart')) {
    restore.failure = undefined;
  }
}

/** The programs that have it open before the restore are expected to open it again. */
export function rememberPrograms({ run, seen, host }: Restoration): void {
  const names = (seen?.holders ?? [])
    .filter(({ pid, isOurs }) => pid !== host.extensionsPid && isOurs !== true)
    .map(({ name }) => name);
  run.programs = [...new Set([...(run.programs ?? []), ...names])];
}

/** What the person says about the application, with what is seen. */
export async function endRestart(restore: Restoration): Promise<void> {
  const { t } = restore.host;
  const { known, unknown } = restore.openers;
  const names = named([...known, ...unknown]);
  await restore.finish(
    'restart',
    names === ''
      ? t('You confirmed that it is running.')
      : t('You confirmed that it is running: {0} has it open.', names),
    'confirmed',
  );
}

/** Asks first: what the program has not saved is lost. */
export async function endHolder(restore: Restoration, pid: number): Promise<void> {
  const { host, seen, livePaths: paths } = restore;
  const { t } = host;
  const program = seen?.holders.find((one) => one.pid === pid);
  if (program === undefined || !canEnd(restore, program)) return;
  const { name, command, startedAt } = program;
  const isAgreed = await host.confirm({
    message: t('End {0} (pid {1})?', name, String(pid)),
    detail: [
      ...(command === undefined ? [] : [command]),
      t('What it has not saved is lost. SQLite rolls its open transaction back.'),
    ].join('\n'),
    yes: t('End Process'),
    no: t('Let It Run'),
  });
  if (!isAgreed) return;
  const request = { paths, pid, ...(startedAt !== undefined && { startedAt }) };
  const isGone = await restore.work('stop', t('Ending {0}…', name), () =>
    host.worker.call('endProgram', request),
  );
  if (isGone === undefined) return;
  restore.record(
    'stop',
    isGone ? t('You ended {0}.', named([program])) : t('{0} was asked to end.', named([program])),
  );
  await restore.keep();
  await watch(restore);
  if (!isGone) restore.failInUse('stop', t('{0} has not ended yet.', named([program])));
}

/** Not our own processes, and not the first process of a container, with which all others end. */
export function canEnd({ host, unsaved }: Restoration, { pid, isOurs }: Holder): boolean {
  return pid > 1 && pid !== host.extensionsPid && isOurs !== true && unsaved.length === 0;
}

async function findHolders(restore: Restoration): Promise<Seen> {
  const { host, livePaths } = restore;
  return withLost(await host.worker.call('holders', { paths: livePaths }), restore);
}

async function lookNow(restore: Restoration, step: StepId): Promise<Seen | undefined> {
  const seen = await restore.work(step, restore.host.t('Checking again…'), () =>
    findHolders(restore),
  );
  if (seen !== undefined) restore.seen = seen;
  return seen;
}

/** Goes on once no program has it open, or the person has agreed to those that have, or to what cannot be seen. */
export async function endStop(restore: Restoration): Promise<void> {
  const { t } = restore.host;
  const seen = await lookNow(restore, 'stop');
  if (seen === undefined) return;
  rememberPrograms(restore);
  if (restore.unsaved.length > 0) {
    return restore.failInUse(
      'stop',
      t('{0} holds data that is in no file. Save it first.', lostWords(restore.unsaved)),
    );
  }
  const { holders, known } = seen;
  const isProved = holders.length === 0 && known === 'all';
  if (!isProved && !restore.hasAgreed) {
    return restore.failInUse(
      'stop',
      holders.length > 0
        ? t('A program still has it open.')
        : t('Confirm that no other program uses it.'),
    );
  }
  // A program that stops may write its last transactions, and they count.
  if (!(await compareIfChanged(restore, 'stop'))) return;
  restore.run.accepted = holders.map(({ pid }) => pid);
  const text = isProved
    ? t('No program has it open.')
    : holders.length > 0
      ? t('You chose to continue while {0} has it open.', named(holders))
      : t(
          'No program that this user can see has it open. You confirmed that no other program uses it.',
        );
  await restore.finish('stop', text, isProved ? 'done' : 'confirmed');
}

/**
 * Whether programs that the person lets go on have it open. Undefined when others have, which leads back to the step
 * "stop", or when it could not be looked.
 */
export async function lookOnceMore(
  restore: Restoration,
  step: StepId,
): Promise<{ ignoreHolders: boolean } | undefined> {
  const { run, host } = restore;
  const seen = await lookNow(restore, step);
  if (seen === undefined) return undefined;
  const accepted = run.accepted ?? [];
  const others = seen.holders.filter(({ pid }) => !accepted.includes(pid));
  if (others.length === 0 && restore.unsaved.length === 0)
    return { ignoreHolders: seen.holders.length > 0 };
  delete run.done.stop;
  restore.failInUse(
    'stop',
    others.length > 0
      ? host.t('{0} has it open again.', named(others))
      : host.t('{0} holds data that is in no file. Save it first.', lostWords(restore.unsaved)),
  );
  await restore.keep();
  return undefined;
}

/** True when programs have one of the files open, and the person has let all of them go on. */
export async function areAccepted({ run, host }: Restoration, paths: string[]): Promise<boolean> {
  const accepted = run.accepted ?? [];
  if (accepted.length === 0) return false;
  const { holders } = await host.worker.call('holders', { paths });
  return holders.length > 0 && holders.every(({ pid }) => accepted.includes(pid));
}

export async function runTask(restore: Restoration, step: 'stop' | 'restart'): Promise<void> {
  const { host } = restore;
  const purpose = step === 'stop' ? 'stop' : 'start';
  const name = host.tasks[purpose];
  const text = host.t('Running the task "{0}"…', name);
  await restore.work(step, text, async ({ signal }) => {
    const { ended, exitCode } = await host.runTask(name, purpose, signal);
    const how = !ended
      ? host.t('runs')
      : exitCode === undefined
        ? host.t('ended')
        : host.t('ended with {0}', String(exitCode));
    restore.record(step, host.t('Task "{0}" {1}.', name, how));
    await restore.keep();
    if (exitCode !== undefined && exitCode !== 0) {
      throw new BackupError('incomplete', host.t('The task "{0}" {1}.', name, how));
    }
    return true;
  });
  if (restore.failure === undefined) await watch(restore);
}
