import type { Destination } from '../core/offsite/destination.ts';
import { type Context, UsageError } from './verb.ts';

/** The destination of that name, or the only one. */
export async function chosenDestination(
  name: string | undefined,
  { worker, signal }: Pick<Context, 'worker' | 'signal'>,
): Promise<Destination> {
  const all = await worker.call('offsiteDestinations', {}, { signal });
  const found = name === undefined ? all : all.filter((one) => one.name === name);
  const [one] = found;
  if (one !== undefined && found.length === 1) return one;
  const names = all.map((each) => each.name).join(', ');
  throw new UsageError(
    all.length === 0
      ? 'No off-machine destination is set up: sqlite-backup offsite setup'
      : `Name the destination: --destination NAME, one of ${names}.`,
  );
}
