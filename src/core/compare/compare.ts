/*
 * What differs between two databases: schema by statement, data by row. Only numbers and names leave; values never do.
 * Only ordinary tables are read: a view or a virtual table would run what the file says.
 */
import { readSchemaText } from '../sqlite/contents.ts';
import { isNotRunnable } from '../sqlite/driver.ts';
import { openPair, type Pair } from '../sqlite/pair.ts';
import { withReadable } from '../sqlite/readable.ts';

export interface TableDifference {
  name: string;
  /** Rows whose key the other side does not have. */
  onlyLeft: number;
  onlyRight: number;
  /** Rows with the same key and another value in a column that both sides have. */
  changed: number;
  /** False when the numbers could not be found out; `notCompared` says why. */
  compared: boolean;
}

export interface Comparison {
  schema: {
    same: boolean;
    /** Statements only on the left with `- `, only on the right with `+ `, in the order of their names. */
    diff: string;
  };
  tables: TableDifference[];
  notCompared: { name: string; reason: string }[];
}

const rowsPerStep = 50_000;
const busyTimeoutMs = 5000;

/** What the two sides are called where the reasons speak of them. */
export type SideNames = readonly [left: string, right: string];

/**
 * Compares two databases, each at one instant. `onProgress` gets tables done and in all, with fractions for the table at
 * work. Throws a BackupError when one of them cannot be read.
 */
export function compareDatabases(
  left: string,
  right: string,
  onProgress: (done: number, total: number) => void,
  sides: SideNames = ['the left', 'the right'],
): Comparison {
  return withReadable([left, right], ([leftPath = left, rightPath = right]) => {
    const pair = openPair(leftPath, rightPath, busyTimeoutMs);
    try {
      return comparePair(pair, sides, onProgress);
    } finally {
      pair.close();
    }
  });
}

/** The schema of one database as sorted text, for a diff editor. */
export function schemaOf(database: string): string {
  return withReadable([database], ([path = database]) => readSchemaText(path, busyTimeoutMs));
}

interface SchemaEntry {
  type: string;
  name: string;
  sql: string;
  rootpage: number;
}

function comparePair(
  pair: Pair,
  sideNames: SideNames,
  onProgress: (done: number, total: number) => void,
): Comparison {
  const left = schemaEntries(pair, 'main');
  const right = schemaEntries(pair, 'other');
  const notCompared: Comparison['notCompared'] = [];
  const names = [
    ...new Set([...left, ...right].filter(({ type }) => type === 'table').map(({ name }) => name)),
  ];
  const tables: TableDifference[] = [];
  for (const [index, name] of names.sort().entries()) {
    const find = (entries: SchemaEntry[]): SchemaEntry | undefined =>
      entries.find((entry) => entry.type === 'table' && entry.name === name);
    const sides = { left: find(left), right: find(right) };
    if ([sides.left, sides.right].some((entry) => entry?.rootpage === 0)) {
      notCompared.push({ name, reason: 'a virtual table' });
      continue;
    }
    const total = names.length;
    tables.push(
      compareTable(pair, name, { ...sides, names: sideNames }, notCompared, (fraction) =>
        onProgress(index + fraction, total),
      ),
    );
    onProgress(index + 1, total);
  }
  const views = [...left, ...right].filter(({ type }) => type === 'view');
  for (const name of new Set(views.map((view) => view.name)))
    notCompared.push({ name, reason: 'a view' });
  return { schema: compareSchema(left, right), tables, notCompared };
}

function schemaEntries(pair: Pair, schema: 'main' | 'other'): SchemaEntry[] {
  return pair
    .rows(`SELECT type, name, sql, rootpage FROM ${schema}.sqlite_schema ORDER BY name, type`)
    .filter(({ name }) => typeof name === 'string')
    .map(({ type, name, sql, rootpage }) => ({
      type: String(type),
      name: name as string,
      sql: typeof sql === 'string' ? sql : '',
      rootpage: Number(rootpage),
    }));
}

function compareSchema(left: SchemaEntry[], right: SchemaEntry[]): Comparison['schema'] {
  const key = ({ type, name, sql }: SchemaEntry): string => JSON.stringify([type, name, sql]);
  const [leftKeys, rightKeys] = [new Set(left.map(key)), new Set(right.map(key))];
  const lines = [
    ...left.filter((entry) => !rightKeys.has(key(entry))).map((entry) => ({ entry, sign: '-' })),
    ...right.filter((entry) => !leftKeys.has(key(entry))).map((entry) => ({ entry, sign: '+' })),
  ]
    .filter(({ entry }) => entry.sql !== '')
    .sort((a, b) => (a.entry.name < b.entry.name ? -1 : a.entry.name > b.entry.name ? 1 : 0))
    .flatMap(({ entry, sign }) => entry.sql.split('\n').map((line) => `${sign} ${line}`));
  return { same: lines.length === 0, diff: lines.join('\n') };
}

/** The two definitions of a table. */
interface Sides {
  left: SchemaEntry | undefined;
  right: SchemaEntry | undefined;
  names: SideNames;
}

