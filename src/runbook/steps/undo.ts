/** Undo: the old database becomes live again, until the person has cleaned up. */
import type { RestorePlan } from '../../core/restore/plan.ts';
import type { RestoreRequest } from '../../core/restore/request.ts';
import { stillWhole } from '../byHand.ts';
import { questionBeforeUndo } from '../questions.ts';
import type { Restoration } from '../restoration.ts';
import { isCopied, type Kept, setAsidesOf } from '../run.ts';
import { undoneWords } from '../words.ts';
import { writtenSince } from '../writtenSince.ts';
import { areAccepted } from './holders.ts';
import { lookAtDisk, recover } from './recovery.ts';

export function undo(restore: Restoration): Promise<void> {
  return isCopied(restore.run) ? undoCopy(restore) : undoMove(restore);
}

async function undoCopy(restore: Restoration): Promise<void> {
  const { host, setAsides } = restore;
  const { t } = host;
  const text = t('Looking what was written since the restore…');
  const looked = await restore.work('undo', text, async (options) => ({
    since: await writtenSince(host.worker, requestFor(restore), options),
  }));
  if (looked === undefined) return;
  const { toPutBack } = restore;
  if (!(await isAgreed(restore, toPutBack, looked.since))) return;
  const kept = await putBack(restore, toPutBack);
  if (kept === undefined) return lookAtDisk(restore);
  host.note('undo', setAsides.join(', '), 'ok');
  await endUndo(restore, toPutBack, kept);
}

/** Of several, one that somebody has taken away is not put back: that restore is not undone. */
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
  since: RestorePlan | undefined,
): Promise<boolean> {
  const targets = toPutBack.map(({ target }) => target);
  const items = (run.restored ?? run.moved)?.items ?? [];
  const others = {
    gone: missingSetAsides,
    added: items.filter(({ setAside }) => setAside === undefined).map(({ target }) => target),
  };
  return host.confirm(questionBeforeUndo(targets, others, since, host));
}

/** Nothing was replaced by this page, so whatever is live instead of the old database came from elsewhere. */
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
  if (isOther && !(await isAgreed(restore, rest, undefined))) return;
  const kept = await putBack(restore, rest);
  if (kept === undefined) return lookAtDisk(restore);
  await endUndo(restore, rest, kept);
}

/** Where the databases that were live until then are kept. Of several, the rest can be put back later. */
function putBack(restore: Restoration, toPutBack: Kept[]): Promise<string[] | undefined> {
  const { host, run } = restore;
  const { toolVersion } = host;
  return restore.work('undo', host.t('Putting the old database back…'), async (options) => {
    const kept: string[] = [];
    for (const { path: setAside, realTarget } of toPutBack) {
      const ignoreHolders = await areAccepted(restore, [realTarget, setAside]);
      const request = { setAside, toolVersion, ignoreHolders };
      const undone = await host.worker.call('undoRestore', request, options);
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

/** What was put back without the page: by a command. `words` say what became of what was live. */
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
