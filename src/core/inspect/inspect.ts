/** A look inside a backup, or inside one database of a bundle. It reads what leaves no trace: a private copy if need be. */
import { factsOf, withSource } from '../restore/source.ts';
import { type FirstRows, type Glance, peek, peekRows, peekSchema } from '../sqlite/peek.ts';

export interface Inside {
  path: string;
  /** Of a bundle: the database in it. */
  member?: string | undefined;
  /** A private copy of it that is there already. */
  copy?: string | undefined;
}

const tablesAtOnce = 200;
const rowsAtOnce = 100;
const longestSchema = 200_000;

/** The tables from the number `from` on, with their rows as they were counted for the backup, or else counted now. */
export async function lookInside(inside: Inside & { from?: number }): Promise<Glance> {
  const recorded = await recordedRows(inside);
  return read(inside, (path) =>
    peek(path, { from: inside.from ?? 0, most: tablesAtOnce, recorded }),
  );
}

/** The first rows of a table, or those from the number `from` on. */
export function rowsInside(
  inside: Inside & { table: number | string; from?: number },
): Promise<FirstRows> {
  const { table, from = 0 } = inside;
  return read(inside, (path) => peekRows(path, { table, from, most: rowsAtOnce }));
}

export function schemaInside(inside: Inside): Promise<{ text: string; isAll: boolean }> {
  return read(inside, (path) => peekSchema(path, longestSchema));
}

function read<T>({ path, member, copy }: Inside, use: (path: string) => T): Promise<T> {
  return copy === undefined ? withSource(path, member, use) : withSource(copy, undefined, use);
}

/** Empty for a backup that no manifest tells of. */
async function recordedRows({ path, member }: Inside): Promise<Map<string, number>> {
  const { recorded } = await factsOf(path, member, { acceptDamaged: true });
  return new Map(
    (recorded?.tables ?? []).flatMap(({ name, rows }) =>
      rows === undefined ? [] : [[name, rows] as const],
    ),
  );
}
