/** Data that only a running program still has, because files of the database were deleted while it has them open. */
import { basename } from 'node:path';
import { fromPlainError } from '../../core/errors.ts';
import type { Holders } from '../../core/holders/holders.ts';
import type { Restoration, Seen, SeenLost } from '../restoration.ts';
import { lostWords } from '../words.ts';

const busyTimeoutMs = 5000;

/** A program that has such files open has the database open, also one that was deleted. */
export async function withLost(found: Holders, { host, livePaths }: Restoration): Promise<Seen> {
  const lost: SeenLost[] = [];
  for (const live of found.holders.length === 0 ? [] : livePaths) {
    for (const one of await host.worker.call('lostFiles', { path: live })) {
      const { pid, program, key } = one;
      const names = one.lost.map((part) => basename(live) + part);
      lost.push({ live, pid, program, names, key });
    }
  }
  return { ...found, lost };
}

/** Takes a backup of all of it, which is then no reason any more to keep the programs running. */
export async function saveLost(restore: Restoration): Promise<void> {
  const { host, run, unsaved } = restore;
  const { t, backupsFolder: folder } = host;
  if (unsaved.length === 0 || folder === undefined) return;
  for (const live of new Set(unsaved.map((one) => one.live))) {
    const own = unsaved.filter((one) => one.live === live);
    const text = t('Saving what {0} has open…', lostWords(own));
    const found = await restore.work('stop', text, async (options) => {
      const { snapshots, failures } = await host.worker.call(
        'saveOpen',
        {
          ...{ database: live, recordAs: host.recordAs(live), folder, verify: true },
          ...{ trigger: 'manual', busyTimeoutMs, largestBytes: host.largestBytes },
          toolVersion: host.toolVersion,
        },
        options,
      );
      const [failed] = failures;
      if (failed !== undefined) throw fromPlainError(failed.error);
      return snapshots.map(({ path }) => path);
    });
    if (found === undefined) return restore.keep();
    run.settled = [...(run.settled ?? []), ...own.map(({ key }) => key)];
    const names = restore.namesOf(found);
    host.note('backup', `${live} as ${found.join(', ')}`, 'ok');
    restore.record(
      'stop',
      t(
        'Saved what {0} has open as {1}. Changes from now on are not in it: stop the program.',
        lostWords(own),
        names,
      ),
    );
    await restore.keep();
  }
}

export async function giveUpLost(restore: Restoration): Promise<void> {
  const { host, run, unsaved } = restore;
  const { t } = host;
  if (unsaved.length === 0) return;
  const yes = await host.confirm({
    message: t('Continue without saving what {0} has open?', lostWords(unsaved)),
    detail: t(
      '{0} was deleted or replaced. When the program ends, what only it has is lost.',
      unsaved.flatMap(({ names }) => names).join(', '),
    ),
    yes: t('Do Not Save'),
    no: t('Go Back'),
  });
  if (!yes) return;
  run.settled = [...(run.settled ?? []), ...unsaved.map(({ key }) => key)];
  restore.record('stop', t('You chose not to save what {0} has open.', lostWords(unsaved)));
  await restore.keep();
}

/** A program may end before it was asked: then it is told what is lost with it. */
export function noteEnded(restore: Restoration, before: readonly SeenLost[]): void {
  const { host, seen } = restore;
  const ended = before.filter(({ key }) => seen?.lost.every((one) => one.key !== key));
  if (ended.length === 0) return;
  restore.record(
    'stop',
    host.t(
      '{0} ended, or closed {1}, before what it had open was saved.',
      lostWords(ended),
      ended.flatMap(({ names }) => names).join(', '),
    ),
  );
}
