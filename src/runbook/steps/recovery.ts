/** What was interrupted, or brought to an end while the page did not look: the intents on the disk tell. */
import { findInterruptions, ownInterruption } from '../interruption.ts';
import type { Restoration } from '../restoration.ts';
import { currentStep, isCopied, setAsidesOf } from '../run.ts';
import { movedWords } from './move.ts';

export async function lookAtDisk(restore: Restoration): Promise<void> {
  const { run, host } = restore;
  restore.interrupted = undefined;
  if (run.ending !== undefined && run.ending !== 'kept') return restore.changed();
  try {
    const all = await findInterruptions(restore, host);
    const own = ownInterruption(all, restore);
    // Moved and not yet copied is a step of the runbook, and no interruption.
    const isBetween = own?.items.some(({ live }) => live !== 'old') ?? false;
    const isOurs = own !== undefined && own.id === run.moved?.id;
    const isCutOff = isOurs && run.isCopying === true && !isCopied(run);
    if (isBetween || isCutOff) restore.interrupted = own;
    const isWaiting = run.moved !== undefined && !isCopied(run) && run.ending === undefined;
    if (isWaiting && !all.some(({ id }) => id === run.moved?.id)) await noteEnd(restore);
  } catch (error) {
    restore.fail(currentStep(run) ?? 'copy', error);
  }
  restore.changed();
}

/** The intent of this restore is gone: it was finished or rolled back. */
function noteEnd(restore: Restoration): Promise<void> {
  const { host, run } = restore;
  const { t } = host;
  const kept = setAsidesOf(run);
  const lives = (run.moved?.items ?? []).map(({ realTarget }) => realTarget);
  if ((kept.length > 0 ? kept : lives).every((path) => host.exists(path))) {
    return restore.finish('copy', t('It was brought to its end while this page did not look.'));
  }
  return restore.end(
    'elsewhere',
    t(
      'It was rolled back or cleaned up outside of this page. Look at {0}.',
      restore.namesOf(lives),
    ),
  );
}

export async function recover(restore: Restoration, how: 'finish' | 'roll-back'): Promise<void> {
  const { host, run, interrupted } = restore;
  const { t } = host;
  const intent = interrupted?.intent ?? run.moved?.intent;
  if (intent === undefined) return;
  const text = how === 'finish' ? t('Finishing…') : t('Rolling back…');
  const done = await restore.work('copy', text, (options) =>
    host.worker.call('recoverInterrupted', { intent, how }, options),
  );
  if (done === undefined) return lookAtDisk(restore);
  restore.interrupted = undefined;
  for (const { message } of done.remarks) restore.record('copy', message);
  const isUndo = interrupted?.action === 'undo';
  if (!isUndo && how === 'finish') {
    const kept = done.items.flatMap(({ setAside, realTarget }) =>
      setAside === undefined ? [] : [{ path: setAside, target: realTarget }],
    );
    if (kept.length > 0) run.alsoKept = kept;
    host.note('restore', run.backup, 'ok');
    await restore.finish('move', movedWords(restore));
    return restore.finish('copy', t('Finished: the backup is in place.'));
  }
  host.note('undo', run.backup, 'ok');
  if (isUndo && how === 'roll-back') {
    restore.record('copy', t('The undo was rolled back: the restored database is in place.'));
    return restore.keep();
  }
  if (run.destination === 'beside') return restore.keep();
  return restore.end('undone', t('Rolled back: the old database is in place.'));
}
