import { readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import {
  type Bundle,
  type Bundled,
  type BundleRequest,
  takeBundle,
} from '../../src/core/bundle/bundle.ts';
import type { SnapshotHooks } from '../../src/core/job.ts';
import { type BundleManifest, parseManifest } from '../../src/core/manifest/manifest.ts';

/** A request as the command line makes it; the backups folder is beside the first database. */
export function bundleRequest(
  databases: string[],
  changes: Partial<BundleRequest> = {},
): BundleRequest {
  return {
    databases: databases.map((database) => ({ database, recordAs: { path: basename(database) } })),
    companions: [],
    folder: join(dirname(databases[0] ?? ''), 'backups'),
    method: 'exact',
    trigger: 'cli',
    verify: true,
    busyTimeoutMs: 100,
    largestBytes: 1e12,
    toolVersion: '0.0.0-test',
    workspace: 'shop',
    compression: 'balanced',
    allowIncomplete: false,
    ...changes,
  };
}

export const quietHooks: SnapshotHooks = {
  onProgress: () => undefined,
  beforePublish: () => Promise.resolve(),
};

/** Bundles in this process, which must not have any of the databases open. */
export function bundled(
  databases: string[],
  changes: Partial<BundleRequest> = {},
  hooks: Partial<SnapshotHooks> = {},
): Promise<Bundled> {
  return takeBundle(bundleRequest(databases, changes), { ...quietHooks, ...hooks });
}

/** The same where nothing may fail. */
export async function bundleOf(
  databases: string[],
  changes: Partial<BundleRequest> = {},
): Promise<Bundle> {
  const { bundle, failures } = await bundled(databases, changes);
  if (bundle === undefined) throw new Error(JSON.stringify(failures));
  return bundle;
}

/** The manifest beside a bundle; fails where it cannot be read. */
export function bundleManifestOf(bundle: string): BundleManifest {
  const parsed = parseManifest(readFileSync(`${bundle}.json`, 'utf8'));
  if (parsed.kind !== 'bundle') throw new Error(`${bundle}: ${JSON.stringify(parsed)}`);
  return parsed.manifest;
}
