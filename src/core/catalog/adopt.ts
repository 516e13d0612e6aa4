/** A person's word on which database backups are of. */
import { dirname } from 'node:path';
import { BackupError } from '../errors.ts';
import { resolveRegularFile } from '../files/paths.ts';
import { identityOf } from '../manifest/identity.ts';
import type { BundleManifest, Manifest } from '../manifest/manifest.ts';
import { editManifest } from '../manifest/manifestFile.ts';
import { listBackups } from './catalog.ts';
import { databasesIn, requireOwn } from './keeping.ts';

export interface AdoptRequest {
  database: string;
  backups: string[];
}

export interface Adopted {
  /** The real path of the database. */
  database: string;
  /** The backups that count as its backups now. */
  backups: string[];
}

/**
 * Counts backups as backups of a database. With a backup that has an identity, all in its folder that have the same one are
 * meant. A stop in between leaves some of them as they were: the same words again do the rest.
 */
export function adopt({ database, backups }: AdoptRequest): Adopted {
  const path = resolveRegularFile(database);
  const { id } = identityOf(path);
  const changes = new Map<string, (manifest: object) => object>();
  for (const backup of backups) {
    const own = requireOwn(backup);
    const known = idToReplace(own);
    if (known === id) continue;
    const replace = (manifest: object): object => replaced(manifest as Manifest, known, id);
    changes.set(own.path, replace);
    if (known === undefined) continue;
    for (const entry of listBackups(dirname(own.path)))
      if (databasesIn(entry).includes(known)) changes.set(entry.path, replace);
  }
  for (const [one, edit] of changes) editManifest(one, edit);
  return { database: path, backups: [...changes.keys()] };
}

/** The id of the database in a backup; undefined when it has none. */
function idToReplace({
  path,
  manifest,
}: {
  path: string;
  manifest: Manifest | BundleManifest;
}): string | undefined {
  if (manifest.kind === 'snapshot') return manifest.source.id;
  const [first, ...rest] = manifest.entries.filter(({ kind }) => kind === 'database');
  if (first !== undefined && rest.length === 0) return first.source.id;
  throw new BackupError('bad-name', `${path} has several databases.`, {
    path,
    hint: 'Name a snapshot of the database.',
  });
}

function replaced(
  manifest: Manifest | BundleManifest,
  from: string | undefined,
  id: string,
): object {
  const source = <T extends { id?: string | undefined }>(before: T): T =>
    before.id === from ? { ...before, id } : before;
  const told = <T extends { database: string }>(some: T[]): T[] =>
    some.map((one) => (one.database === from ? { ...one, database: id } : one));
  const { losses, released } = manifest;
  return {
    ...manifest,
    ...(manifest.kind === 'snapshot'
      ? { source: source(manifest.source) }
      : {
          entries: manifest.entries.map((entry) =>
            entry.kind === 'database' ? { ...entry, source: source(entry.source) } : entry,
          ),
        }),
    ...(losses && { losses: told(losses) }),
    ...(released && { released: told(released) }),
  };
}
