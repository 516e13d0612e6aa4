/** What the manifest of a backup tells of its copies elsewhere. */
import type { BundleManifest, Manifest, Receipt } from '../manifest/manifest.ts';
import { readManifestOf, updateManifest } from '../manifest/manifestFile.ts';
import type { CatalogEntry } from '../catalog/catalog.ts';
import type { Remote } from './driver.ts';

export function databaseIdOf(manifest: Manifest | BundleManifest): string | undefined {
  return manifest.kind === 'snapshot' ? manifest.source.id : undefined;
}

/** Adds a receipt, or replaces the one of the same place. */
export function recordReceipt(backup: string, receipt: Receipt): void {
  replaceReceipt(backup, receipt.place, [receipt]);
}

/** From now on the backup counts as never sent to this place. */
export function dropReceipt(backup: string, place: string): void {
  replaceReceipt(backup, place, []);
}

function replaceReceipt(backup: string, place: string, by: readonly Receipt[]): void {
  const parsed = readManifestOf(backup);
  if (parsed?.kind !== 'manifest' && parsed?.kind !== 'bundle') return;
  const others = (parsed.manifest.offsite ?? []).filter((one) => one.place !== place);
  updateManifest(backup, { offsite: [...others, ...by] });
}

export function receiptOf(
  { offsite = [] }: Pick<Manifest, 'offsite'>,
  place: string,
): Receipt | undefined {
  return offsite.find((one) => one.place === place);
}

/** Two databases can have the same content: the copy of one is no copy of the other. */
export function isCopyOf(
  entry: Pick<CatalogEntry, 'kind' | 'group' | 'kept'>,
  { sha256, database }: Pick<Remote, 'sha256' | 'database'>,
): boolean {
  return entry.kept?.sha256 === sha256 && isSameDatabase(databaseOf(entry), database);
}

/** Also when one of the two is not known. */
export function isSameDatabase(one: string | undefined, other: string | undefined): boolean {
  return one === undefined || other === undefined || one === other;
}

export function databaseOf({
  kind,
  group,
}: Pick<CatalogEntry, 'kind' | 'group'>): string | undefined {
  return kind === 'snapshot' ? group : undefined;
}

/** Older versions of restic tell only the beginning of the id of what they have sent. */
export function isSameCopy(receiptId: string, id: string): boolean {
  return receiptId.length >= 8 ? id.startsWith(receiptId) : id === receiptId;
}
