import type { Comparison, TableDifference } from '../core/compare/compare.ts';
import { backupNamed, askedCheckpoints } from './checkpoint.ts';
import { exitCodes, parse, seconds, UsageError, type Verb } from './verb.ts';

export const compare: Verb = {
  isQuestion: true,
  examples: ['compare backups/app_2026-03-01T08-00-00Z.db data/app.db'],
  summary: 'Compare the schema and the rows of two databases or backups.',
  usage: 'compare LEFT RIGHT [--deadline SECONDS] [--checkpoints DIR] [--json]',
  async run(args, context) {
    const { worker, signal, print, progress } = context;
    const { values, positionals } = parse({
      args,
      allowPositionals: true,
      options: {
        deadline: { type: 'string' },
        checkpoints: { type: 'string' },
        json: { type: 'boolean' },
      },
    });
    const [left, right, ...rest] = positionals;
    if (left === undefined || right === undefined || rest.length > 0) {
      throw new UsageError('compare takes two databases.');
    }
    const { schema, tables, notCompared, damaged } = await worker.call(
      'compare',
      {
        left: await backupNamed(left, askedCheckpoints(values), context),
        right: await backupNamed(right, askedCheckpoints(values), context),
        deadlineMs: seconds('deadline', values.deadline),
      },
      {
        signal,
        onProgress: ({ doneBytes, totalBytes }) =>
          progress(`${Math.floor(doneBytes)} of ${totalBytes} tables`),
      },
    );
    if (values.json) {
      print(
        JSON.stringify({ schema, tables, notCompared, ...(damaged.length > 0 && { damaged }) }),
      );
      return exitCodes.ok;
    }
    print(schema.same ? 'The schemas are the same.' : schema.diff);
    for (const line of tableLines({ tables, notCompared })) print(line);
    return exitCodes.ok;
  },
};

function tableLines({ tables, notCompared }: Pick<Comparison, 'tables' | 'notCompared'>): string[] {
  const same = tables.filter(
    ({ compared, only, onlyLeft, onlyRight, changed }) =>
      compared && only === undefined && onlyLeft + onlyRight + changed === 0,
  );
  return [
    ...tables.filter((one) => one.compared && !same.includes(one)).map(differenceLine),
    `${same.length} of ${tables.length} tables hold the same rows.`,
    ...notCompared.map(({ name, reason }) => `not compared: ${name}: ${reason}`),
  ];
}

function differenceLine({ name, only, onlyLeft, onlyRight, changed }: TableDifference): string {
  return only === undefined
    ? `${name}: ${onlyLeft} only left, ${onlyRight} only right, ${changed} changed`
    : `${name}: a table only ${only}, ${rows(only === 'left' ? onlyLeft : onlyRight)}`;
}

function rows(count: number): string {
  return count === 1 ? '1 row' : `${count} rows`;
}
