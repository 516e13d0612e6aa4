/** What the intents beside the databases of a restore say of it. */
import { dirname } from 'node:path';
import type { RestorePlan } from '../core/restore/plan.ts';
import type { Interrupted } from '../core/restore/recovery.ts';
import type { Host } from './host.ts';
import { isCopied, type Run } from './run.ts';

type Known = { run: Run; plan: RestorePlan | undefined };

/** All restores in the folders of these databases that were not brought to an end, also those of others. */
export async function findInterruptions(
  known: Known,
  { worker, exists }: Pick<Host, 'worker' | 'exists'>,
): Promise<Interrupted[]> {
  const found = new Map<string, Interrupted>();
  for (const folder of new Set(pathsOf(known).map((path) => dirname(path)))) {
    if (!exists(folder)) continue;
    for (const one of await worker.call('findInterrupted', { in: folder })) found.set(one.id, one);
  }
  return [...found.values()];
}

/** Of this restore, of an undo of it, or of whatever else was done to these databases and not brought to its end. */
export function ownInterruption(all: Interrupted[], known: Known): Interrupted | undefined {
  const paths = new Set(pathsOf(known));
  return (
    all.find(({ id }) => id === known.run.moved?.id) ??
    all.find(({ items }) => items.some(({ realTarget }) => paths.has(realTarget)))
  );
}

/** True for what this restore was about to do itself; false for another of the same databases, and for an undo. */
export function isOfThisRestore(
  { id, action, backup, items }: Interrupted,
  { run, plan }: Known,
): boolean {
  if (id === run.moved?.id) return true;
  if (action !== 'restore' || run.moved !== undefined || isCopied(run)) return false;
  const paths = new Set(pathsOf({ run, plan }));
  const isOfThese = items.every(({ realTarget }) => paths.has(realTarget));
  if (run.destination === 'beside') return isOfThese && run.besides !== undefined;
  // Set aside by hand, and then copied with the button.
  const known = plan?.backup ?? run.planned?.backup ?? run.backup;
  return isOfThese && run.done.move !== undefined && backup === known;
}

/** As they are named, and the files themselves, which links may lead to. */
function pathsOf({ run, plan }: Known): string[] {
  const { items, besides = [], moved, alsoKept = [] } = run;
  return [
    ...items.filter(({ chosen }) => chosen).map(({ live }) => live),
    ...besides,
    ...[...(moved?.items ?? []), ...(plan?.items ?? [])].map(({ realTarget }) => realTarget),
    ...alsoKept.map(({ target }) => target),
  ];
}