function compareTable(
  pair: Pair,
  name: string,
  sides: Sides,
  notCompared: Comparison['notCompared'],
  onProgress: (fraction: number) => void,
): TableDifference {
  const none = { name, onlyLeft: 0, onlyRight: 0, changed: 0 };
  try {
    const table = quoted(name);
    if (sides.right === undefined)
      return { ...none, onlyLeft: countRows(pair, `main.${table}`), compared: true };
    if (sides.left === undefined)
      return { ...none, onlyRight: countRows(pair, `other.${table}`), compared: true };
    const shape = shapeOf(pair, name, sides, notCompared);
    if (shape === undefined) {
      notCompared.push({ name, reason: 'its rows have no key in common' });
      return { ...none, compared: false };
    }
    return { name, ...compareRows(pair, table, shape, onProgress), compared: true };
  } catch (error) {
    if (!isNotRunnable(error)) throw error;
    notCompared.push({ name, reason: error.message });
    return { ...none, compared: false };
  }
}

interface Shape {
  /** Expressions that identify a row on both sides. */
  key: string[];
  /** True when the key is the row id, so that ranges of it can be compared one after another. */
  isRowid: boolean;
  /** Columns that both sides store. */
  columns: string[];
  /** A name of the row id; undefined for tables WITHOUT ROWID. */
  rowid: string | undefined;
  /** Both sides call the same keys equal, and no key twice: a row has at most one partner on the other side. */
  isSymmetric: boolean;
}

function shapeOf(
  pair: Pair,
  name: string,
  sides: Sides,
  notCompared: Comparison['notCompared'],
): Shape | undefined {
  const left = columnsOf(pair, 'main', name);
  const right = columnsOf(pair, 'other', name);
  const shared = left.filter((column) => right.some((other) => other.name === column.name));
  for (const [side, columns] of [
    [sides.names[0], left],
    [sides.names[1], right],
  ] as const) {
    for (const column of columns) {
      if (shared.some((one) => one.name === column.name)) continue;
      notCompared.push({
        name: `${name}.${column.name}`,
        reason: `a column that only ${side} has`,
      });
    }
  }
  const columns = shared.map((column) => quoted(column.name));
  const keyOf = (side: Column[]): string[] =>
    side
      .filter(({ pk }) => pk > 0)
      .sort((a, b) => a.pk - b.pk)
      .map((column) => column.name);
  const [leftKey, rightKey] = [keyOf(left), keyOf(right)];
  const sameKey = leftKey.length > 0 && leftKey.join('\0') === rightKey.join('\0');
  const rowid = rowidName(pair, name, [...left, ...right]);
  const isRowidKey =
    sameKey && leftKey.length === 1 && isRowidAlias(pair, name, leftKey[0] ?? '', rowid);
  const byRowid: Shape | undefined =
    rowid === undefined
      ? undefined
      : { key: [rowid], isRowid: true, columns, rowid, isSymmetric: true };
  if (isRowidKey || !sameKey) return byRowid;
  const key = leftKey.map((one) => quoted(one));
  // A primary key that is no INTEGER PRIMARY KEY may hold NULLs, and those identify nothing.
  if (byRowid !== undefined && hasNulls(pair, name, key)) return byRowid;
  const isSymmetric = sides.left?.sql === sides.right?.sql;
  return { key, isRowid: false, columns, rowid, isSymmetric };
}

interface Column {
  name: string;
  /** Place in the primary key from 1, or 0. */
  pk: number;
}

/** Stored columns only: what is generated follows from them. */
function columnsOf(pair: Pair, schema: 'main' | 'other', table: string): Column[] {
  return pair
    .rows('SELECT name, pk, hidden FROM pragma_table_xinfo(?, ?)', table, schema)
    .filter(({ hidden }) => hidden === 0)
    .map(({ name, pk }) => ({ name: String(name), pk: Number(pk) }));
}

/** A name of the row id that no column has taken; undefined for tables WITHOUT ROWID. */
function rowidName(pair: Pair, table: string, columns: Column[]): string | undefined {
  const taken = new Set(columns.map(({ name }) => name.toLowerCase()));
  const free = ['rowid', '_rowid_', 'oid'].find((name) => !taken.has(name));
  if (free === undefined) return undefined;
  try {
    for (const schema of ['main', 'other'])
      pair.rows(`SELECT ${free} FROM ${schema}.${quoted(table)} LIMIT 0`);
    return free;
  } catch (error) {
    if (isNotRunnable(error)) return undefined;
    throw error;
  }
}

function isRowidAlias(
  pair: Pair,
  table: string,
  column: string,
  rowid: string | undefined,
): boolean {
  if (rowid === undefined) return false;
  const declared = pair.value(
    "SELECT upper(type) FROM pragma_table_xinfo(?, 'main') WHERE name = ?",
    table,
    column,
  );
  return declared === 'INTEGER';
}

function hasNulls(pair: Pair, table: string, key: string[]): boolean {
  const isNull = key.map((column) => `${column} IS NULL`).join(' OR ');
  return ['main', 'other'].some(
    (schema) =>
      pair.value(`SELECT 1 FROM ${schema}.${quoted(table)} WHERE ${isNull} LIMIT 1`) !== undefined,
  );
}

