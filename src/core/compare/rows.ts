/*
 * Counts how the rows of two tables differ. Rows are read from the tables themselves, never from an index, and no value
 * leaves SQLite. Swapped sides give the mirrored numbers.
 */
import { quoted } from '../sqlite/driver.ts';
import type { From, Pair, Source } from '../sqlite/pair.ts';
import type { Identity, SharedColumn, Table } from './identity.ts';
import { chunksOf, defineDigest, digestOf, mostTerms } from './rowDigest.ts';

export interface RowCounts {
  onlyLeft: number;
  onlyRight: number;
  changed: number;
}

/** Called for each row that is read: a condition that holds. */
const eachRow = 'each_row()';

export function defineFunctions(pair: Pair, onRow: () => void): void {
  pair.define('each_row', () => {
    onRow();
    return 1;
  });
  defineDigest(pair);
}

/** Of a table that only one side has. */
export function countRows({ side, name, hint }: Table): number {
  const [row] = side.rows(
    `SELECT count(*) AS n FROM ${side.schema}.${quoted(name)} ${hint} WHERE ${eachRow}`,
  );
  return Number(row?.['n']);
}

/**
 * Rows with the same key are partners. Rows without a key (where there is none, or it holds NULL) are partners when their
 * content is the same, as often as it is there; of those that are left, two under one row id are a changed row.
 */
export function compareRows(
  pair: Pair,
  left: Table,
  right: Table,
  identity: Identity,
  onRow: () => void,
): RowCounts {
  const sourceOf = (table: Table, side: keyof SharedColumn & ('left' | 'right')): Source => ({
    table: quoted(table.name),
    columns: identity.columns.map((column) => column[side]),
    rowid: table.rowid,
    hint: table.hint,
  });
  return pair.withTables(
    sourceOf(left, 'left'),
    sourceOf(right, 'right'),
    onRow,
    (fromLeft, fromRight) => {
      const sides = [
        { from: fromLeft, rowid: left.rowid, name: 'left' },
        { from: fromRight, rowid: right.rowid, name: 'right' },
      ] as const;
      return (
        (identity.isPlace ? countInPlace(pair, identity, sides) : undefined) ??
        countByContent(pair, identity, sides)
      );
    },
  );
}

interface FromSide {
  from: From;
  rowid: string | undefined;
  name: 'left' | 'right';
}
type Sides = readonly [FromSide, FromSide];

/** Undefined when SQLite would have to search a whole table for each row. */
function countInPlace(pair: Pair, { columns, key }: Identity, sides: Sides): RowCounts | undefined {
  const [left, right] = sides;
  const [first] = key;
  if (first === undefined) return undefined;
  // A copy has no collations of its own.
  const isPartner = ([a, b]: Sides): string =>
    all(key.map((one) => `a.${one[a.name]} = b.${one[b.name]} COLLATE ${one.collation}`));
  const join = ([a, b]: Sides): string =>
    `${a.from.name} AS a ${a.from.hint} LEFT JOIN ${b.from.name} AS b ${b.from.hint}
      ON ${isPartner([a, b])}`;
  const isMissing = `b.${first.right} IS NULL`;
  const fromLeft = `SELECT count(*) AS n, count(*) FILTER (WHERE ${isMissing}) AS missing
    FROM ${join(sides)} WHERE ${eachRow} AND (${isMissing} OR ${differs(columns, sides)})`;
  const fromRight = `SELECT count(*) AS missing
    FROM ${join([right, left])} WHERE ${eachRow} AND b.${first.left} IS NULL`;
  if ([fromLeft, fromRight].some((sql) => isQuadratic(pair, sql))) return undefined;
  const [found] = pair.rows(fromLeft);
  const [others] = pair.rows(fromRight);
  return {
    onlyLeft: Number(found?.['missing']),
    onlyRight: Number(others?.['missing']),
    changed: Number(found?.['n']) - Number(found?.['missing']),
  };
}

/** True when the inner table of a join would be read as a whole for each row of the outer one. */
function isQuadratic(pair: Pair, sql: string): boolean {
  return pair
    .rows(`EXPLAIN QUERY PLAN ${sql}`)
    .some((row) => /^SCAN b\b/.test(String(row['detail'])));
}

