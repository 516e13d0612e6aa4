/** `restore --baseline`: a database as it was when it got that name, in a fraction of a second. */
import { resolve } from 'node:path';
import { ResidentFirst } from '../worker/residentFirst.ts';
import { callOptions, defaultDeadlineMs, nameFor, restoreCommand, shown } from './backUp.ts';
import { askedCheckpoints, takingFor } from './checkpoint.ts';
import { type Context, exitCodes, UsageError } from './verb.ts';

interface Values {
  baseline?: string | undefined;
  check?: boolean | undefined;
  checkpoints?: string | undefined;
  discard?: boolean | undefined;
  json?: boolean | undefined;
  yes?: boolean | undefined;
}

/** A process of its own has done it by then. */
const beginWithinMs = 500;

const known = new Set(['baseline', 'check', 'checkpoints', 'discard', 'json', 'yes']);

export async function baselineVerb(
  values: Values,
  [target, ...rest]: readonly string[],
  context: Context,
): Promise<number> {
  const { baseline: name, check = false, discard = false, yes = false } = values;
  if (name === undefined) throw new UsageError('--check and --discard go with --baseline NAME.');
  const other = Object.keys(values).find((one) => !known.has(one));
  if (other !== undefined) throw new UsageError(`--baseline does not take --${other}.`);
  if (target === undefined || rest.length > 0)
    throw new UsageError('--baseline takes one target, and no backup.');
  if (check === yes) throw new UsageError('Add --yes to restore it, or --check to compare.');
  if (check && discard) throw new UsageError('--check replaces nothing, so it takes no --discard.');
  const isJson = values.json === true;
  const checkpoints = askedCheckpoints(values);
  return check
    ? printCheck({ name, target, checkpoints, isJson }, context)
    : putBack({ name, target, checkpoints, discard, isJson }, context);
}

interface Asked {
  name: string;
  target: string;
  checkpoints: string | undefined;
  isJson: boolean;
}

async function putBack(
  { name, target, checkpoints, discard, isJson }: Asked & { discard: boolean },
  context: Context,
): Promise<number> {
  const cause = { kind: 'baseline', text: name };
  const request = {
    name,
    items: [{ target: resolve(target), recordAs: nameFor(target) }],
    discard,
    taking: takingFor({ cause, checkpoints }, context),
  };
  const worker = new ResidentFirst(context.worker, { entry: context.workerEntry, beginWithinMs });
  const options = callOptions(context, defaultDeadlineMs);
  const restored = await worker
    .call('restoreBaseline', request, options)
    .finally(() => worker.dispose());
  if (isJson) {
    context.print(JSON.stringify(restored));
    return exitCodes.ok;
  }
  const { outcome, kept, discarded, lastKept } = restored;
  const file = shown(target);
  if (outcome === 'equal') {
    context.print(`${file} already equals the baseline ${shown(name)}.`);
    return exitCodes.ok;
  }
  context.print(`${file} is as the baseline ${shown(name)} again.`);
  if (kept !== undefined)
    context.print(
      `What it held before is checkpoint ${kept}\n  Undo: ${restoreCommand({ id: kept, path: target }, checkpoints)}`,
    );
  if (discarded)
    context.tell(
      lastKept === undefined
        ? `What ${file} held was discarded. No other state of it is kept.`
        : `What ${file} held was discarded. The newest state that is kept: ${lastKept.id} of ${lastKept.createdAt}.`,
    );
  return exitCodes.ok;
}

async function printCheck(
  { name, target, checkpoints, isJson }: Asked,
  { worker, signal, print }: Context,
): Promise<number> {
  const params = { name, target: resolve(target), checkpoints };
  const checked = await worker.call('checkBaseline', params, { signal });
  const { equal, differs } = checked;
  if (isJson) print(JSON.stringify(checked));
  else
    print(
      equal === false
        ? `${shown(target)} differs from the baseline ${shown(name)}: ${differs.map(shown).join(', ')}`
        : `${shown(target)} equals the baseline ${shown(name)} (${words[equal]}).`,
    );
  return equal === false ? exitCodes.failed : exitCodes.ok;
}

const words = {
  stamp: 'not written since',
  bytes: 'the same bytes',
  rows: 'the same rows',
} as const;
