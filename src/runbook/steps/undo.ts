/** Undo: the old database becomes live again, until the person has cleaned up. */
import { questionBeforeUndo } from '../questions.ts';
import type { Restoration } from '../restoration.ts';
import { isCopied, setAsidesOf } from '../run.ts';
import { undoneWords } from '../words.ts';
import { writtenSince } from '../writtenSince.ts';
import { lookAtDisk, recover } from './recovery.ts';

export function undo(restore: Restoration): Promise<void> {
  return isCopied(restore.run) ? undoCopy(restore) : undoMove(restore);
}

async function undoCopy(restore: Restoration): Promise<void> {
  const { host, setAsides } = restore;
  const { t } = host;
  const text = t('Looking what was written since the restore…');
  const looked = await restore.work('undo', text, async (options) => ({
    since: await writtenSince(host.worker, restore.request, options),
  }));
  if (looked === undefined) return;
  const { livePaths, missingSetAsides } = restore;
  const question = questionBeforeUndo(livePaths, missingSetAsides, looked.since, host);
  if (!(await host.confirm(question))) return;
  const kept = await putBack(restore);
  if (kept === undefined) return lookAtDisk(restore);
  host.note('undo', setAsides.join(', '), 'ok');
  await restore.end('undone', undoneWords(kept, host));
}

/** Nothing was replaced yet, so nothing was written that an undo would hide. */
async function undoMove(restore: Restoration): Promise<void> {
  const { host, run, setAsides } = restore;
  if (run.moved !== undefined) return recover(restore, 'roll-back');
  const targets = (run.alsoKept ?? []).map(({ target }) => target);
  if (targets.some((target) => host.exists(target))) {
    const text = host.t('Nothing was replaced. {0} is left.', restore.namesOf(setAsides));
    return restore.end('undone', text);
  }
  if ((await putBack(restore)) === undefined) return lookAtDisk(restore);
  await restore.end('undone', undoneWords([], host));
}

/** Where the databases that were live until then are kept. Of several, the rest can be put back later. */
function putBack(restore: Restoration): Promise<string[] | undefined> {
  const { host, run, setAsides } = restore;
  const { toolVersion } = host;
  return restore.work('undo', host.t('Putting the old database back…'), async (options) => {
    const kept: string[] = [];
    for (const setAside of setAsides) {
      const undone = await host.worker.call('undoRestore', { setAside, toolVersion }, options);
      if (undone.setAside !== undefined) kept.push(undone.setAside);
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
  const { run } = restore;
  run.putBack = [...(run.putBack ?? []), setAside];
  const isAll = setAsidesOf(run).every((path) => run.putBack?.includes(path));
  if (isAll) return restore.end('undone', words);
  restore.record('clean-up', words);
  await restore.keep();
}
