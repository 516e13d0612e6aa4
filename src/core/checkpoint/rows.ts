/** Which rows are gone between a checkpoint and the database as it is now. */
import { findLosses, findLostColumns, type Loss } from '../manifest/loss.ts';
import type { TableFacts } from '../manifest/manifest.ts';
import { describeDatabase } from '../sqlite/contents.ts';
import { withReadable } from '../sqlite/readable.ts';

export interface Counted {
  tables: TableFacts[];
  columns: Record<string, string[]>;
}

/** The rows and columns of each table now. Throws when they cannot be counted: then nothing is known, and nothing is lost. */
export function countRows(database: string, busyTimeoutMs: number): Counted {
  return withReadable([database], ([readable = database]) => {
    const { tables, columns } = describeDatabase(readable, busyTimeoutMs, {
      ...{ countRows: 'any', columns: true },
    });
    return { tables, columns: columns ?? {} };
  });
}

/** Counts the rows of both. Throws when one of them cannot be read. */
export function lossesAfter(checkpoint: string, database: string, busyTimeoutMs: number): Loss[] {
  const [before, now] = [checkpoint, database].map((path) => countRows(path, busyTimeoutMs));
  if (before === undefined || now === undefined) return [];
  return [...findLosses(before, now), ...findLostColumns(before, now)];
}

/** Of one table; undefined where it is not there, or its rows could not be counted. */
export interface RowChange {
  table: string;
  before: number | undefined;
  now: number | undefined;
}

/** Which tables have other numbers of rows than in a checkpoint, those that have lost most first. */
export function changesAfter(
  checkpoint: string,
  database: string,
  busyTimeoutMs: number,
): RowChange[] {
  const [before, now] = [checkpoint, database].map((path) => {
    const { tables } = countRows(path, busyTimeoutMs);
    return new Map(tables.map(({ name, rows }) => [name, rows]));
  });
  if (before === undefined || now === undefined) return [];
  return [...new Set([...before.keys(), ...now.keys()])]
    .map((table) => ({ table, before: before.get(table), now: now.get(table) }))
    .filter(
      ({ table, before: rows, now: rowsNow }) =>
        before.has(table) !== now.has(table) ||
        (rows !== rowsNow && rows !== undefined && rowsNow !== undefined),
    )
    .sort((a, b) => (a.now ?? 0) - (a.before ?? 0) - ((b.now ?? 0) - (b.before ?? 0)));
}
