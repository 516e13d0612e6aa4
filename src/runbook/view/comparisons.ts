/** What the restore would lose, bring back and change. */
import type { PlannedItem, TableChange } from '../../core/restore/plan.ts';
import type { Host } from '../host.ts';
import type { Comparison, Line } from '../protocol.ts';
import type { Restoration } from '../restoration.ts';
import { isCopied, isUnderWay } from '../run.ts';
import { button, cancelButton } from './buttons.ts';
import { progressOf } from './progress.ts';
import type { Wording } from './wording.ts';

type Translate = Host['t'];

const mostRows = 200;

export function comparisons(restore: Restoration, wording: Wording): Comparison[] {
  const { plan, compared, busy, run, host } = restore;
  const { t } = host;
  const again = isUnderWay(run)
    ? []
    : [button(restore, 'compare-again', t('Compare Again'), 'link')];
  if (busy?.step === 'plan') {
    return [
      {
        ...{ id: 'comparison-0', title: t('What this restore changes'), rows: [], notCompared: [] },
        ...{ lines: [], actions: [cancelButton(restore, 'cancel-comparison')] },
        progress: progressOf(busy, host),
      },
    ];
  }
  if (plan === undefined || isCopied(run) || plan.verified === 'damaged') return [];
  return plan.items.map((item, index) => ({
    id: `comparison-${index}`,
    title:
      plan.items.length > 1
        ? t('What this restore changes in {0}', host.nameOf(item.target))
        : t('What this restore changes'),
    ...(compared !== undefined && { at: t('compared at {0}', wording.time(compared.at)) }),
    ...tables(item, t),
    lines: isCompared(item) ? comparisonLines(restore, item, index) : [],
    actions: index === 0 ? again : [],
  }));
}

/** Of a damaged database, the tables that can be read are compared. */
function isCompared({ targetState, tables: all }: PlannedItem): boolean {
  return targetState === 'readable' || all.length > 0;
}

function tables(
  item: PlannedItem,
  t: Translate,
): Pick<Comparison, 'rows' | 'total' | 'rest' | 'notCompared' | 'summary'> {
  const { tables: all, notCompared, source } = item;
  const compared = all.filter((one) => one.compared);
  const differing = compared.filter(
    ({ lost, gained, changed, only }) => only !== undefined || lost + gained + changed > 0,
  );
  const backupRows = new Map((source.tables ?? []).map(({ name, rows }) => [name, rows]));
  const rows = differing.slice(0, mostRows).map(({ name, lost, gained, changed, only }) => {
    const backup =
      only === 'live' ? 0 : only === 'backup' ? gained : (backupRows.get(name) ?? null);
    const live = backup === null ? null : backup - gained + lost;
    return { table: name, live, backup, lost, gained, changed };
  });
  const same = compared.length - differing.length;
  const total = totalOf(differing);
  return {
    rows,
    ...(rows.length > 1 && { total }),
    // Where no table differs, the summary says so.
    ...(same > 0 &&
      differing.length > 0 && {
        rest:
          same === 1 ? t('1 other table is identical') : t('{0} other tables are identical', same),
      }),
    notCompared: notCompared.map(({ name, reason }) => ({ table: name, reason })),
    summary: summaryLine(total, item, notCompared.length > 0, t),
  };
}

type Total = Pick<TableChange, 'lost' | 'gained' | 'changed'>;

function totalOf(tables: TableChange[]): Total {
  const total = { lost: 0, gained: 0, changed: 0 };
  for (const { lost, gained, changed } of tables) {
    total.lost += lost;
    total.gained += gained;
    total.changed += changed;
  }
  return total;
}

function summaryLine(
  { lost, gained, changed }: Total,
  item: PlannedItem,
  isPartial: boolean,
  t: Translate,
): Line {
  const { targetState: state } = item;
  if (state === 'missing') {
    return { kind: 'fact', text: t('There is no live file: nothing is lost.') };
  }
  if (state === 'empty') {
    return { kind: 'fact', text: t('The live file is empty: nothing is lost.') };
  }
  if (!isCompared(item)) {
    const text = t('The live file cannot be read, so its changes since the backup are unknown.');
    return { kind: 'warning', text };
  }
  if (lost + gained + changed === 0) {
    return isPartial
      ? { kind: 'warning', text: t('The rows that could be compared are the same.') }
      : { kind: 'fact', text: t('The rows are the same.') };
  }
  return {
    kind: lost + changed > 0 ? 'warning' : 'fact',
    text:
      lost === 1
        ? t('1 row lost, {0} brought back, {1} changed.', gained, changed)
        : t('{0} rows lost, {1} brought back, {2} changed.', lost, gained, changed),
  };
}

function comparisonLines(
  restore: Restoration,
  { schema, migrations, tables: all, targetState, targetReason }: PlannedItem,
  index: number,
): Line[] {
  const { t } = restore.host;
  const lines: Line[] = [];
  if (targetState === 'damaged' && targetReason !== undefined)
    lines.push({ kind: 'warning', text: targetReason });
  const only = (side: 'live' | 'backup'): string =>
    namesOf(
      all.filter((one) => one.only === side),
      t,
    );
  if (only('live') !== '')
    lines.push({
      kind: 'warning',
      text: t('Tables only in the live database: {0}.', only('live')),
    });
  if (only('backup') !== '')
    lines.push({ kind: 'fact', text: t('Tables only in the backup: {0}.', only('backup')) });
  if (!schema.same) {
    const action = button(restore, `open-schema-${index}`, t('Show Differences'), 'link');
    lines.push({ kind: 'warning', text: t('The schemas differ.'), action });
  }
  if (migrations.backup.length + migrations.live.length > 0) {
    const isCalm = migrations.verdict === 'same';
    lines.push({ kind: isCalm ? 'fact' : 'warning', text: migrations.words });
  }
  return lines;
}

const mostNames = 10;

function namesOf(tables: TableChange[], t: Translate): string {
  const names = tables.slice(0, mostNames).map(({ name }) => name);
  const more = tables.length - names.length;
  return [...names, ...(more > 0 ? [t('{0} more', more)] : [])].join(', ');
}
