import { relative, resolve } from 'node:path';
import { doctorText, hasProblem, runDoctor } from '../worker/doctor.ts';
import { databasesHere } from './find.ts';
import { exitCodes, parse, type Verb } from './verb.ts';

export const doctor: Verb = {
  isQuestion: true,
  examples: ['doctor', 'doctor data/app.db --to /srv/backups'],
  summary:
    'Check whether backups and restores will work here: versions, rights, space, file systems, age of the last backup and of the last proof off the machine.',
  usage: 'doctor [DATABASE…] [--to DIR] [--reach] [--json]',
  async run(args, { worker, signal, toolVersion, print }) {
    const { values, positionals } = parse({
      args,
      allowPositionals: true,
      options: { to: { type: 'string' }, reach: { type: 'boolean' }, json: { type: 'boolean' } },
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
    const reach = values.reach === true;
    const destinations = await worker.call('offsiteDestinations', {}, { signal });
    const places = destinations.map((destination) => ({ destination, reach }));
    const request = { toolVersion, databases, folders, places };
    const sections = await runDoctor(worker, request, { signal });
    print(values.json ? JSON.stringify({ sections }) : doctorText(sections));
    if (folders.length === 0 && !values.json)
      print('\nTo check a backups folder too: --to DIR, or BACKUPS_DIR in the environment.');
    if (places.length > 0 && !reach && !values.json)
      print('\nTo ask the places for off-machine copies too: --reach.');
    return hasProblem(sections) ? exitCodes.failed : exitCodes.ok;

    async function found(): Promise<typeof given> {
      const all = await databasesHere({ worker, signal });
      return all.map((path) => ({ title: relative('.', path), path }));
    }
  },
};
