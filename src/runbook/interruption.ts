/** What the intents beside the databases of a restore say of it. */
import { dirname } from 'node:path';
import type { Interrupted, RestorePlan } from '../core/restore.ts';
import type { Host } from './host.ts';
import type { Run } from './run.ts';

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
