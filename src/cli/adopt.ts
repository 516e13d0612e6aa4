import { resolve } from 'node:path';
import { exitCodes, parse, UsageError, type Verb } from './verb.ts';

export const adopt: Verb = {
  examples: ['adopt data/app.db backups/app_2026-03-01T08-00-00Z.db'],
  summary: 'Assign earlier backups to a database, for example after it was moved.',
  usage: 'adopt DATABASE BACKUP… [--json]',
  async run(args, { worker, signal, print }) {
    const { values, positionals } = parse({
      args,
      allowPositionals: true,
      options: { json: { type: 'boolean' } },
    });
    const [database, ...given] = positionals;
    // `backups/app_*` names the manifests as well.
    const backups = given.filter((path) => !path.endsWith('.json'));
    if (database === undefined || backups.length === 0)
      throw new UsageError('adopt takes a database and at least one backup.');
    const adopted = await worker.call(
      'adopt',
      { database: resolve(database), backups: backups.map((path) => resolve(path)) },
      { signal },
    );
    if (values.json) print(JSON.stringify(adopted));
    else {
      const { length } = adopted.backups;
      const what =
        length === 1 ? '1 backup counts as a backup' : `${length} backups count as backups`;
      print(`${what} of ${adopted.database} from now on.`);
    }
    return exitCodes.ok;
  },
};
