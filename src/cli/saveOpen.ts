import { basename, resolve } from 'node:path';
import {
  callOptions,
  defaultBusyTimeoutMs,
  defaultDeadlineMs,
  defaultLargestBytes,
  nameFor,
  printResult,
  resultJson,
} from './backUp.ts';
import { bytes, exitCodes, parse, requireFolder, UsageError, type Verb } from './verb.ts';

export const saveOpen: Verb = {
  examples: ['save-open data/app.db --to rescued'],
  summary:
    'Save the content of a deleted or replaced database (or -wal) that a program still has open (Linux).',
  usage: 'save-open DATABASE --to DIR [--max-size SIZE] [--json]',
  async run(args, context) {
    const { values, positionals } = parse({
      args,
      allowPositionals: true,
      options: {
        to: { type: 'string' },
        'max-size': { type: 'string' },
        json: { type: 'boolean' },
      },
    });
    const [database, ...rest] = positionals;
    if (database === undefined || rest.length > 0)
      throw new UsageError('save-open takes one database.');
    const result = await context.worker.call(
      'saveOpen',
      {
        database: resolve(database),
        recordAs: nameFor(database),
        folder: resolve(requireFolder(values.to)),
        trigger: 'cli',
        verify: true,
        busyTimeoutMs: defaultBusyTimeoutMs,
        largestBytes: bytes('max-size', values['max-size']) ?? defaultLargestBytes,
        toolVersion: context.toolVersion,
      },
      callOptions(context, defaultDeadlineMs),
    );
    if (values.json) context.print(JSON.stringify(resultJson(result, false)));
    else printResult(result, false, context);
    if (result.failures.length > 0) return exitCodes.failed;
    if (!values.json)
      context.print(
        `Stop the program, then restore this backup if ${basename(database)} lacks data.`,
      );
    return exitCodes.ok;
  },
};
