/** Which rows are gone between a checkpoint and the database as it is now. */
import { findLosses, type Loss } from '../manifest/loss.ts';
import type { TableFacts } from '../manifest/manifest.ts';
import { describeDatabase } from '../sqlite/contents.ts';
import { withReadable } from '../sqlite/readable.ts';

export interface Counted {
  tables: TableFacts[];
}

/** The rows of each table now. Throws when they cannot be counted: then nothing is known, and nothing is lost. */
export function countRows(database: string, busyTimeoutMs: number): Counted {
  return withReadable([database], ([readable = database]) => {
    const { tables } = describeDatabase(readable, busyTimeoutMs, { countRows: 'any' });
    return { tables };
  });
}

/** Counts the rows of both. Throws when one of them cannot be read. */
export function lossesAfter(checkpoint: string, database: string, busyTimeoutMs: number): Loss[] {
  const [before, now] = [checkpoint, database].map((path) =>
    withReadable([path], ([readable = path]) =>
      describeDatabase(readable, busyTimeoutMs, { countRows: 'any' }),
    ),
  );
  return before === undefined || now === undefined ? [] : findLosses(before, now);
}
