import type { CopyDecision } from '../core/offsite/forget.ts';
import { formatBytes } from '../core/units.ts';
import { chosenDestination } from './destinations.ts';
import { policyOf } from './prune.ts';
import { type Context, exitCodes, UsageError } from './verb.ts';

/** Shows restic's plan in our words. Copies go only with `--yes`, typed by a person at a terminal. */
export async function forget(
  rest: string[],
  values: Readonly<Record<string, string | boolean | undefined>>,
  context: Context,
): Promise<number> {
  const { worker, signal, print, tell } = context;
  if (rest.length > 0)
    throw new UsageError('offsite forget takes no arguments except its options.');
  const isMeant = values['yes'] === true;
  if (isMeant && !process.stdin.isTTY)
    throw new UsageError(
      'offsite forget --yes needs a terminal: only a person removes copies. Without --yes it shows what would go.',
    );
  const policy = policyOf(values);
  const name = values['destination'];
  const destination = await chosenDestination(typeof name === 'string' ? name : undefined, context);
  const plan = await worker.call('offsitePlanForgetting', { destination, policy }, { signal });
  const ids = plan.remove.map(({ id }) => id);
  const { removed } =
    isMeant && ids.length > 0
      ? await worker.call('offsiteForget', { destination, ids }, { signal })
      : { removed: [] };
  if (values['json'] === true) {
    const short = ({ id, name: file, createdAt, reasons }: CopyDecision): object => ({
      ...{ id, name: file, createdAt, reasons },
    });
    print(
      JSON.stringify({
        ...{ destination: destination.name, removed },
        ...{ keep: plan.keep.map(short), remove: plan.remove.map(short) },
      }),
    );
    return exitCodes.ok;
  }
  for (const [word, decisions] of [
    ['keep  ', plan.keep],
    ['remove', plan.remove],
  ] as const)
    for (const one of decisions)
      print(
        `${word}  ${one.id.slice(0, 8)}  ${one.createdAt}  ${one.name}  (${one.reasons.join('; ')})`,
      );
  const bytes = formatBytes(plan.remove.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
  const word = isMeant ? 'Removed' : 'Would remove';
  const count = isMeant ? removed.length : ids.length;
  const copies = count === 1 ? '1 copy' : `${count} copies`;
  print(`${word} ${copies} (${bytes}), ${plan.keep.length} stay.`);
  if (count > 0) tell('restic frees less than that where copies have the same content.');
  if (!isMeant && ids.length > 0) tell('To remove them, run it again at a terminal with --yes.');
  return exitCodes.ok;
}
