import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import type { BundleEntry, BundleManifest } from '../../src/core/manifest/manifest.ts';
import { bundleManifestOf } from './bundles.ts';
import { rawZip } from './zips.ts';

const nobodysHash = createHash('sha256').digest('hex');

function companion(name: string): BundleEntry {
  return { name, kind: 'companion', source: { path: name }, sizeBytes: 0, sha256: nobodysHash };
}

/** Writes a bundle that lists empty files of these names as well, whatever they are; `inZip` also puts them in. */
export function forgeBundle(
  bundle: string,
  to: string,
  names: readonly string[],
  { inZip = false, changes = {} }: { inZip?: boolean; changes?: Partial<BundleManifest> } = {},
): void {
  const contents = bundleManifestOf(bundle);
  const forged = {
    ...contents,
    entries: [...contents.entries, ...names.map(companion)],
    ...changes,
  };
  const zip = rawZip([
    { name: 'manifest.json', data: JSON.stringify(forged), deflate: true },
    ...(inZip ? names.map((name) => ({ name })) : []),
  ]);
  writeFileSync(to, zip);
  const sha256 = createHash('sha256').update(zip).digest('hex');
  const manifest = { ...forged, sizeBytes: zip.length, sha256 };
  writeFileSync(`${to}.json`, JSON.stringify(manifest));
}