function countByContent(pair: Pair, identity: Identity, sides: Sides): RowCounts {
  const { key, columns } = identity;
  const content = partsOf('c', columns);
  const total: RowCounts = { onlyLeft: 0, onlyRight: 0, changed: 0 };
  const hasKey = (side: FromSide): string =>
    all(key.map((column) => `a.${column[side.name]} IS NOT NULL`));
  if (key.length > 0) {
    const keyed = partsOf('k', key);
    const rows = remaining(columns, sides, [...keyed, ...content], hasKey);
    add(total, countPartners(pair, rows, keyed, content));
  }
  const isLoose = (side: FromSide): string => (key.length > 0 ? `NOT ${hasKey(side)}` : 'TRUE');
  const rows = remaining(columns, sides, content, isLoose);
  const loose = countSame(pair, rows, content);
  if (loose.onlyLeft > 0 && loose.onlyRight > 0 && haveRowids(sides)) {
    const changed = countUnderOneRowid(pair, rows, content);
    loose.onlyLeft -= changed;
    loose.onlyRight -= changed;
    loose.changed += changed;
  }
  add(total, loose);
  return total;
}

function add(total: RowCounts, more: RowCounts): void {
  total.onlyLeft += more.onlyLeft;
  total.onlyRight += more.onlyRight;
  total.changed += more.changed;
}

function haveRowids(sides: Sides): boolean {
  return sides.every(({ rowid }) => rowid !== undefined);
}

/** An expression by which rows are grouped. */
interface Part {
  as: string;
  collation: string;
  of: (side: FromSide) => string;
}

/** What makes rows the same; of very many columns a digest, as SQLite cannot group by so many. */
function partsOf(prefix: 'k' | 'c', columns: (SharedColumn & { collation?: string })[]): Part[] {
  const values = columns.map((column, index) => ({
    as: `${prefix}${index}`,
    collation: column.collation ?? 'BINARY',
    of: ({ name }: FromSide) => valueOf(column, 'a', name),
  }));
  if (values.length > mostTerms) {
    const digest = (side: FromSide): string => digestOf(values.map(({ of }) => of(side)));
    return [{ as: `${prefix}0`, collation: 'BINARY', of: digest }];
  }
  // As a key 1 and 1.0 are the same, as content they are not.
  const reals = prefix === 'c' ? chunksOf(values, bitsPerMask) : [];
  const masks = reals.map((chunk, index) => ({
    as: `${prefix}m${index}`,
    collation: 'BINARY',
    of: (side: FromSide) =>
      chunk.map(({ of }, bit) => `((typeof(${of(side)}) = 'real') << ${bit})`).join(' | '),
  }));
  return [...values, ...masks];
}

const bitsPerMask = 60;

function valueOf(column: SharedColumn, alias: string, side: FromSide['name']): string {
  const value = `${alias}.${column[side]}`;
  if (column.keyAs === undefined) return value;
  return column.keyAs === 'text'
    ? `CASE WHEN typeof(${value}) IN ('integer', 'real') THEN CAST(${value} AS TEXT) ELSE ${value} END`
    : `CASE WHEN typeof(${value}) = 'real' AND ${value} = CAST(${value} AS INTEGER)
        THEN CAST(${value} AS INTEGER) ELSE ${value} END`;
}

/** The rows of both sides that meet a condition, but for those that are the same under one row id: most of them. */
function remaining(
  columns: SharedColumn[],
  sides: Sides,
  parts: Part[],
  condition: (side: FromSide) => string,
): string {
  const [left, right] = sides;
  return [sides, [right, left] as const]
    .map((pair) => {
      const [a, b] = pair;
      // Without `+`, SQLite turns integers of one side into reals where the other side's column is of type real. Without
      // COLLATE, it asks for the collation of the column.
      const values = parts.map(
        ({ as, collation, of }) => `(+(${of(a)})) COLLATE ${collation} AS ${as}`,
      );
      const from = `${a.from.name} AS a ${a.from.hint}`;
      const selected = [`${a === left ? 0 : 1} AS side`, `${rowidOf('a', a)} AS row`, ...values];
      const select = `SELECT ${selected.join(', ')} FROM ${from}`;
      const where = `WHERE ${eachRow} AND ${condition(a)}`;
      if (!haveRowids(sides)) return `${select} ${where}`;
      return `${select} LEFT JOIN ${b.from.name} AS b ${b.from.hint}
        ON b.${b.rowid} = a.${a.rowid} ${where} AND (b.${b.rowid} IS NULL OR ${differs(columns, pair)})`;
    })
    .join(' UNION ALL ');
}

