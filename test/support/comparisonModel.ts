/*
 * What is to be found between two databases: counted in plain JavaScript over the rows that each database gives by
 * itself.
 */
import Database from 'better-sqlite3';
import type { TableDifference } from '../../src/core/compare/compare.ts';
import {
  type ColumnPlan,
  hasRowid,
  isRowidKey,
  type PlannedPair,
  rowidOf,
  type TablePlan,
} from './randomPairs.ts';

type Value = null | bigint | number | string | Buffer;

interface ModelRow {
  rowid: bigint | undefined;
  /** By folded name. */
  values: Map<string, Value>;
}

function readRows(path: string, plan: TablePlan): ModelRow[] {
  const db = new Database(path, { readonly: true });
  try {
    const names = plan.columns.map(({ name }) => name);
    const rowid = hasRowid(plan) ? `"${rowidOf(plan)}"` : 'NULL';
    return db
      .prepare(
        `SELECT ${[rowid, ...names.map((name) => `"${name}"`)].join(', ')} FROM "${plan.name}"`,
      )
      .raw()
      .safeIntegers()
      .all()
      .map((row) => {
        const [id, ...rest] = row as Value[];
        return {
          rowid: typeof id === 'bigint' ? id : undefined,
          values: new Map(names.map((name, index) => [name.toLowerCase(), rest[index] ?? null])),
        };
      });
  } finally {
    db.close();
  }
}

const isText = (type: string): boolean => /TEXT|CHAR/.test(type);

const memory = new Database(':memory:');
const printed = memory.prepare('SELECT CAST(? AS TEXT)').pluck();

/** A word that is the same for the same value, stored in the same way. */
function wordOf(value: Value): string {
  if (value === null) return 'null';
  if (Buffer.isBuffer(value)) return `blob ${value.toString('hex')}`;
  return `${typeof value} ${String(value)}`;
}

const asText = (value: Value): Value =>
  typeof value === 'bigint'
    ? String(value)
    : typeof value === 'number'
      ? String(printed.get(value))
      : value;

const asInteger = (value: Value): Value =>
  typeof value === 'number' && Number.isInteger(value) ? BigInt(value) : value;

/** The same for values that are the same key. */
function keyWordOf(value: Value, collation: string): string {
  if (typeof value === 'number' && Number.isInteger(value)) return wordOf(BigInt(value));
  if (typeof value !== 'string') return wordOf(value);
  if (collation === 'RTRIM') return wordOf(value.replace(/ +$/, ''));
  if (collation !== 'NOCASE') return wordOf(value);
  // What comes after a zero is not looked at, but how long it is.
  const [head = ''] = value.split('\0');
  const folded = head.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
  return wordOf(`${folded}/${Buffer.byteLength(value)}`);
}

interface KnownRow {
  rowid: bigint | undefined;
  /** Undefined for a row without a key. */
  key: string | undefined;
  content: string;
}

/** What is to be found between two tables; undefined when they have no column in common. */
function modelOf(
  [left, ofLeft]: [TablePlan, ModelRow[]],
  [right, ofRight]: [TablePlan, ModelRow[]],
): Pick<TableDifference, 'onlyLeft' | 'onlyRight' | 'changed'> | undefined {
  const fold = (name: string): string => name.toLowerCase();
  const columnOf = (plan: TablePlan, folded: string): ColumnPlan | undefined =>
    plan.columns.find(({ name }) => fold(name) === folded);
  const shared = left.columns
    .map(({ name }) => fold(name))
    .filter((folded) => columnOf(right, folded) !== undefined);
  if (shared.length === 0) return undefined;
  const [leftKey, rightKey] = [left.key.map(fold).sort(), right.key.map(fold).sort()];
  const key = leftKey.join() === rightKey.join() ? leftKey : [];
  const known = (rows: ModelRow[]): KnownRow[] =>
    rows.map(({ rowid, values: stored }) => {
      const valueOf = (folded: string): Value => {
        const value = stored.get(folded) ?? null;
        const [one = '', other = ''] = [left, right].map(
          (plan) => columnOf(plan, folded)?.type.toUpperCase() ?? '',
        );
        const isRetyped = one !== other || one === 'ANY';
        if (!key.includes(folded) || !isRetyped) return value;
        return isText(one) === isText(other) ? asInteger(value) : asText(value);
      };
      const isLoose = key.length === 0 || key.some((folded) => valueOf(folded) === null);
      const words = key.map((folded) => {
        const [one, other] = [left, right].map((plan) =>
          isRowidKey(plan) ? 'none' : columnOf(plan, folded)?.collation,
        );
        return keyWordOf(valueOf(folded), one === other ? (one ?? '') : '');
      });
      return {
        rowid,
        key: isLoose ? undefined : JSON.stringify(words),
        content: JSON.stringify(shared.map((folded) => wordOf(valueOf(folded)))),
      };
    });
  const haveRowids = hasRowid(left) && hasRowid(right);
  return count(known(ofLeft), known(ofRight), haveRowids);
}

