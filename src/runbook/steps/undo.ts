/** Undo: the old database becomes live again, until the person has cleaned up. */
import { questionBeforeUndo } from '../questions.ts';
import type { Restoration } from '../restoration.ts';
import { isCopied } from '../run.ts';
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
  await restore.end(
    'undone',
    kept.length === 0
      ? t('The old database is back.')
      : t(
          'The old database is back. What was live until then is kept as {0}.',
          restore.namesOf(kept),
        ),
  );
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
  await restore.end('undone', host.t('The old database is back.'));
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
