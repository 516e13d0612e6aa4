/** What was interrupted, or brought to an end while the page did not look: the intents on the disk tell. */
import type { Recovered } from '../../core/restore/recovery.ts';
import { areReplaced } from '../byHand.ts';
import { findInterruptions, isOfThisRestore, ownInterruption } from '../interruption.ts';
import type { Restoration } from '../restoration.ts';
import { currentStep, isCopied, isUnderWay, keptOf } from '../run.ts';
import { recoveredWords, undoneWords } from '../words.ts';
import { compare } from './comparison.ts';
import { areAccepted } from './holders.ts';
import { movedWords } from './move.ts';

export async function lookAtDisk(restore: Restoration): Promise<void> {
  const { run, host } = restore;
  restore.interrupted = undefined;
  if (run.ending !== undefined && run.ending !== 'kept') return restore.changed();
  try {
    const all = await findInterruptions(restore, host);
    const own = ownInterruption(all, restore);
    // Moved and not yet copied is a step of the runbook, and no interruption.
    const isBetween =
      own?.items.some(
        ({ live, lacksSiblings, changedSince }) =>
          live !== 'old' || (lacksSiblings && !changedSince),
      ) ?? false;
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

/** The intent of this restore no longer exists: it was finished, rolled back or deleted. */
async function noteEnd(restore: Restoration): Promise<void> {
  const { host, run } = restore;
  const { t } = host;
  const kept = keptOf(run);
  const lives = (run.moved?.items ?? []).map(({ realTarget }) => realTarget);
  const isKept = kept.every(({ path }) => host.exists(path));
  if (isKept && kept.length > 0 && !(await areReplaced(kept, host))) {
    // Nothing is to be finished or rolled back any more, but the previous databases are kept as if it was done by hand.
    run.alsoKept = kept.map(({ path, realTarget: target }) => ({ path, target }));
    delete run.moved;
    delete run.isCopying;
    restore.record('move', t('The note of this restore was deleted. Step 3 starts again.'));
    return restore.keep();
  }
  if (isKept && lives.every((path) => host.exists(path))) {
    return restore.finish('copy', t('It was finished outside this page.'));
  }
  return restore.end(
    'elsewhere',
    t('It was rolled back or cleaned up outside this page. Check {0}.', restore.namesOf(lives)),
  );
}

export async function recover(restore: Restoration, how: 'finish' | 'roll-back'): Promise<void> {
  const { host, run, interrupted } = restore;
  const { t } = host;
  const intent = interrupted?.intent ?? run.moved?.intent;
  if (intent === undefined) return;
  const isOwn = interrupted === undefined || isOfThisRestore(interrupted, restore);
  const text = how === 'finish' ? t('Finishing…') : t('Rolling back…');
  const done = await restore.work('copy', text, async (options) => {
    const ignoreHolders = await areAccepted(restore, [...restore.livePaths, ...restore.setAsides]);
    return host.worker.call('recoverInterrupted', { intent, how, ignoreHolders }, options);
  });
  if (done === undefined) return lookAtDisk(restore);
  restore.interrupted = undefined;
  for (const { message } of done.remarks) restore.record('copy', message);
  if (interrupted?.action === 'undo') return noteUndo(restore, done);
  host.note(how === 'finish' ? 'restore' : 'undo', run.backup, 'ok');
  if (!isOwn) {
    // What it leaves is what this restore would replace.
    if (isUnderWay(run) || isCopied(run)) await restore.keep();
    else await compare(restore);
    return;
  }
  await (how === 'finish' ? noteFinish(restore, done) : noteRollBack(restore, done));
}

async function noteFinish(restore: Restoration, recovered: Recovered): Promise<void> {
  const { host, run } = restore;
  const { items } = recovered;
  const kept = items.flatMap(({ setAside, realTarget }) =>
    setAside === undefined ? [] : [{ path: setAside, target: realTarget }],
  );
  if (kept.length > 0) run.alsoKept = kept;
  if (run.destination === 'live') await restore.finish('move', movedWords(restore));
  await restore.finish('copy', recoveredWords(recovered, host));
}

async function noteRollBack(restore: Restoration, recovered: Recovered): Promise<void> {
  const { host, run } = restore;
  const { t } = host;
  const words = recoveredWords(recovered, host);
  if (run.destination === 'beside') return restore.keep();
  if (recovered.items.some(({ live }) => live === 'other')) {
    const names = restore.namesOf(restore.setAsides);
    const kept = names === '' ? '' : t('The previous database is kept as {0}.', names);
    return restore.end('elsewhere', `${words} ${kept}`.trim());
  }
  return restore.end('undone', words);
}

/** An undo was brought to its end: what was put back is no longer kept. Of several, others may still be. */
async function noteUndo(restore: Restoration, recovered: Recovered): Promise<void> {
  const { host, run, missingSetAsides } = restore;
  const { how, items } = recovered;
  host.note('undo', run.backup, 'ok');
  if (how === 'roll-back') {
    restore.record('copy', recoveredWords(recovered, host));
    return restore.keep();
  }
  const targets = new Set(items.map(({ realTarget }) => realTarget));
  const back = keptOf(run).filter(
    ({ path, realTarget }) => targets.has(realTarget) && missingSetAsides.includes(path),
  );
  const words = undoneWords(
    items.flatMap(({ setAside }) => setAside ?? []),
    host,
  );
  run.putBack = [...(run.putBack ?? []), ...back.map(({ path }) => path)];
  const isAll = restore.setAsides.length === 0 && restore.missingSetAsides.length === 0;
  if (back.length > 0 && isAll) return restore.end('undone', words);
  restore.record(isCopied(run) ? 'clean-up' : 'plan', words);
  await restore.keep();
  if (!isUnderWay(run) && !isCopied(run)) await compare(restore);
}
