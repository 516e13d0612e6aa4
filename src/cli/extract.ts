import { resolve } from 'node:path';
import { formatBytes } from '../core/units.ts';
import { exitCodes, parse, UsageError, type Verb } from './verb.ts';

export const extract: Verb = {
  examples: [
    'extract backups/shop_2026-03-01T08-00-00Z.zip --to out',
    'extract backups/shop_2026-03-01T08-00-00Z.zip --to out data/app.db',
  ],
  summary: 'Extract databases and files from a bundle into a folder, and check each.',
  usage: 'extract BUNDLE --to DIR [MEMBER]… [--json]',
  async run(args, { worker, signal, print, progress }) {
    const { values, positionals } = parse({
      args,
      allowPositionals: true,
      options: { to: { type: 'string' }, json: { type: 'boolean' } },
    });
    const [bundle, ...members] = positionals;
    if (bundle === undefined) throw new UsageError('extract takes a bundle.');
    if (values.to === undefined || values.to === '')
      throw new UsageError('Name the folder to extract to: --to DIR.');
    const path = resolve(bundle);
    const files = await worker.call(
      'extract',
      { bundle: path, folder: resolve(values.to), ...(members.length > 0 && { members }) },
      {
        signal,
        onProgress: ({ doneBytes, totalBytes }) =>
          progress(totalBytes === 0 ? '' : `${Math.floor((doneBytes / totalBytes) * 100)} %`),
      },
    );
    if (values.json) {
      print(
        JSON.stringify({
          bundle: path,
          files: files.map(({ member, kind, path: to, sizeBytes, sha256 }) => ({
            member,
            kind,
            path: to,
            sizeBytes,
            sha256,
          })),
        }),
      );
    } else {
      for (const { path: to, sizeBytes } of files) print(`${to}  ${formatBytes(sizeBytes)}`);
    }
    return exitCodes.ok;
  },
};
