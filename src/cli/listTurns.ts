/** `list --checkpoints --turns`: what each turn of an agent has changed, and the command that undoes it. */
import type { StoredCheckpoint } from '../core/checkpoint/store.ts';
import { isBackupError } from '../core/errors.ts';
import type { RowChange } from '../core/checkpoint/rows.ts';
import { changeText, turnsIn } from '../core/checkpoint/turns.ts';
import { defaultBusyTimeoutMs, restoreCommand, shown } from './backUp.ts';
import { type Context, exitCodes } from './verb.ts';

/** The rows of each are counted. */
const mostTurns = 20;

export async function listTurns(
  stored: readonly StoredCheckpoint[],
  { folder, asJson }: { folder: string | undefined; asJson: boolean },
  { worker, signal, print, tell }: Context,
): Promise<number> {
  const found = await worker.call(
    'catalogCheckpoints',
    { checkpoints: folder, databases: [] },
    { signal },
  );
  const known = new Map(stored.map((one) => [one.path, one]));
  const listed = turnsIn(found.entries.filter(({ path }) => known.has(path)));
  listed.sort((a, b) => b.at.localeCompare(a.at));
  const turns = [];
  for (const { session, turn, at, before, last } of listed.slice(0, mostTurns)) {
    const { livePath, source } = known.get(last)?.manifest ?? {};
    turns.push({
      ...{ session, turn, at, database: livePath ?? source?.path ?? '' },
      before: known.get(before ?? '')?.id ?? null,
      changes: before === undefined || before === last ? null : await changesIn(before, last),
    });
  }
  if (asJson) {
    print(JSON.stringify({ turns }));
    return exitCodes.ok;
  }
  for (const { session, turn, at, database, changes, before } of turns) {
    const said =
      changes === null
        ? 'which rows changed is not known'
        : changes.map(changeText).join(', ') || 'as many rows as before';
    print(`${at}  turn ${shown(turn)} of ${shown(session)}  ${shown(database)}  ${shown(said)}`);
    print(
      before === null
        ? '  The state before it is not kept any more.'
        : `  Undo: ${restoreCommand({ id: before, path: database }, folder)}`,
    );
  }
  if (turns.length === 0) tell('No turns of an agent.');
  return exitCodes.ok;

  /** Null when they cannot be counted: one of the two may have been thinned out meanwhile. */
  async function changesIn(checkpoint: string, database: string): Promise<RowChange[] | null> {
    const params = { checkpoint, database, busyTimeoutMs: defaultBusyTimeoutMs };
    try {
      return await worker.call('changesAfter', params, { signal });
    } catch (error) {
      if (!isBackupError(error) || signal.aborted) throw error;
      return null;
    }
  }
}
