/** Steps that a person has done with the commands of the runbook: nothing is believed that was not looked at. */
import { BackupError } from '../core/errors.ts';
import type { RestoreRequest } from '../core/restore.ts';
import type { SetAside } from '../core/setAside.ts';
import type { CallOptions } from '../worker/client.ts';
import type { Host } from './host.ts';

/**
 * The set-asides of the live databases: each has what is live, or the live name is free. Throws where one is missing or
 * not complete. Older ones that restores before this have left do not count.
 */
export async function checkMoved(
  lives: { live: string; isNew: boolean }[],
  startedAt: string,
  { worker, nameOf, exists, t }: Host,
): Promise<SetAside[]> {
  const found: SetAside[] = [];
  for (const { live, isNew } of lives) {
    if (isNew && !exists(live)) continue;
    const [newest] = await worker.call('listSetAsides', { in: live });
    const isOfNow =
      newest !== undefined && Date.parse(newest.createdAt) >= Date.parse(startedAt) - 1000;
    if (!isOfNow) {
      throw new BackupError('incomplete', t('{0} was not set aside yet.', nameOf(live)), {
        hint: t('Run the commands of this step, or press the button.'),
      });
    }
    const [main, wal, journal, ...kept] = await worker.call('digests', {
      paths: [...withContents(newest.target), ...withContents(newest.path)],
    });
    const isGone = main === null && wal === null && journal === null;
    const isSame = [main, wal, journal].every(
      (digest, index) => digest === null || digest === kept[index],
    );
    if (!isGone && !isSame) {
      throw new BackupError(
        'incomplete',
        t('{0} is not all of {1}.', nameOf(newest.path), nameOf(live)),
        { hint: t('The database changed, or a sibling is missing: set it aside again.') },
      );
    }
    found.push(newest);
  }
  return found;
}

/** The siblings that hold contents; the `-shm` is made anew by whoever opens the database. */
function withContents(path: string): string[] {
  return ['', '-wal', '-journal'].map((part) => path + part);
}

/** Throws unless what is live has the rows and the schema of the backup. */
export async function checkCopied(
  request: RestoreRequest,
  { worker, nameOf, t }: Host,
  options: CallOptions,
): Promise<void> {
  const { items } = await worker.call('planRestore', request, options);
  for (const { target, targetState, targetReason, tables, schema } of items) {
    const differing = tables.find(({ lost, gained, changed }) => lost + gained + changed > 0);
    const why =
      targetState === 'missing'
        ? t('the file is not there')
        : targetState !== 'readable'
          ? (targetReason ?? t('cannot be read'))
          : differing !== undefined
            ? t('the rows of {0} differ from the backup', differing.name)
            : schema.same
              ? undefined
              : t('the schema differs from the backup');
    if (why !== undefined) {
      throw new BackupError('incomplete', t('{0}: {1}.', nameOf(target), why), {
        hint: t('Run the commands of this step, or press the button.'),
      });
    }
  }
}
