import { formatBytes } from '../core/units.ts';
import { type Context, exitCodes, parse, UsageError, type Verb } from './verb.ts';

export const find: Verb = {
  isQuestion: true,
  examples: ['find .', 'find /srv --json'],
  summary: 'Find the SQLite databases below a folder, by their headers.',
  usage: 'find FOLDER [--json]',
  async run(args, { worker, signal, print, tell }) {
    const { values, positionals } = parse({
      args,
      allowPositionals: true,
      options: { json: { type: 'boolean' } },
    });
    const [folder] = positionals;
    if (folder === undefined || positionals.length > 1)
      throw new UsageError('find takes one folder.');
    const { databases, skipped } = await worker.call('find', { folder }, { signal });
    if (values.json) {
      print(
        JSON.stringify({
          databases: databases.map(({ path, sizeBytes, journalMode, walBytes }) => ({
            path,
            sizeBytes,
            journalMode,
            walBytes,
          })),
          skipped: skipped.map(({ path, reason }) => ({ path, reason })),
        }),
      );
      return exitCodes.ok;
    }
    for (const { path, sizeBytes, journalMode, walBytes } of databases) {
      const wal = walBytes > 0 ? ` + ${formatBytes(walBytes)} in the WAL` : '';
      print(`${path}  ${formatBytes(sizeBytes)}${wal}  ${journalMode}`);
    }
    for (const { path, reason } of skipped) {
      tell(`skipped: ${reason.includes(path) ? reason : `${path}: ${reason}`}`);
    }
    if (databases.length === 0) tell('No SQLite databases found.');
    return exitCodes.ok;
  },
};

/** Paths of the databases below the current folder. */
export async function databasesHere({
  worker,
  signal,
}: Pick<Context, 'worker' | 'signal'>): Promise<string[]> {
  const { databases } = await worker.call('find', { folder: '.' }, { signal });
  return databases.map(({ path }) => path);
}
