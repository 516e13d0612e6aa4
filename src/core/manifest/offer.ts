/** The backups that may be of a database which has just got its identity: it was moved, or its identity was lost. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Identity, idsInUse } from './identity.ts';
import type { Manifest } from './manifest.ts';
import { readManifestOf } from './manifestFile.ts';
import { manifestNameOf } from './names.ts';

export interface Offer {
  /** Where the file was before, when it was seen there. */
  from?: string;
  /** All without an identity, and one of each identity. */
  backups: string[];
  /** How many there are in all. */
  count: number;
}

/**
 * What a person may say to be of the same database: the backups of the file before it was moved, and those of the same
 * name and schema whose database is not known here, as after a data folder was lost. Nothing is merged without that word.
 */
export function offerFor(
  folder: string,
  identity: Identity | undefined,
  { source, facts }: Pick<Manifest, 'source' | 'facts'>,
): Offer | undefined {
  if (identity?.known !== 'new') return undefined;
  const { id: own, maybe } = identity;
  const inUse = idsInUse();
  const found = new Map<string, string>();
  let count = 0;
  const names = readdirSync(folder).sort();
  const present = new Set(names);
  for (const name of names) {
    const path = join(folder, name);
    if (!present.has(manifestNameOf(name))) continue;
    const parsed = readManifestOf(path);
    if (parsed?.kind !== 'manifest') continue;
    const { manifest } = parsed;
    const { id } = manifest.source;
    const isSameName =
      manifest.source.path === source.path && manifest.source.workspace === source.workspace;
    const isAlike =
      isSameName && manifest.facts.schemaFingerprint === facts.schemaFingerprint && id !== own;
    if (id === undefined ? !isAlike : id !== maybe?.id && (!isAlike || inUse.has(id))) continue;
    found.set(id ?? path, path);
    count++;
  }
  if (count === 0) return undefined;
  return { ...(maybe && { from: maybe.path }), backups: [...found.values()], count };
}