function count(
  left: KnownRow[],
  right: KnownRow[],
  haveRowids: boolean,
): Pick<TableDifference, 'onlyLeft' | 'onlyRight' | 'changed'> {
  const total = { onlyLeft: 0, onlyRight: 0, changed: 0 };
  for (const key of new Set([...left, ...right].flatMap((row) => row.key ?? []))) {
    const [l, r] = [left, right].map((rows) => rows.filter((row) => row.key === key));
    const rest = [...(r ?? [])];
    const same = (l ?? []).filter((row) => {
      const at = rest.findIndex(({ content }) => content === row.content);
      if (at >= 0) rest.splice(at, 1);
      return at >= 0;
    }).length;
    const [lefts, rights] = [l?.length ?? 0, r?.length ?? 0];
    total.onlyLeft += Math.max(lefts - rights, 0);
    total.onlyRight += Math.max(rights - lefts, 0);
    total.changed += Math.min(lefts, rights) - same;
  }
  const isIn = (rows: KnownRow[], row: KnownRow): boolean =>
    haveRowids && rows.some((one) => one.rowid === row.rowid && one.content === row.content);
  const [looseLeft, looseRight] = [left, right].map((rows) =>
    rows.filter((row) => row.key === undefined),
  );
  const [l = [], r = []] = [
    (looseLeft ?? []).filter((row) => !isIn(looseRight ?? [], row)),
    (looseRight ?? []).filter((row) => !isIn(looseLeft ?? [], row)),
  ];
  const leftOver = (rows: KnownRow[], others: KnownRow[]): KnownRow[] =>
    [...new Set(rows.map(({ content }) => content))].flatMap((content) =>
      rows
        .filter((row) => row.content === content)
        .sort((a, b) => Number((a.rowid ?? 0n) - (b.rowid ?? 0n)))
        .slice(others.filter((row) => row.content === content).length),
    );
  const [restLeft, restRight] = [leftOver(l, r), leftOver(r, l)];
  const changed = haveRowids
    ? restLeft.filter((row) => restRight.some((other) => other.rowid === row.rowid)).length
    : 0;
  total.onlyLeft += restLeft.length - changed;
  total.onlyRight += restRight.length - changed;
  total.changed += changed;
  return total;
}

/** What a comparison of the two files has to find. */
export function expectedOf(pair: PlannedPair, left: string, right: string): TableDifference[] {
  return ['one', 'three', 'two'].flatMap((name): TableDifference[] => {
    const find = (side: PlannedPair['left']): TablePlan | undefined =>
      side.tables.find(([plan]) => plan.name.toLowerCase() === name)?.[0];
    const [ofLeft, ofRight] = [find(pair.left), find(pair.right)];
    const none = { name, onlyLeft: 0, onlyRight: 0, changed: 0, compared: true };
    if (ofLeft === undefined && ofRight === undefined) return [];
    if (ofRight === undefined) {
      const onlyLeft = ofLeft === undefined ? 0 : readRows(left, ofLeft).length;
      return [{ ...none, onlyLeft, only: 'left' }];
    }
    const rightRows = readRows(right, ofRight);
    if (ofLeft === undefined) return [{ ...none, onlyRight: rightRows.length, only: 'right' }];
    const found = modelOf([ofLeft, readRows(left, ofLeft)], [ofRight, rightRows]);
    return [found === undefined ? { ...none, compared: false } : { ...none, ...found }];
  });
}

export function mirrored(tables: TableDifference[]): TableDifference[] {
  return tables.map(({ only, ...table }) => ({
    ...table,
    onlyLeft: table.onlyRight,
    onlyRight: table.onlyLeft,
    ...(only && { only: only === 'left' ? ('right' as const) : ('left' as const) }),
  }));
}
