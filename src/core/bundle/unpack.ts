/** Members of bundles as private files. */
import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { BackupError, explain } from '../errors.ts';
import { sha256File } from '../files/digests.ts';
import { syncFile } from '../files/sync.ts';
import { absorbSiblings } from '../sqlite/absorb.ts';
import { readHeader } from '../sqlite/header.ts';
import type { BundleMember, OpenBundle } from './openBundle.ts';
import type { Zip } from './zipReader.ts';
import { writeWhole } from '../files/pieces.ts';

export interface Unpacked {
  sizeBytes: number;
  sha256: string;
  /** The siblings whose content is in the file now. */
  absorbed: string[];
}

/** How much room a member needs on its way: a database with its siblings for a moment twice. */
export function bytesToUnpack({ zip, contents }: OpenBundle, member: BundleMember): number {
  const siblings = contents === undefined ? zip.siblingsOf(member.name) : [];
  return siblings.reduce((sum, { sizeBytes }) => sum + 2 * sizeBytes, member.sizeBytes);
}

/**
 * Writes a member into the new private file `to`, synced. In a zip of others a database may have its newest
 * transactions in the `-wal` beside it, or a `-journal` that has to be rolled back: then `to` gets what they say.
 */
export async function unpackMember(
  { path, zip, contents }: OpenBundle,
  { name, kind }: BundleMember,
  to: string,
  onBytes: (bytes: number) => void = () => undefined,
): Promise<Unpacked> {
  const main = { ...(await unpackOne(zip, name, to, onBytes)), absorbed: [] };
  const siblings =
    contents === undefined ? zip.siblingsOf(name).filter(({ sizeBytes }) => sizeBytes > 0) : [];
  if (siblings.length === 0) return main;
  if (readHeader(to).kind !== 'sqlite') {
    if (kind === 'companion') return main;
    throw damagedMember(path, name, 'it is not a SQLite database');
  }
  const absorbed: string[] = [];
  for (const sibling of siblings) {
    // SQLite makes the -shm anew.
    if (sibling.suffix === '-shm') continue;
    await unpackOne(zip, sibling.name, to + sibling.suffix, onBytes);
    absorbed.push(sibling.name);
  }
  if (absorbed.length === 0) return main;
  absorbSiblings(to, `${name} in ${path}`);
  syncFile(to);
  return { sizeBytes: statSync(to).size, sha256: sha256File(to), absorbed };
}

async function unpackOne(
  zip: Zip,
  name: string,
  to: string,
  onBytes: (bytes: number) => void,
): Promise<{ sizeBytes: number; sha256: string }> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  const handle = openSync(to, 'wx', 0o600);
  try {
    await zip.read(name, (chunk) => {
      hash.update(chunk);
      writeFully(handle, chunk, dirname(dirname(to)));
      sizeBytes += chunk.length;
      onBytes(chunk.length);
    });
    fsyncSync(handle);
    return { sizeBytes, sha256: hash.digest('hex') };
  } finally {
    closeSync(handle);
  }
}

function writeFully(handle: number, chunk: Buffer, folder: string): void {
  try {
    writeWhole(handle, chunk);
  } catch (error) {
    throw explain(error, 'target', folder);
  }
}

export function damagedMember(bundle: string, name: string, why: string): BackupError {
  return new BackupError('backup-damaged', `${name} in ${bundle} is damaged: ${why}.`, {
    path: bundle,
    hint: 'Use another backup.',
    facts: { member: name },
  });
}
