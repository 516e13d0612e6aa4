import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { BundleInfo, CatalogEntry } from '../core/catalog/catalog.ts';
import { BackupError } from '../core/errors.ts';
import { verdictWords } from '../core/manifest/verdictWords.ts';
import { formatBytes } from '../core/units.ts';
import { askedCheckpoints } from './checkpoint.ts';
import { listTurns } from './listTurns.ts';
import { type Context, exitCodes, parse, requireFolder, UsageError, type Verb } from './verb.ts';

export const list: Verb = {
  isQuestion: true,
  examples: ['list --to backups', 'BACKUPS_DIR=backups sqlite-backup list --json'],
  summary: 'List the backups in a folder, newest first.',
  usage: `list --to DIR [--json]
  list --checkpoints [DIR] [--database FILE] [--turns] [--json]`,
  async run(args, context) {
    const { worker, signal, print, tell, verdict } = context;
    if (args.some((one) => /^--checkpoints(=|$)/.test(one))) return listCheckpoints(args, context);
    const { values, positionals } = parse({
      args,
      allowPositionals: true,
      options: { to: { type: 'string' }, json: { type: 'boolean' } },
    });
    if (positionals.length > 0) throw new UsageError('list takes no arguments except --to DIR.');
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
              kept,
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
              ...(kept?.cloned === true && { cloned: true }),
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

/** `--checkpoints` may have a folder behind it, or none. */
async function listCheckpoints(given: readonly string[], context: Context): Promise<number> {
  const { worker, signal, print, tell } = context;
  const args = given.map((one, index) => {
    const next = given[index + 1];
    const isAlone = one === '--checkpoints' && (next === undefined || next.startsWith('-'));
    return isAlone ? '--checkpoints=' : one;
  });
  const { values, positionals } = parse({
    args,
    allowPositionals: true,
    options: {
      checkpoints: { type: 'string' },
      database: { type: 'string' },
      turns: { type: 'boolean' },
      json: { type: 'boolean' },
    },
  });
  if (positionals.length > 0) throw new UsageError('list takes no arguments except its options.');
  const { database, turns: asTurns = false } = values;
  const folder = askedCheckpoints({ checkpoints: values.checkpoints || undefined });
  const stored = await worker.call(
    'listCheckpoints',
    {
      checkpoints: folder,
      ...(database !== undefined && { database: resolve(database) }),
    },
    { signal },
  );
  if (asTurns) return listTurns(stored, { folder, asJson: values.json === true }, context);
  const checkpoints = stored.map(({ id, path, manifest, isUsable }) => ({
    ...{ id, path, createdAt: manifest.createdAt },
    verified: isUsable ? manifest.verdict.status : 'damaged',
    database: manifest.livePath ?? manifest.source.path,
    trigger: {
      kind: manifest.cause?.kind ?? manifest.trigger,
      text: manifest.cause?.text ?? '',
      ...(manifest.cause?.moment !== undefined && { moment: manifest.cause.moment }),
    },
  }));
  if (values.json) {
    print(JSON.stringify({ checkpoints }));
    return exitCodes.ok;
  }
  for (const { id, createdAt, verified, database: name, trigger } of checkpoints)
    print(
      `${id}  ${createdAt}  ${verified === 'unchecked' ? 'not checked yet' : verified}  ${name}  ${trigger.kind}${trigger.text === '' ? '' : `: ${trigger.text}`}${trigger.moment === 'may-include' ? ' (may include its first writes)' : ''}`,
    );
  if (checkpoints.length === 0) tell('No checkpoints.');
  return exitCodes.ok;
}
