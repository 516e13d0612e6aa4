/*
 * What differs between two databases: schema by statement, data by row. Only numbers and names leave; values never do.
 * Only ordinary tables are read: a view or a virtual table would run what the file says.
 */
import { constants, copyFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { explain } from './errors.ts';
import { makePrivateFolder, resolveRegularFile, siblingsOf } from './files.ts';
import { requireDatabase } from './header.ts';
import { copyAside } from './source.ts';
import { isNotRunnable, openPair, readSchemaText, type Pair } from './sqlite.ts';

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

/**
 * Gives `use` paths under which the files can be opened without a trace. A WAL-mode file that nobody has open would get
 * siblings, so a private copy stands for it.
 */
export function withReadable<T>(paths: readonly string[], use: (readable: string[]) => T): T {
  const scratch = makePrivateFolder(tmpdir());
  try {
    return use(
      paths.map((given, index) => {
        const path = resolveRegularFile(given);
        const siblings = siblingsOf(path);
        if (requireDatabase(path).journalMode !== 'wal' || siblings.has('-shm')) return path;
        // Left by a program that has died: what it committed last is in the WAL alone.
        if (siblings.has('-wal')) return copyAside(path, scratch.path);
        const copy = join(scratch.path, `${index}.db`);
        try {
          copyFileSync(path, copy, constants.COPYFILE_FICLONE);
        } catch (error) {
          throw explain(error, 'target', tmpdir());
        }
        return copy;
      }),
    );
  } finally {
    scratch.remove();
  }
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
  for (const { type, name } of left)
    if (type === 'view') notCompared.push({ name, reason: 'a view' });
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

function compareTable(
  pair: Pair,
  name: string,
  sides: {
    left: SchemaEntry | undefined;
    right: SchemaEntry | undefined;
    names: SideNames;
  },
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
    const shape = shapeOf(pair, name, sides.names, notCompared);
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
}

function shapeOf(
  pair: Pair,
  name: string,
  [leftName, rightName]: SideNames,
  notCompared: Comparison['notCompared'],
): Shape | undefined {
  const left = columnsOf(pair, 'main', name);
  const right = columnsOf(pair, 'other', name);
  const shared = left.filter((column) => right.some((other) => other.name === column.name));
  for (const [side, columns] of [
    [leftName, left],
    [rightName, right],
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
  if (isRowidKey || (!sameKey && leftKey.length === 0 && rightKey.length === 0)) {
    return rowid === undefined ? undefined : { key: [rowid], isRowid: true, columns };
  }
  if (!sameKey) return rowid === undefined ? undefined : { key: [rowid], isRowid: true, columns };
  const key = leftKey.map((one) => quoted(one));
  // A primary key that is no INTEGER PRIMARY KEY may hold NULLs, and those identify nothing.
  if (rowid !== undefined && hasNulls(pair, name, key))
    return { key: [rowid], isRowid: true, columns };
  return { key, isRowid: false, columns };
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

function compareRows(
  pair: Pair,
  table: string,
  shape: Shape,
  onProgress: (fraction: number) => void,
): Pick<TableDifference, 'onlyLeft' | 'onlyRight' | 'changed'> {
  const { key, columns } = shape;
  const sameKey = key.map((one) => `a.${one} = b.${one}`).join(' AND ');
  // Column by column and byte by byte: a collation may call different texts equal, and 1 equals 1.0.
  const differs = columns
    .map((one) => `a.${one} IS NOT b.${one} COLLATE BINARY OR typeof(a.${one}) <> typeof(b.${one})`)
    .join(' OR ');
  const [first = ''] = key;
  const total = { onlyLeft: 0, onlyRight: 0, changed: 0 };
  const left = `main.${table}`;
  const right = `other.${table}`;
  for (const range of shape.isRowid ? ranges(pair, table, first, onProgress) : [undefined]) {
    const within = (alias: string): string =>
      range === undefined ? '' : ` AND ${range.where(alias)}`;
    const parameters = range?.parameters ?? [];
    const only = (one: string, other: string): number =>
      Number(
        pair.value(
          `SELECT count(*) FROM ${one} AS a WHERE NOT EXISTS (SELECT 1 FROM ${other} AS b WHERE ${sameKey})${within('a')}`,
          ...parameters,
        ),
      );
    total.onlyLeft += only(left, right);
    total.onlyRight += only(right, left);
    if (differs === '') continue;
    total.changed += Number(
      pair.value(
        `SELECT count(*) FROM ${left} AS a JOIN ${right} AS b ON ${sameKey} WHERE (${differs})${within('a')}`,
        ...parameters,
      ),
    );
  }
  return total;
}

interface Range {
  where: (alias: string) => string;
  parameters: unknown[];
}

/** Ranges of the row id that together hold every row of both sides, so that there is progress within a table. */
function* ranges(
  pair: Pair,
  table: string,
  key: string,
  onProgress: (fraction: number) => void,
): Generator<Range> {
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
    const lower = (alias: string): string =>
      from === undefined ? 'TRUE' : `${alias}.${key} > ${integer(from)}`;
    if (to === undefined) {
      yield { where: lower, parameters: [] };
      return;
    }
    const start = lower('a');
    yield { where: (alias) => `${start} AND ${alias}.${key} <= ${integer(to)}`, parameters: [] };
    from = to;
  }
}

/** A row id as SQLite printed it: 64 bits, which a number cannot hold. */
function integer(text: unknown): bigint {
  return BigInt(String(text));
}

function countRows(pair: Pair, table: string): number {
  return Number(pair.value(`SELECT count(*) FROM ${table}`));
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
