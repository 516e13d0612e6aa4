import { resolve } from 'node:path';
import { formatBytes } from '../core/units.ts';
import { type Context, exitCodes, requireFolder, UsageError } from './verb.ts';

/** Fetches a state from Litestream, as a source of a restore. */
export async function litestream(
  [database, ...rest]: string[],
  values: Readonly<Record<string, string | boolean | undefined>>,
  { worker, signal, print }: Context,
): Promise<number> {
  if (database === undefined || rest.length > 0)
    throw new UsageError('offsite litestream takes one database, as Litestream names it.');
  const [to, at] = ['to', 'at'].map((key) => {
    const value = values[key];
    return typeof value === 'string' ? value : undefined;
  });
  const found = await worker.call(
    'offsiteFromLitestream',
    {
      ...{ database: resolve(database), at, planOnly: values['plan'] === true },
      folder: values['plan'] === true ? '' : resolve(requireFolder(to)),
    },
    { signal },
  );
  if (values['json'] === true) {
    print(JSON.stringify(found));
    return exitCodes.ok;
  }
  const { path, source, replica, newestAt, sizeBytes } = found;
  print(`Litestream has ${source} in ${replica}, up to ${newestAt ?? 'an unknown time'}.`);
  if (path === undefined) print(`It would read ${formatBytes(sizeBytes)}.`);
  else
    print(
      `Fetched and verified: ${path}\nRestore it: sqlite-backup restore BACKUP TARGET --yes --unproved (it has no backup details). Stop Litestream before the restore, and run litestream reset after it.`,
    );
  return exitCodes.ok;
}
