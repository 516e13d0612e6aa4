import { existsSync } from 'node:fs';
import type { BundleInfo, CatalogEntry } from '../core/catalog/catalog.ts';
import { BackupError } from '../core/errors.ts';
import { verdictWords } from '../core/manifest/verdictWords.ts';
import { formatBytes } from '../core/units.ts';
import { exitCodes, parse, requireFolder, UsageError, type Verb } from './verb.ts';

export const list: Verb = {
  isQuestion: true,
  examples: ['list --to backups', 'BACKUPS_DIR=backups sqlite-backup list --json'],
  summary: 'List the backups in a folder, newest first.',
  usage: 'list --to DIR [--json]',
  async run(args, { worker, signal, print, tell, verdict }) {
    const { values, positionals } = parse({
      args,
      allowPositionals: true,
      options: { to: { type: 'string' }, json: { type: 'boolean' } },
    });
    if (positionals.length > 0) throw new UsageError('list takes no arguments but --to DIR.');
    const folder = requireFolder(values.to);
    if (!existsSync(folder)) {
      throw new BackupError('access', `${folder} does not exist.`, {
        path: folder,
        hint: 'Check the path.',
      });
    }
    const { entries: backups } = await worker.call('list', { folder, members: true }, { signal });
    if (values.json) {
      print(
        JSON.stringify({
          backups: backups.map(
            ({
              path,
              kind,
              database,
              createdAt,
              sizeBytes,
              verified,
              outOfStep,
              foreign,
              unreadable,
              bundle,
            }) => ({
              path,
              kind,
              database: database ?? null,
              createdAt,
              sizeBytes,
              verified,
              ...(outOfStep !== undefined && { outOfStep }),
              foreign,
              ...(unreadable !== undefined && { unreadable }),
              ...(bundle !== undefined && bundleJson(bundle)),
            }),
          ),
        }),
      );
      return exitCodes.ok;
    }
    for (const backup of backups) {
      const { path, database, createdAt, sizeBytes, verified, foreign, bundle } = backup;
      const ours = bundle === undefined ? (database ?? '') : bundleWords(bundle);
      const origin = foreign ? 'foreign' : ours;
      print(
        `${createdAt}  ${formatBytes(sizeBytes).padStart(9)}  ${verdict(verified)}  ${origin}  ${path}${stateWords(backup)}`,
      );
    }
    if (backups.length === 0) tell(`No backups in ${folder}.`);
    return exitCodes.ok;
  },
};

function stateWords({ verified, outOfStep, unreadable }: CatalogEntry): string {
  if (unreadable !== undefined) return `  (not read: ${unreadable})`;
  return outOfStep === undefined ? '' : `  (${verdictWords({ status: verified, outOfStep })})`;
}

/** Of a zip of others nothing is known but what is in it. */
function bundleJson({ members = [], cut, complete }: BundleInfo): object {
  return {
    cut: cut ?? null,
    complete: complete ?? null,
    members: members.map(({ name, kind, sizeBytes, sha256, verified }) => ({
      name,
      kind,
      sizeBytes,
      sha256: sha256 ?? null,
      verified: verified ?? null,
    })),
  };
}

function bundleWords({ databases, companions, complete }: BundleInfo): string {
  const incomplete = complete === false ? ', incomplete' : '';
  return `bundle of ${databases.length + companions}${incomplete}`;
}