type RowCounts = Pick<TableDifference, 'onlyLeft' | 'onlyRight' | 'changed'>;

function compareRows(
  pair: Pair,
  table: string,
  shape: Shape,
  onProgress: (fraction: number) => void,
): RowCounts {
  const [first = ''] = shape.key;
  const total: RowCounts = { onlyLeft: 0, onlyRight: 0, changed: 0 };
  for (const range of shape.isRowid ? ranges(pair, table, first, onProgress) : ['TRUE']) {
    const found = shape.isSymmetric
      ? countFromLeft(pair, table, shape, range)
      : countBothWays(pair, table, shape, range);
    total.onlyLeft += found.onlyLeft;
    total.onlyRight += found.onlyRight;
    total.changed += found.changed;
  }
  if (!shape.isSymmetric) return total;
  // Each row has at most one partner, so what has none on the right is what is left over there.
  const paired = countRows(pair, `main.${table}`) - total.onlyLeft;
  return { ...total, onlyRight: countRows(pair, `other.${table}`) - paired };
}

const sameKey = ({ key }: Shape): string => key.map((one) => `a.${one} = b.${one}`).join(' AND ');

/** Column by column and byte by byte: a collation may call different texts equal, and 1 equals 1.0. */
const differs = ({ columns }: Shape, a: string, b: string): string =>
  columns.length === 0
    ? 'FALSE'
    : columns
        .map(
          (one) =>
            `${a}.${one} IS NOT ${b}.${one} COLLATE BINARY OR typeof(${a}.${one}) <> typeof(${b}.${one})`,
        )
        .join(' OR ');

/** One pass over the left side. Most rows lie under the same row id on the right, unchanged: those need no search. */
function countFromLeft(pair: Pair, table: string, shape: Shape, range: string): RowCounts {
  const { key, rowid } = shape;
  const missing = `b.${key[0] ?? ''} IS NULL`;
  const looksElsewhere = rowid !== undefined && !shape.isRowid;
  const [row] = pair.rows(
    `SELECT count(*) FILTER (WHERE ${missing}) AS missing,
        count(*) FILTER (WHERE NOT ${missing} AND (${differs(shape, 'a', 'b')})) AS changed
      FROM main.${table} AS a
      ${looksElsewhere ? `LEFT JOIN other.${table} AS r ON r.${rowid} = a.${rowid}` : ''}
      LEFT JOIN other.${table} AS b ON ${sameKey(shape)}
      WHERE ${range} ${looksElsewhere ? `AND (r.${rowid} IS NULL OR ${differs(shape, 'a', 'r')})` : ''}`,
  );
  return {
    onlyLeft: Number(row?.['missing']),
    onlyRight: 0,
    changed: Number(row?.['changed']),
  };
}

/** Where the two sides may see the same keys as equal or not, each is asked by itself. */
function countBothWays(pair: Pair, table: string, shape: Shape, range: string): RowCounts {
  const [left, right] = [`main.${table}`, `other.${table}`];
  const only = (one: string, other: string): number =>
    countOf(
      pair,
      `${one} AS a WHERE NOT EXISTS (SELECT 1 FROM ${other} AS b WHERE ${sameKey(shape)}) AND ${range}`,
    );
  return {
    onlyLeft: only(left, right),
    onlyRight: only(right, left),
    changed: countOf(
      pair,
      `${left} AS a JOIN ${right} AS b ON ${sameKey(shape)} WHERE (${differs(shape, 'a', 'b')}) AND ${range}`,
    ),
  };
}

/**
 * Conditions on `a`, by ranges of the row id, that together hold for every row of both sides, so that there is progress
 * within a table.
 */
function* ranges(
  pair: Pair,
  table: string,
  key: string,
  onProgress: (fraction: number) => void,
): Generator<string> {
  const total = countRows(pair, `main.${table}`);
  let from: unknown;
  for (let done = 0; ; done += rowsPerStep) {
    onProgress(total === 0 ? 0 : Math.min(done / total, 1));
    const after = from === undefined ? '' : `WHERE ${key} > ?`;
    const known = from === undefined ? [] : [from];
    const to = pair.value(
      `SELECT CAST(${key} AS TEXT) FROM main.${table} ${after} ORDER BY ${key} LIMIT 1 OFFSET ${rowsPerStep - 1}`,
      ...known.map(integer),
    );
    const lower = from === undefined ? 'TRUE' : `a.${key} > ${integer(from)}`;
    if (to === undefined) {
      yield lower;
      return;
    }
    yield `${lower} AND a.${key} <= ${integer(to)}`;
    from = to;
  }
}

/** A row id as SQLite printed it: 64 bits, which a number cannot hold. */
function integer(text: unknown): bigint {
  return BigInt(String(text));
}

function countRows(pair: Pair, table: string): number {
  return countOf(pair, table);
}

function countOf(pair: Pair, from: string): number {
  return Number(pair.value(`SELECT count(*) FROM ${from}`));
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
