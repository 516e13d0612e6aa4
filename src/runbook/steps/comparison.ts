/** The proof of the backup, and what the restore would change. */
import type { RestorePlan } from '../../core/restore/plan.ts';
import type { StepId } from '../../core/runbook/runbook.ts';
import { rememberedPlan } from '../rememberedPlan.ts';
import type { Restoration, Seen } from '../restoration.ts';
import { withLost } from './lostFiles.ts';

/** False when nothing is chosen, and when it failed or was cancelled. */
export async function compare(restore: Restoration): Promise<boolean> {
  const { host } = restore;
  const request = restore.requestFor(restore.livePaths);
  if (request.items.length === 0) return false;
  const text = host.t('Checking the backup and comparing…');
  const found = await restore.work('plan', text, async (options) => {
    const [backupState] = await host.worker.call('liveStates', { paths: [request.backup] });
    const plan = await host.worker.call('planRestore', request, options);
    return { backupState, plan, seen: await seenIn(plan, restore) };
  });
  if (found === undefined) return false;
  const { plan, backupState } = found;
  restore.compared = { plan, backupState, at: new Date().toISOString() };
  restore.seen = found.seen;
  await rememberPlan(restore);
  return true;
}

/** To be told when there is nothing left to compare. What is done then does not change what was planned. */
export async function rememberPlan(restore: Restoration): Promise<void> {
  const { run, plan, host } = restore;
  if (plan !== undefined && run.destination === 'live' && run.done.move === undefined) {
    run.planned = rememberedPlan(plan, host.t);
  }
  await restore.keep();
}

/** Compares again when a live database, or the backup, is not what it was. False when that failed or was cancelled. */
export async function compareIfChanged(restore: Restoration, step: StepId): Promise<boolean> {
  const { plan, host } = restore;
  if (plan === undefined) return compare(restore);
  const paths = [plan.backup, ...plan.items.map(({ realTarget }) => realTarget)];
  const states = await restore.work(step, host.t('Checking whether it has changed…'), () =>
    host.worker.call('liveStates', { paths }),
  );
  if (states === undefined) return false;
  const before = [restore.compared?.backupState, ...liveStatesOf(plan)];
  return before.every((state, index) => state === states[index]) || compare(restore);
}

export function liveStatesOf({ items }: RestorePlan): string[] {
  return items.map(({ liveState }) => liveState);
}

async function seenIn({ items }: RestorePlan, restore: Restoration): Promise<Seen> {
  const holders = new Map(items.flatMap((item) => item.holders).map((one) => [one.pid, one]));
  const known = items.every(({ holdersKnown }) => holdersKnown === 'all')
    ? 'all'
    : (items[0]?.holdersKnown ?? 'unknown');
  return withLost({ holders: [...holders.values()], known }, restore);
}
