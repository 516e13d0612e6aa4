/** Which rows are gone between a checkpoint and the database as it is now. */
import { findLosses, type Loss } from '../manifest/loss.ts';
import { describeDatabase } from '../sqlite/contents.ts';
import { withReadable } from '../sqlite/readable.ts';

/** Counts the rows of both. Throws when one of them cannot be read. */
export function lossesAfter(checkpoint: string, database: string, busyTimeoutMs: number): Loss[] {
  const [before, now] = [checkpoint, database].map((path) =>
    withReadable([path], ([readable = path]) =>
      describeDatabase(readable, busyTimeoutMs, { countRows: 'any' }),
    ),
  );
  return before === undefined || now === undefined ? [] : findLosses(before, now);
}
