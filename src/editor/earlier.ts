/** Backups of one database, one after the other. */
import type { CatalogEntry } from '../core/catalog/catalog.ts';

export interface Earlier {
  entry: CatalogEntry;
  /** In a bundle. */
  member?: string;
}

/** The newest backup of the same database that is older and can be read, alone or in a bundle. */
export function earlierBackup(
  entries: readonly CatalogEntry[],
  entry: CatalogEntry,
  member: string | undefined,
): Earlier | undefined {
  const own =
    member === undefined
      ? { path: entry.database, workspace: entry.workspace }
      : entry.bundle?.databases.find(({ name }) => name === member);
  if (own?.path === undefined) return undefined;
  const isSame = (other: { path?: string | undefined; workspace?: string | undefined }): boolean =>
    other.path === own.path && other.workspace === own.workspace;
  return entries
    .filter(
      ({ createdAt, verified, unreadable }) =>
        createdAt < entry.createdAt && verified !== 'damaged' && unreadable === undefined,
    )
    .flatMap((other): Earlier[] => {
      if (other.bundle === undefined) {
        const { database: path, workspace } = other;
        return isSame({ path, workspace }) ? [{ entry: other }] : [];
      }
      const inside = other.bundle.databases.find(isSame);
      return inside === undefined ? [] : [{ entry: other, member: inside.name }];
    })
    .reduce<Earlier | undefined>(
      (newest, one) =>
        newest === undefined || newest.entry.createdAt < one.entry.createdAt ? one : newest,
      undefined,
    );
}
