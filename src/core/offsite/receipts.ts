/** What the manifest of a backup tells of its copies elsewhere. */
import type { BundleManifest, Manifest, Receipt } from '../manifest/manifest.ts';
import { readManifestOf, updateManifest } from '../manifest/manifestFile.ts';

export function databaseIdOf(manifest: Manifest | BundleManifest): string | undefined {
  return manifest.kind === 'snapshot' ? manifest.source.id : undefined;
}

/** Adds a receipt, or replaces the one of the same place. */
export function recordReceipt(backup: string, receipt: Receipt): void {
  const parsed = readManifestOf(backup);
  if (parsed?.kind !== 'manifest' && parsed?.kind !== 'bundle') return;
  const others = (parsed.manifest.offsite ?? []).filter(({ place }) => place !== receipt.place);
  updateManifest(backup, { offsite: [...others, receipt] });
}

export function receiptOf(
  { offsite = [] }: Pick<Manifest, 'offsite'>,
  place: string,
): Receipt | undefined {
  return offsite.find((one) => one.place === place);
}

/** Older versions of restic tell only the beginning of the id of what they have sent. */
export function isSameCopy(receiptId: string, id: string): boolean {
  return receiptId.length >= 8 ? id.startsWith(receiptId) : id === receiptId;
}
