/** Litestream copies the WAL of a database elsewhere, and keeps its notes in a folder beside the database. */
import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** The name of that folder; undefined when Litestream does not replicate the database. */
export function litestreamFolderOf(database: string): string | undefined {
  const name = basename(database);
  return [`.${name}-litestream`, `${name}-litestream`].find((one) =>
    existsSync(join(dirname(database), one)),
  );
}
