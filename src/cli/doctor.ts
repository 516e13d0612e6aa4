import { relative, resolve } from 'node:path';
import { doctorText, hasProblem, runDoctor } from '../worker/doctor.ts';
import { databasesHere } from './find.ts';
import { exitCodes, parse, type Verb } from './verb.ts';

export const doctor: Verb = {
  isQuestion: true,
  examples: ['doctor', 'doctor data/app.db --to /srv/backups'],
  summary:
    'Check whether backups and restores will work here: versions, rights, space, file systems, age of the last backup.',
  usage: 'doctor [DATABASE…] [--to DIR] [--json]',
  async run(args, { worker, signal, toolVersion, print }) {
    const { values, positionals } = parse({
      args,
      allowPositionals: true,
      options: { to: { type: 'string' }, json: { type: 'boolean' } },
    });
    const given = positionals.map((path) => ({ title: path, path: resolve(path) }));
    const databases = given.length > 0 ? given : await found();
    const to = values.to ?? process.env['BACKUPS_DIR'] ?? '';
    const folders =
      to === ''
        ? []
        : [
            {
              title: `Backups folder ${to}`,
              path: resolve(to),
              databases,
            },
          ];
    const sections = await runDoctor(worker, { toolVersion, databases, folders }, { signal });
    print(values.json ? JSON.stringify({ sections }) : doctorText(sections));
    if (folders.length === 0 && !values.json)
      print('\nTo check a backups folder too: --to DIR, or BACKUPS_DIR in the environment.');
    return hasProblem(sections) ? exitCodes.failed : exitCodes.ok;

    async function found(): Promise<typeof given> {
      const all = await databasesHere({ worker, signal });
      return all.map((path) => ({ title: relative('.', path), path }));
    }
  },
};
