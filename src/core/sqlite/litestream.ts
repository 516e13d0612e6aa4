/**
 * Litestream copies the WAL of a database elsewhere. It keeps its notes in a folder beside the database, or elsewhere
 * where it is configured so, and two tables in the database itself.
 */
import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { tablesNamedIn } from './schemaPages.ts';

const tables = ['_litestream_seq', '_litestream_lock'];

/** What tells it: the folder; or the tables alone, which a restored copy has too. Undefined without both. */
export function litestreamSignOf(
  database: string,
): { folder: string } | { table: string } | undefined {
  const folder = litestreamFolderOf(database);
  if (folder !== undefined) return { folder };
  const named = tablesNamedIn(database);
  const table = tables.find((one) => named.has(one));
  return table === undefined ? undefined : { table };
}

/** The name of the folder that Litestream keeps beside the database. */
export function litestreamFolderOf(database: string): string | undefined {
  const name = basename(database);
  return [`.${name}-litestream`, `${name}-litestream`].find((one) =>
    existsSync(join(dirname(database), one)),
  );
}
