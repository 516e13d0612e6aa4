import { resolve } from 'node:path';
import { exitCodes, parse, UsageError, type Verb } from './verb.ts';

export const release: Verb = {
  examples: ['release backups/app_2026-03-01T08-00-00Z.db --table jobs'],
  summary:
    'Stop keeping a backup because rows were lost after it, and ignore losses of these tables from now on.',
  usage: 'release BACKUP [--table NAME]… [--undo] [--json]',
  async run(args, { worker, signal, print }) {
    const { values, positionals } = parse({
      args,
      allowPositionals: true,
      options: {
        table: { type: 'string', multiple: true },
        undo: { type: 'boolean' },
        json: { type: 'boolean' },
      },
    });
    const [backup, ...rest] = positionals;
    if (backup === undefined || rest.length > 0) throw new UsageError('release takes one backup.');
    const { table, undo = false } = values;
    const path = resolve(backup);
    const released = await worker.call(
      'release',
      { backup: path, undo, ...(table !== undefined && { tables: table }) },
      { signal },
    );
    const tables = released.map((one) => one.table);
    if (values.json) print(JSON.stringify({ path, undo, tables }));
    else
      print(
        undo
          ? `Losses are told again: ${tables.join(', ')}.`
          : `Released: ${tables.join(', ')}. Their losses are ignored from now on; --undo takes it back.`,
      );
    return exitCodes.ok;
  },
};
