import { readFile, stat } from 'node:fs/promises';
import {
  type BundleManifest,
  longestBundleManifestBytes,
  longestManifestBytes,
  type Manifest,
  parseManifest,
} from '../core/manifest/manifest.ts';
import { bundleExtension, manifestNameOf } from '../core/manifest/names.ts';

/**
 * The manifest beside a backup, for what a list does not carry; undefined without one that can be used. It is a JSON file
 * of ours: no database is opened, so the extension host may read it.
 */
export async function readManifest(backup: string): Promise<Manifest | BundleManifest | undefined> {
  const path = manifestNameOf(backup);
  try {
    const { size } = await stat(path);
    const isBundle = backup.endsWith(bundleExtension);
    if (size > (isBundle ? longestBundleManifestBytes : longestManifestBytes)) return undefined;
    const parsed = parseManifest(await readFile(path, 'utf8'));
    return parsed.kind === 'manifest' || parsed.kind === 'bundle' ? parsed.manifest : undefined;
  } catch {
    return undefined; // Gone since it was listed: the next look tells.
  }
}
