/** Steps that a person has done with the commands of the runbook. Each is checked on the disk. */
import { BackupError } from '../core/errors.ts';
import type { RestoreRequest } from '../core/restore/request.ts';
import type { SetAside } from '../core/restore/setAside.ts';
import type { CallOptions } from '../worker/client.ts';
import type { Host } from './host.ts';
import type { Kept } from './run.ts';

/**
 * The set-asides of the live databases: each has the content of the live database, or the live name is free. Throws where one is missing or
 * not complete. Older ones that restores before this have left do not count.
 */
export async function checkMoved(
  lives: { live: string; isNew: boolean }[],
  startedAt: string,
  { worker, nameOf, exists, t }: Host,
): Promise<SetAside[]> {
  const found: SetAside[] = [];
  for (const { live, isNew } of lives) {
    const [newest] = await worker.call('listSetAsides', { in: live });
    const isOfNow =
      newest !== undefined && Date.parse(newest.createdAt) >= Date.parse(startedAt) - 1000;
    if (!isOfNow) {
      // What was moved away before the last comparison looks as if it had never been there.
      if (isNew && !exists(live)) continue;
      throw new BackupError('incomplete', t('{0} was not kept yet.', nameOf(live)), {
        hint: t('Run the commands of this step, or press the button.'),
      });
    }
    const [[now, kept] = [[], []]] = await contentsOf(
      [{ realTarget: newest.target, path: newest.path }],
      worker,
    );
    const isGone = now.every((digest) => digest === null);
    const isSame = now.every((digest, index) => digest === null || digest === kept[index]);
    if (!isGone && !isSame) {
      throw new BackupError(
        'incomplete',
        t('{0} is not a complete copy of {1}.', nameOf(newest.path), nameOf(live)),
        { hint: t('The database changed, or a file beside it is missing. Keep it again.') },
      );
    }
    found.push(newest);
  }
  return found;
}

/** What holds contents; the `-shm` is made anew when a program opens the database. */
const contents = ['', '-wal', '-journal'] as const;

type Pair = Pick<Kept, 'realTarget' | 'path'>;
type Digests = (string | null)[];

/** Of each pair the live database and the set-aside. */
async function contentsOf(pairs: Pair[], worker: Host['worker']): Promise<[Digests, Digests][]> {
  const paths = pairs
    .flatMap(({ realTarget, path }) => [realTarget, path])
    .flatMap((path) => contents.map((part) => path + part));
  const digests = await worker.call('digests', { paths });
  const at = (first: number): Digests => digests.slice(first, first + contents.length);
  return pairs.map((_pair, index) => {
    const first = 2 * contents.length * index;
    return [at(first), at(first + contents.length)];
  });
}

/** Those of which nothing is to be put back: all that was set aside is live. */
export async function stillWhole(kept: Kept[], { worker, exists }: Host): Promise<Kept[]> {
  const pairs = await contentsOf(kept, worker);
  return kept.filter(({ realTarget }, index) => {
    const [now, then] = pairs[index] ?? [[], []];
    return exists(realTarget) && now.every((digest, part) => digest === then[part]);
  });
}

/** True when each live name has another database file than what was set aside. */
export async function areReplaced(kept: Kept[], { worker, exists }: Host): Promise<boolean> {
  const pairs = await contentsOf(kept, worker);
  return kept.every(({ realTarget }, index) => {
    const [[now] = [], [then] = []] = pairs[index] ?? [];
    return exists(realTarget) && now !== then;
  });
}

/** The tables of which it is not known. Throws unless the live database has the rows and the schema of the backup. */
export async function checkCopied(
  request: RestoreRequest,
  { worker, nameOf, t }: Host,
  options: CallOptions,
): Promise<string[]> {
  const { items, verified } = await worker.call('planRestore', request, options);
  if (verified === 'damaged') {
    throw new BackupError('backup-damaged', t('{0} is damaged.', nameOf(request.backup)), {
      hint: t('The copy cannot be checked against it. Undo, or choose another backup.'),
    });
  }
  for (const { target, targetState, targetReason, tables, schema } of items) {
    const differing = tables.find(({ lost, gained, changed }) => lost + gained + changed > 0);
    const why =
      targetState === 'missing'
        ? t('the file does not exist')
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
  return items.flatMap(({ tables, notCompared }) =>
    tables.map(({ name }) => name).filter((name) => notCompared.some((one) => one.name === name)),
  );
}
