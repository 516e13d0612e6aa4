/*
 * The last steps of every bundle: write the zip in a private folder, `manifest.json` first -> sync it -> read all of it
 * back -> publish it with its manifest beside it.
 */
import { unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { createPrivateFile } from '../files/publish.ts';
import { syncFileBeside } from '../files/sync.ts';
import type { SnapshotHooks } from '../job.ts';
import {
  type BundleContents,
  type BundleEntry,
  type BundleManifest,
  type Compression,
  serializeManifest,
} from '../manifest/manifest.ts';
import { publishPair } from '../manifest/manifestFile.ts';
import { bundleNames } from '../manifest/names.ts';
import { sum } from '../snapshot/copying.ts';
import type { Companion } from './companions.ts';
import { bundleManifestName, bundleVersionName } from './entryNames.ts';
import { readBack } from './readBack.ts';
import { copyCompanion, Memory } from './readCompanion.ts';
import { type Packable, writeZip } from './zipWriter.ts';

/** A private copy of a file, on its way into the zip. */
export interface Packed extends Packable {
  entry: BundleEntry;
}

/** A copy of a companion, under the name that `takeName` gives it. Undefined when it is not there any more. */
export function packCompanion(
  companion: Companion,
  spare: string,
  takeName: () => string,
  memory: Memory = new Memory(0),
): Packed | undefined {
  const copied = copyCompanion(companion, spare, { memory });
  if (copied === undefined) return undefined;
  const { sizeBytes, sha256, crc32: crc, content, changedWhileReading } = copied;
  const name = takeName();
  const entry: BundleEntry = {
    name,
    kind: 'companion',
    source: companion.recordAs,
    sizeBytes,
    sha256,
    ...(changedWhileReading && { changedWhileReading }),
  };
  return { name, sizeBytes, crc32: crc, content, entry };
}

export interface PublishedBundle {
  path: string;
  manifestPath: string;
  manifest: BundleManifest;
}

interface Place {
  /** The real path of the backups folder. */
  folder: string;
  /** A private folder in it. */
  scratch: string;
  compression: Compression;
}

/** Makes a bundle of private files, which are gone then. It gets its name when all of it has been read back. */
export async function writeBundle(
  packed: readonly Packed[],
  contents: BundleContents,
  { folder, scratch, compression }: Place,
  hooks: SnapshotHooks,
): Promise<PublishedBundle> {
  const path = join(scratch, 'bundle.zip');
  const { sizeBytes, sha256 } = await write(path, packed, contents, compression, hooks);
  await hooks.beforePublish();
  hooks.onProgress({ phase: 'publish', doneBytes: sizeBytes, totalBytes: sizeBytes });
  const manifest: BundleManifest = {
    ...contents,
    sizeBytes,
    sha256,
    verdict: verdictOf(contents),
  };
  const names = bundleNames(
    contents.name ?? contents.workspace ?? 'bundle',
    new Date(contents.createdAt),
  );
  const published = publishPair(path, folder, names, () => serializeManifest(manifest));
  return { ...published, manifest };
}

async function write(
  path: string,
  packed: readonly Packed[],
  contents: BundleContents,
  compression: Compression,
  { onProgress }: SnapshotHooks,
): Promise<{ sizeBytes: number; sha256: string }> {
  createPrivateFile(path);
  const totalBytes = sum(packed.map(({ sizeBytes }) => sizeBytes));
  const version = `${contents.tool.name} ${contents.tool.version}\nformat ${contents.format}\n`;
  const [databases, companions] = [
    packed.filter(({ entry }) => entry.kind === 'database'),
    packed.filter(({ entry }) => entry.kind === 'companion'),
  ];
  const files: Packable[] = [
    textEntry(bundleManifestName, serializeManifest(contents)),
    ...databases,
    ...companions,
    textEntry(bundleVersionName, version),
  ];
  const removals: Promise<void>[] = [];
  const written = await writeZip(path, files, {
    compression,
    at: new Date(contents.createdAt),
    onProgress: (bytes) =>
      onProgress({
        phase: 'copy',
        doneBytes: totalBytes + Math.min(bytes, totalBytes),
        totalBytes: 2 * totalBytes,
      }),
    // From here on the content is in the zip: there is no need for it to be on the disk twice.
    onPacked: ({ content }) => {
      if (!('path' in content)) return;
      const removal = unlink(content.path);
      removal.catch(() => undefined); // It is awaited below; until then a failure must not count as unhandled.
      removals.push(removal);
    },
  });
  const syncing = syncFileBeside(path);
  syncing.catch(() => undefined); // It is awaited below; until then a failure must not count as unhandled.
  await readBack(path, contents, (doneBytes) =>
    onProgress({ phase: 'hash', doneBytes, totalBytes }),
  );
  await Promise.all([syncing, ...removals]);
  return written;
}

function textEntry(name: string, text: string): Packable {
  const bytes = Buffer.from(text);
  return { name, sizeBytes: bytes.length, crc32: crc32(bytes), content: { bytes } };
}

const mostFindings = 100;

/** Of the whole: as good as its weakest database. */
function verdictOf({ entries }: BundleContents): BundleManifest['verdict'] {
  const databases = entries.filter((entry) => entry.kind === 'database');
  const statuses = databases.map(({ verdict }) => verdict.status);
  const status = (['damaged', 'unchecked', 'partial'] as const).find((one) =>
    statuses.includes(one),
  );
  const findings = databases
    .flatMap(({ name, verdict }) =>
      verdict.findings.map(({ code, message }) => ({
        code,
        message: `${name}: ${message}`.slice(0, 1000),
      })),
    )
    .slice(0, mostFindings);
  if (status === 'unchecked') return { status, findings };
  const outOfStep = databases.flatMap(({ verdict }) => verdict.outOfStep ?? []);
  return {
    status: status ?? 'ok',
    checkedAt: new Date().toISOString(),
    findings,
    ...(outOfStep.length > 0 && { outOfStep: outOfStep.slice(0, mostFindings) }),
  };
}
