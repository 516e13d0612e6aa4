/** The facts of tools as lines for an agent: counts and names, never the value of a cell. */
import type { Comparison } from '../core/compare/compare.ts';
import type { TableFacts } from '../core/manifest/manifest.ts';
import type { RestorePlan } from '../core/restore/plan.ts';
import { oneLine } from './hookEvent.ts';

const name = (table: string): string => oneLine(table, 80);

export function comparisonLines(
  { schema, tables, notCompared, damaged }: Comparison,
  { left, right, table: wanted }: { left: string; right: string; table: string | undefined },
): string[] {
  const shown = tables.filter((one) => wanted === undefined || one.name === wanted);
  if (wanted !== undefined && shown.length === 0)
    return [`Neither side has a table ${name(wanted)}.`];
  const different = shown.filter(
    ({ compared, only, onlyLeft, onlyRight, changed }) =>
      compared && (only !== undefined || onlyLeft + onlyRight + changed > 0),
  );
  const schemaLines = schema.diff.split('\n').filter((line) => line !== '').length;
  return [
    schema.same ? 'The schemas are the same.' : `The schemas differ in ${schemaLines} lines.`,
    ...damaged.map((side) => `${side === 'left' ? left : right} is DAMAGED.`),
    ...different.map(({ name: table, only, onlyLeft, onlyRight, changed }) => {
      if (only !== undefined)
        return `${name(table)}: only in ${only === 'left' ? left : right}, ${onlyLeft + onlyRight} rows`;
      return `${name(table)}: ${onlyLeft} rows only in ${left}, ${onlyRight} only in ${right}, ${changed} changed`;
    }),
    ...notCompared
      .filter((one) => wanted === undefined || one.name === wanted)
      .map((one) => `${name(one.name)}: not compared, ${oneLine(one.reason, 200)}`),
    `${different.length} of ${shown.length} tables differ.`,
  ];
}

export function planLines({ items }: RestorePlan): string[] {
  return items.flatMap((item) => {
    const changed = item.tables.filter(
      ({ compared, only, lost, gained, changed: rows }) =>
        compared && (only !== undefined || lost + gained + rows > 0),
    );
    return [
      item.targetExists
        ? `The live database is ${item.targetState}.`
        : 'The live database no longer exists.',
      ...(item.targetState === 'readable' && changed.length === 0
        ? ['All rows are the same.']
        : []),
      ...changed.map(
        ({ name: table, lost, gained, changed: rows }) =>
          `${name(table)}: brings back ${gained} rows, loses ${lost}, changes ${rows}`,
      ),
      ...(item.schema.same ? [] : ['The schemas differ.']),
      ...(item.migrations.words === '' ? [] : [oneLine(item.migrations.words, 300)]),
      ...item.holders.map(
        ({ pid, name: program }) => `${oneLine(program, 60)} (pid ${pid}) has it open.`,
      ),
    ];
  });
}

/** `, 3 tables with 120 rows` */
export function rowsOf(tables: readonly TableFacts[] | undefined): string {
  const counts = tables?.map(({ rows }) => rows).filter((rows) => rows !== undefined) ?? [];
  // They are counted when the checkpoint is looked at, not when it is taken.
  if (counts.length === 0 || counts.length !== tables?.length) return '';
  return `, ${counts.length} tables with ${counts.reduce((sum, rows) => sum + rows, 0)} rows`;
}
