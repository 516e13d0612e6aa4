/** As much of a plan as an exported runbook tells of, small enough to be remembered. Pure. */
import type { PlannedItem, RestorePlan, TableChange } from '../core/restore/plan.ts';
import type { Host } from './host.ts';

const mostCharacters = 200_000;

/** Of many tables those after the first ones are summed up: the numbers stay true. */
export function rememberedPlan(plan: RestorePlan, t: Host['t']): RestorePlan {
  const [few = trimmed(plan, 0, t)] = [1000, 100]
    .map((mostTables) => trimmed(plan, mostTables, t))
    .filter((one) => JSON.stringify(one).length <= mostCharacters);
  return few;
}

function trimmed(plan: RestorePlan, mostTables: number, t: Host['t']): RestorePlan {
  return {
    ...plan,
    findings: plan.findings.slice(0, mostTables),
    items: plan.items.map((item) => trimmedItem(item, mostTables, t)),
  };
}

function trimmedItem(item: PlannedItem, mostTables: number, t: Host['t']): PlannedItem {
  const { tables, ...source } = item.source;
  const differing = item.tables.filter(
    ({ lost, gained, changed, compared, only }) =>
      !compared || only !== undefined || lost + gained + changed > 0,
  );
  const rest = differing.slice(mostTables);
  return {
    ...item,
    tables: [
      ...differing.slice(0, mostTables),
      ...(rest.length > 0 ? [sumOf(rest, t('{0} more tables', rest.length))] : []),
    ],
    notCompared: [],
    schema: { ...item.schema, diff: '' },
    migrations: { ...item.migrations, backup: [], live: [] },
    source: { ...source, ...(tables && tables.length <= mostTables && { tables }) },
  };
}

function sumOf(tables: TableChange[], name: string): TableChange {
  const sum = { name, lost: 0, gained: 0, changed: 0, compared: true };
  for (const { lost, gained, changed, compared } of tables) {
    sum.lost += lost;
    sum.gained += gained;
    sum.changed += changed;
    sum.compared &&= compared;
  }
  return sum;
}