function rowidOf(alias: string, { rowid }: FromSide): string {
  return rowid === undefined ? 'NULL' : `${alias}.${rowid}`;
}

const ofLeft = 'count(*) FILTER (WHERE side = 0) AS l';
const ofRight = 'count(*) FILTER (WHERE side = 1) AS r';

/** Rows of one key are partners, as many as both sides have; those with the same content first. */
function countPartners(pair: Pair, rows: string, key: Part[], content: Part[]): RowCounts {
  const [found] = pair.rows(
    `SELECT sum(max(l - r, 0)) AS onlyLeft, sum(max(r - l, 0)) AS onlyRight, sum(min(l, r) - same) AS changed
      FROM (SELECT sum(l) AS l, sum(r) AS r, sum(min(l, r)) AS same
        FROM (SELECT ${key.map(({ as }) => as).join(', ')}, ${ofLeft}, ${ofRight}
          FROM (${rows}) GROUP BY ${grouping([...key, ...content])})
        GROUP BY ${grouping(key)})`,
  );
  return {
    onlyLeft: Number(found?.['onlyLeft']),
    onlyRight: Number(found?.['onlyRight']),
    changed: Number(found?.['changed']),
  };
}

/** Rows of one content are partners, as many as both sides have. */
function countSame(pair: Pair, rows: string, content: Part[]): RowCounts {
  const [found] = pair.rows(
    `SELECT sum(max(l - r, 0)) AS onlyLeft, sum(max(r - l, 0)) AS onlyRight
      FROM (SELECT ${ofLeft}, ${ofRight} FROM (${rows}) GROUP BY ${grouping(content)})`,
  );
  return {
    onlyLeft: Number(found?.['onlyLeft']),
    onlyRight: Number(found?.['onlyRight']),
    changed: 0,
  };
}

/** Of rows with the same content those with the smallest row ids are partners; of the others, those under one row id. */
function countUnderOneRowid(pair: Pair, rows: string, content: Part[]): number {
  const rowidsOf = (side: number): string =>
    `json_group_array(row) FILTER (WHERE side = ${side}) AS rows${side}`;
  const [found] = pair.rows(
    `WITH more AS MATERIALIZED (
        SELECT row_number() OVER () AS content, min(l, r) AS partners, iif(l > r, rows0, rows1) AS rows
        FROM (SELECT ${ofLeft}, ${ofRight}, ${rowidsOf(0)}, ${rowidsOf(1)}
          FROM (${rows}) GROUP BY ${grouping(content)} HAVING l <> r))
      SELECT count(*) AS n FROM (
        SELECT row FROM (
          SELECT value AS row, partners, row_number() OVER (PARTITION BY content ORDER BY value) AS place
          FROM more, json_each(more.rows))
        WHERE place > partners GROUP BY row HAVING count(*) = 2)`,
  );
  return Number(found?.['n']);
}

function grouping(parts: Part[]): string {
  return parts.map(({ as, collation }) => `${as} COLLATE ${collation}`).join(', ');
}

/** Column by column and byte by byte: a collation may call different texts equal, and 1 equals 1.0. */
function differs(columns: SharedColumn[], [a, b]: Sides): string {
  const terms = columns.map((column) => {
    const [one, other] = [valueOf(column, 'a', a.name), valueOf(column, 'b', b.name)];
    return `${one} IS NOT ${other} COLLATE BINARY OR typeof(${one}) <> typeof(${other})`;
  });
  return terms.length === 0 ? 'FALSE' : balanced('OR', terms);
}

function all(terms: string[]): string {
  return balanced('AND', terms);
}

/** SQLite limits the depth of an expression, and a chain is as deep as it is long. */
function balanced(operator: string, terms: string[]): string {
  if (terms.length <= 1) return `(${terms.join('')})`;
  const half = terms.length >> 1;
  const [head, tail] = [terms.slice(0, half), terms.slice(half)];
  return `(${balanced(operator, head)} ${operator} ${balanced(operator, tail)})`;
}
