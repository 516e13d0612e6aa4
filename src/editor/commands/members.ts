/** Members of bundles, as commands are given them. */
import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { basename } from 'node:path';
import type { CatalogEntry } from '../../core/catalog/catalog.ts';
import { makeFolder } from '../privateCopies.ts';
import { isRow, type MemberRow } from '../rows.ts';
import type { Parts } from './parts.ts';

export function memberRows(target: unknown, selection: unknown): MemberRow[] {
  const rows = Array.isArray(selection) && selection.length > 0 ? selection : [target];
  return rows.flatMap((row) => (isRow(row) && row.kind === 'member' ? [row] : []));
}

/** Runs `use` on a copy of a member that is read from the bundle now, and is gone afterwards. */
export async function withFreshCopy<T>(
  { worker, storage }: Parts,
  { path }: CatalogEntry,
  member: string,
  use: (copy: string) => Promise<T>,
): Promise<T> {
  const folder = await makeFolder(storage, randomUUID());
  try {
    const request = { bundle: path, member, folder, name: basename(member), readOnly: false };
    const { path: copy } = await worker.call('extractMember', request);
    return await use(copy);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
