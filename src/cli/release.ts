import { resolve } from 'node:path';
import { exitCodes, parse, UsageError, type Verb } from './verb.ts';

export const release: Verb = {
  examples: ['release backups/app_2026-03-01T08-00-00Z.db --table jobs'],
  summary:
    'Accept lost rows: retention may remove the backup before the loss, and later losses of these tables are not reported.',
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
          ? `Losses are reported again: ${tables.join(', ')}.`
          : `Released: ${tables.join(', ')}. Their losses are ignored from now on. --undo reverts this.`,
      );
    return exitCodes.ok;
  },
};
