/** Undo: the previous database becomes live again, until the person has cleaned up. */
import { BackupError, isBackupError } from '../../core/errors.ts';
import type { HoldersKnown } from '../../core/holders/holders.ts';
import type { RestorePlan } from '../../core/restore/plan.ts';
import type { RestoreRequest } from '../../core/restore/request.ts';
import type { Undone, UndoRequest } from '../../core/restore/undo.ts';
import type { CallOptions } from '../../worker/client.ts';
import { stillWhole } from '../byHand.ts';
import type { Host } from '../host.ts';
import { questionBeforeUndo, questionBeforeUnproved } from '../questions.ts';
import type { Restoration } from '../restoration.ts';
import { isCopied, type Kept, setAsidesOf } from '../run.ts';
import { shortened, undoneWords } from '../words.ts';
import { writtenSince } from '../writtenSince.ts';
import { areAccepted } from './holders.ts';
import { lookAtDisk, recover } from './recovery.ts';

export function undo(restore: Restoration): Promise<void> {
  return isCopied(restore.run) ? undoCopy(restore) : undoMove(restore);
}

async function undoCopy(restore: Restoration): Promise<void> {
  const { host, setAsides } = restore;
  const { t } = host;
  const text = t('Comparing what was written since the restore…');
  const looked = await restore.work('undo', text, async (options) => ({
    since: await writtenSince(host.worker, requestFor(restore), options),
    known: (await host.worker.call('holders', { paths: restore.livePaths })).known,
  }));
  if (looked === undefined) return;
  const { toPutBack } = restore;
  if (!(await isAgreed(restore, toPutBack, looked))) return;
  const kept = await putBack(restore, toPutBack);
  if (kept === undefined) return lookAtDisk(restore);
  host.note('undo', setAsides.join(', '), 'ok');
  await endUndo(restore, toPutBack, kept);
}

/** Of several, one that no longer exists is not put back: that restore is not undone. */
function endUndo(restore: Restoration, back: Kept[], kept: string[]): Promise<void> {
  const { host, missingSetAsides } = restore;
  const words = undoneWords(kept, host);
  if (missingSetAsides.length === 0) return restore.end('undone', words);
  const names = restore.namesOf(back.map(({ target }) => target));
  restore.record('clean-up', `${names}: ${words}`);
  return restore.keep();
}

/** What is put back against the backup. */
function requestFor({ run, toPutBack }: Restoration): RestoreRequest {
  const items = toPutBack.map(({ realTarget: target, member }) => ({
    target,
    ...(member !== undefined && { member }),
  }));
  return { backup: run.backup, items };
}

function isAgreed(
  { host, run, missingSetAsides }: Restoration,
  toPutBack: Kept[],
  { since, known }: { since?: RestorePlan | undefined; known?: HoldersKnown },
): Promise<boolean> {
  const targets = toPutBack.map(({ target }) => target);
  const items = (run.restored ?? run.moved)?.items ?? [];
  const others = {
    gone: missingSetAsides,
    added: items.filter(({ setAside }) => setAside === undefined).map(({ target }) => target),
    known,
  };
  return host.confirm(questionBeforeUndo(targets, others, since, host));
}

/** This page replaced nothing, so a live file other than the previous database came from elsewhere. */
async function undoMove(restore: Restoration): Promise<void> {
  const { host, run, toPutBack } = restore;
  if (run.moved !== undefined) return recover(restore, 'roll-back');
  const whole = await restore.work('undo', host.t('Looking…'), () => stillWhole(toPutBack, host));
  if (whole === undefined) return;
  const rest = toPutBack.filter((one) => !whole.includes(one));
  if (rest.length === 0) {
    const names = restore.namesOf(restore.setAsides);
    return restore.end('undone', host.t('Nothing was replaced. {0} is left.', names));
  }
  const isOther = rest.some(({ realTarget }) => host.exists(realTarget));
  if (isOther && !(await isAgreed(restore, rest, {}))) return;
  const kept = await putBack(restore, rest);
  if (kept === undefined) return lookAtDisk(restore);
  await endUndo(restore, rest, kept);
}

/** Where the databases that were live until then are kept. Of several, the rest can be put back later. */
function putBack(restore: Restoration, toPutBack: Kept[]): Promise<string[] | undefined> {
  const { host, run } = restore;
  const { toolVersion, t } = host;
  return restore.work('undo', host.t('Putting the previous database back…'), async (options) => {
    const kept: string[] = [];
    for (const { path: setAside, realTarget } of toPutBack) {
      const ignoreHolders = await areAccepted(restore, [realTarget, setAside]);
      const undone = await undoAsked({ setAside, toolVersion, ignoreHolders }, { host, options });
      if (undone === undefined) throw new BackupError('cancelled', t('It was not put back.'));
      if (undone.setAside !== undefined) kept.push(undone.setAside);
      if (toPutBack.length > 1) {
        const words = undoneWords(undone.setAside === undefined ? [] : [undone.setAside], host);
        restore.record('clean-up', `${host.nameOf(realTarget)}: ${words}`);
      }
      run.putBack = [...(run.putBack ?? []), setAside];
      await restore.keep();
    }
    return kept;
  });
}

/** Asks before files that are not what was kept are put back. Undefined when the answer is no. */
export async function undoAsked(
  request: UndoRequest,
  {
    host: { worker, confirm, t, nameOf },
    options,
  }: { host: Pick<Host, 'worker' | 'confirm' | 't' | 'nameOf'>; options: CallOptions },
): Promise<Undone | undefined> {
  try {
    return await worker.call('undoRestore', request, options);
  } catch (error) {
    const isUnproved =
      isBackupError(error) && ['changed', 'part-missing'].includes(String(error.facts?.['reason']));
    if (!isUnproved || request.acceptUnproved === true) throw error;
    const reason = shortened(error.message, [request.setAside], { nameOf });
    if (!(await confirm(questionBeforeUnproved(request.setAside, reason, { t, nameOf }))))
      return undefined;
    return worker.call('undoRestore', { ...request, acceptUnproved: true }, options);
  }
}

/** What was put back without the page: by a command. `words` say where the database from before the undo is kept. */
export async function noteUndone(
  restore: Restoration,
  setAside: string,
  words: string,
): Promise<void> {
  const { run, failure } = restore;
  // What stood in the way of an earlier attempt does not any more.
  if (failure?.step === 'undo') restore.failure = undefined;
  run.putBack = [...(run.putBack ?? []), setAside];
  const isAll = setAsidesOf(run).every((path) => run.putBack?.includes(path));
  if (isAll) return restore.end('undone', words);
  restore.record('clean-up', words);
  await restore.keep();
}
