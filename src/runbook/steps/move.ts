/** The step "move": the current database is kept, by the button or by hand. */
import { checkMoved } from '../byHand.ts';
import { questionBeforeMove } from '../questions.ts';
import type { Restoration } from '../restoration.ts';
import { setAsidesOf } from '../run.ts';
import { compareIfChanged, liveStatesOf } from './comparison.ts';
import { lookOnceMore } from './holders.ts';

export async function move(restore: Restoration): Promise<void> {
  const { host } = restore;
  const looked = await lookOnceMore(restore, 'move');
  if (looked === undefined || !(await compareIfChanged(restore, 'move'))) return;
  const { plan } = restore;
  if (plan === undefined) return;
  const question = questionBeforeMove(plan, host, restore.seen?.known);
  if (question !== undefined && !(await host.confirm(question))) return;
  const request = restore.applyRequest(liveStatesOf(plan), looked);
  const text = host.t('Keeping the current database…');
  const done = await restore.work('move', text, (options) =>
    host.worker.call('moveAside', request, options),
  );
  if (done === undefined) return;
  restore.run.moved = done;
  await restore.finish('move', movedWords(restore));
}

/** What the person has done with the commands of this step. */
export async function checkMove(restore: Restoration): Promise<void> {
  const { host, run, plan } = restore;
  const lives = restore.livePaths.map((live) => ({
    live,
    isNew: plan?.items.find(({ target }) => target === live)?.targetExists === false,
  }));
  const found = await restore.work('move', host.t('Looking…'), () =>
    checkMoved(lives, run.startedAt, host),
  );
  if (found === undefined) return;
  run.alsoKept = found.map(({ path, target }) => ({ path, target }));
  await restore.finish('move', host.t('Kept by hand. {0}', movedWords(restore)));
}

export function movedWords(restore: Restoration): string {
  const { t } = restore.host;
  const names = restore.namesOf(setAsidesOf(restore.run));
  return names === '' ? t('There was no database to keep.') : t('Kept as {0}.', names);
}
