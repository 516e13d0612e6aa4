/** What two databases do not share, as one text: facts in, words out. */
import type { Comparison } from '../core/compare/compare.ts';

/** One of the two in a comparison, as people tell it from the other. */
export interface Compared {
  /** What the comparison calls it. */
  is: 'left' | 'right';
  side: string;
  /** Heads the column of rows that only it has. */
  only: string;
  /** Heads the tables that only it has. */
  tables: string;
  /** Heads the statements of the schema that only it has. */
  schema: string;
  name: string;
}

export interface ReportWords {
  t: (message: string, ...values: (string | number)[]) => string;
  /** As the person writes numbers. */
  count: (value: number) => string;
}

/** `sides` in the order in which they are shown. */
export function comparisonReport(
  comparison: Comparison,
  sides: readonly [Compared, Compared],
  words: ReportWords,
): string {
  const { t } = words;
  const { schema, tables, notCompared, damaged } = comparison;
  const compared = tables.filter((one) => one.compared);
  const oneSided = compared.filter(({ only }) => only !== undefined);
  const differing = compared.filter(
    (one) => one.only === undefined && one.onlyLeft + one.onlyRight + one.changed > 0,
  );
  const same = compared.length - differing.length - oneSided.length;
  return [
    ...sides.map(({ side, name }) => t('{0}: {1}', side, printable(name))),
    '',
    ...sides
      .filter(({ is }) => damaged.includes(is))
      .map(({ side }) => t('{0}: damage was found. What could be read of it is compared.', side)),
    schema.same ? t('The schemas are the same.') : t('The schemas differ: see below.'),
    sameWords(differing.length, same, words),
    ...differingTables(differing, sides, words),
    ...sides.flatMap((one) => tablesOf(oneSided, one, words)),
    ...sides.flatMap((one) => schemaOf(schema.diff, one)),
    ...(notCompared.length === 0 ? [] : ['', t('Not compared:')]),
    ...notCompared.map(({ name, reason }) => `  ${printable(name)}: ${reason}`),
    '',
  ].join('\n');
}

function sameWords(differing: number, same: number, { t, count }: ReportWords): string {
  if (differing === 0) {
    return same === 1
      ? t('1 table has the same rows.')
      : t('{0} tables have the same rows.', count(same));
  }
  return differing === 1
    ? t('1 table differs, {0} hold the same rows.', count(same))
    : t('{0} tables differ, {1} hold the same rows.', count(differing), count(same));
}

type Table = Comparison['tables'][number];

function rowsOnly(table: Table, { is }: Compared): number {
  return is === 'left' ? table.onlyLeft : table.onlyRight;
}

function differingTables(
  differing: Table[],
  sides: readonly [Compared, Compared],
  { t, count }: ReportWords,
): string[] {
  if (differing.length === 0) return [];
  const width = Math.max(...differing.map(({ name }) => printable(name).length));
  const column = (text: string): string => text.padStart(14);
  const head = [sides[0].only, sides[1].only, t('changed')].map(column).join('');
  return [
    '',
    ' '.repeat(width) + head,
    ...differing.map((table) => {
      const numbers = [rowsOnly(table, sides[0]), rowsOnly(table, sides[1]), table.changed];
      return printable(table.name).padEnd(width) + numbers.map((n) => column(count(n))).join('');
    }),
  ];
}

function tablesOf(oneSided: Table[], side: Compared, { t, count }: ReportWords): string[] {
  const lines = oneSided
    .filter(({ only }) => only === side.is)
    .map((table) => {
      const rows = rowsOnly(table, side);
      return `  ${printable(table.name)}: ${rows === 1 ? t('1 row') : t('{0} rows', count(rows))}`;
    });
  return lines.length === 0 ? [] : ['', side.tables, ...lines];
}

const mostStatements = 200;

/** The comparison marks statements of the left side with `- `, those of the right with `+ `. */
function schemaOf(diff: string, { is, schema }: Compared): string[] {
  const mark = is === 'left' ? '- ' : '+ ';
  const statements = diff
    .split('\n')
    .filter((line) => line.startsWith(mark))
    .map((line) => `  ${printableText(line.slice(mark.length))}`);
  const more = statements.length > mostStatements ? ['  …'] : [];
  return statements.length === 0
    ? []
    : ['', schema, ...statements.slice(0, mostStatements), ...more];
}

function printableText(text: string): string {
  return text.replace(/[\p{Cc}\p{Bidi_Control}]/gu, '�');
}

/** Names may hold anything, line breaks and invisible characters included. */
export function printable(name: string): string {
  const shown = printableText(name);
  return shown.length > 80 ? `${shown.slice(0, 79)}…` : shown;
}
