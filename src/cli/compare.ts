import { exitCodes, parse, UsageError, type Verb } from './verb.ts';

export const compare: Verb = {
  summary: 'Compare the schema and the rows of two databases or backups.',
  usage: 'compare LEFT RIGHT [--json]',
  async run(args, { worker, signal, print, progress }) {
    const { values, positionals } = parse({
      args,
      allowPositionals: true,
      options: { json: { type: 'boolean' } },
    });
    const [left, right, ...rest] = positionals;
    if (left === undefined || right === undefined || rest.length > 0) {
      throw new UsageError('compare takes two databases.');
    }
    const { schema, tables, notCompared } = await worker.call(
      'compare',
      { left, right },
      {
        signal,
        onProgress: ({ doneBytes, totalBytes }) =>
          progress(`${Math.floor(doneBytes)} of ${totalBytes} tables`),
      },
    );
    if (values.json) {
      print(JSON.stringify({ schema, tables, notCompared }));
      return exitCodes.ok;
    }
    print(schema.same ? 'The schemas are the same.' : schema.diff);
    for (const { name, onlyLeft, onlyRight, changed, compared } of tables) {
      const isSame = onlyLeft + onlyRight + changed === 0;
      if (compared && !isSame) {
        print(`${name}: ${onlyLeft} only left, ${onlyRight} only right, ${changed} changed`);
      }
    }
    const same = tables.filter(
      (one) => one.compared && one.onlyLeft + one.onlyRight + one.changed === 0,
    );
    print(`${same.length} of ${tables.length} tables hold the same rows.`);
    for (const { name, reason } of notCompared) print(`not compared: ${name}: ${reason}`);
    return exitCodes.ok;
  },
};
