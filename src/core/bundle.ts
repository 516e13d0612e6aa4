/*
 * Several databases at one instant, with the files that belong to them, in one zip. The order of the steps is the
 * guarantee: copy and prove the databases -> copy the companions -> write the zip in a private folder, `manifest.json`
 * first -> sync it -> read all of it back -> publish it with its manifest beside it. What fails is named; nothing is left
 * out unless that was allowed, and then the manifest says so.
 */
import { rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { crc32 } from 'node:zlib';
import {
  copyCompanion,
  findCompanions,
  type Companion,
  type CompanionGlobs,
} from './companions.ts';
import { Copying, describeContents, sum, type Member, type Proved } from './copying.ts';
import { BackupError, explain, isBackupError, toPlainError, type PlainError } from './errors.ts';
import {
  createPrivateFile,
  makePrivateFolder,
  prepareFolder,
  publishPair,
  siblingSuffixes,
  sweepLeftovers,
  syncFileBeside,
} from './files.ts';
import {
  manifestFormat,
  serializeManifest,
  type BundleContents,
  type BundleEntry,
  type BundleManifest,
  type Compression,
  type Finding,
} from './manifest.ts';
import {
  bundleManifestName,
  bundleNames,
  bundleVersionName,
  companionsFolder,
  EntryNames,
} from './names.ts';
import { leftover, type RecordAs, type SnapshotHooks, type SnapshotsRequest } from './snapshot.ts';
import { requireSpace } from './source.ts';
import { sqliteVersion } from './sqlite.ts';
import { readBack } from './unbundle.ts';
import { crc32File, writeZip, type Packable } from './zipWriter.ts';

export interface BundleRequest extends SnapshotsRequest {
  companions: CompanionGlobs[];
  /** What the bundle is called; the workspace's name otherwise. */
  name?: string;
  workspace?: string;
  compression: Compression;
  /** Whether to make a bundle of what there is when something fails. It is then marked as incomplete. */
  allowIncomplete: boolean;
}

export interface Bundle {
  path: string;
  manifestPath: string;
  manifest: BundleManifest;
  durationMs: number;
}

export interface Bundled {
  /** Undefined when something failed and nothing may be left out: then nothing was written. */
  bundle?: Bundle;
  /** What could not be taken: databases as asked for, and companions. */
  failures: { path: string; error: PlainError }[];
}

/** Makes one bundle. What is wrong with a member is in `failures`; what is wrong with the target is thrown. */
export async function takeBundle(request: BundleRequest, hooks: SnapshotHooks): Promise<Bundled> {
  return new Job(request, hooks).run();
}

/** A member in the private folder, on its way into the zip. */
interface Packed extends Packable {
  entry: BundleEntry;
}

class Job {
  readonly #request: BundleRequest;
  readonly #hooks: SnapshotHooks;
  readonly #startedAt = performance.now();
  readonly #companionFailures: Bundled['failures'] = [];
  readonly #warnings: Finding[] = [];
  readonly #names = new EntryNames();
  #copying: Copying;
  /** The real path of the backups folder. */
  #folder = '';
  /** A private folder in it. */
  #scratch = '';

  constructor(request: BundleRequest, hooks: SnapshotHooks) {
    this.#request = request;
    this.#hooks = hooks;
    this.#copying = this.#copyingOf(request.databases);
    for (const name of [bundleManifestName, bundleVersionName]) this.#names.take(name);
    this.#names.keepFolder(companionsFolder);
  }

  async run(): Promise<Bundled> {
    const named = this.#copying.inspect();
    if (this.#mustStop(named)) return { failures: this.#failures };
    const target = prepareFolder(this.#request.folder);
    this.#folder = target.path;
    try {
      const stuck = await sweepLeftovers(target.path);
      this.#warnings.push(...stuck.map(leftover));
      const scratch = makePrivateFolder(target.path);
      this.#scratch = scratch.path;
      try {
        const bundle = await this.#runIn(named);
        return { ...(bundle !== undefined && { bundle }), failures: this.#failures };
      } finally {
        scratch.remove();
      }
    } catch (error) {
      throw explain(error, 'target', target.path);
    } finally {
      target.undo(); // Removes only what this run has made and left empty.
    }
  }

  async #runIn(named: Member[]): Promise<Bundle | undefined> {
    const { members, files } = this.#find(named);
    if (this.#mustStop(members)) return undefined;
    requireSpace(this.#folder, sum(members.map(({ source }) => source.sizeBytes)));
    const place = { folder: this.#folder, scratch: this.#scratch };
    const copied = await this.#copying.copy(members, place);
    if (this.#mustStop(copied)) return undefined;
    const proved = this.#withoutDamaged(await this.#copying.prove(copied));
    if (this.#mustStop(proved)) return undefined;
    const at = proved[0]?.at ?? new Date();
    const packed = [...this.#packDatabases(proved), ...this.#packCompanions(files)];
    if (this.#mustStop(proved)) return undefined;
    const contents = this.#describe(packed, at);
    const zip = await this.#write(packed, contents);
    await this.#hooks.beforePublish();
    return this.#publish(zip, contents);
  }

  get #failures(): Bundled['failures'] {
    const ofDatabases = this.#copying.failures.map(({ database, error }) => ({
      path: database,
      error,
    }));
    return [...ofDatabases, ...this.#companionFailures];
  }

  #mustStop(databases: readonly unknown[]): boolean {
    const isIncomplete = this.#failures.length > 0 && !this.#request.allowIncomplete;
    return isIncomplete || databases.length === 0;
  }

  #copyingOf(databases: BundleRequest['databases']): Copying {
    const onProgress: SnapshotHooks['onProgress'] = (progress) =>
      this.#hooks.onProgress(
        // What is copied is packed afterwards: the first half.
        progress.phase === 'copy' ? { ...progress, totalBytes: 2 * progress.totalBytes } : progress,
      );
    const { hashBeside } = this.#hooks;
    const hooks = { onProgress, ...(hashBeside !== undefined && { hashBeside }) };
    return new Copying({ ...this.#request, databases }, hooks, { sync: false });
  }

  /** Companions that turn out to be databases are copied as such: a plain copy of a live database is worth nothing. */
  #find(named: Member[]): { members: Member[]; files: Companion[] } {
    const leaveOut = new Set([this.#folder]);
    for (const { source } of named) {
      for (const suffix of ['', ...siblingSuffixes]) leaveOut.add(source.path + suffix);
    }
    const found = findCompanions(this.#request.companions, leaveOut);
    this.#companionFailures.push(...found.failures);
    this.#warnings.push(...found.warnings);
    if (found.databases.length === 0) return { members: named, files: found.files };
    for (const { recordAs } of found.databases) {
      this.#warnings.push({
        code: 'database-found',
        message: `${recordAs.path} was among the companion files and is a database, so it was copied as one.`,
      });
    }
    const earlier = this.#copying.failures;
    this.#copying = this.#copyingOf([...this.#request.databases, ...found.databases]);
    const members = this.#copying.inspect();
    const known = new Set(earlier.map(({ database }) => database));
    // Looked at twice, a database may fail only the first time; then it has failed.
    const fresh = this.#copying.failures.filter(({ database }) => !known.has(database));
    this.#copying.failures.splice(0, Infinity, ...earlier, ...fresh);
    return { members: members.filter(({ database }) => !known.has(database)), files: found.files };
  }

  #withoutDamaged(proved: Proved[]): Proved[] {
    return proved.filter(({ check, database, source }) => {
      if (check?.status !== 'damaged') return true;
      const error = damaged(source.path, check.findings);
      this.#copying.failures.push({ database, error: toPlainError(error) });
      return false;
    });
  }

  #packDatabases(proved: Proved[]): Packed[] {
    const sorted = [...proved].sort((a, b) => byRecord(a, b));
    return sorted.map((one) => {
      const { sizeBytes, sha256, warnings } = one;
      const name = this.#names.take(one.recordAs.path);
      const entry: BundleEntry = {
        name,
        kind: 'database',
        source: one.recordAs,
        sizeBytes,
        sha256,
        ...describeContents(one),
        ...(warnings.length > 0 && { warnings }),
      };
      const crc32 = crc32File(one.copy);
      return { name, sizeBytes, crc32, content: { path: one.copy }, entry };
    });
  }

  #packCompanions(files: Companion[]): Packed[] {
    const packed: Packed[] = [];
    for (const [index, { path, recordAs }] of files.entries()) {
      const copy = join(this.#scratch, `companion-${index}`);
      try {
        createPrivateFile(copy);
        const copied = copyCompanion(path, copy);
        if (copied === undefined) {
          const message = `${recordAs.path} was gone before it could be read, so it is not in the bundle.`;
          this.#warnings.push({ code: 'vanished', message });
          continue;
        }
        const { sizeBytes, sha256, crc32, changedWhileReading } = copied;
        const name = this.#names.take(`${companionsFolder}/${recordAs.path}`);
        const entry: BundleEntry = {
          name,
          kind: 'companion',
          source: recordAs,
          sizeBytes,
          sha256,
          ...(changedWhileReading && { changedWhileReading }),
        };
        packed.push({ name, sizeBytes, crc32, content: { path: copy }, entry });
      } catch (error) {
        // Only what is wrong with the file itself is explained by now.
        if (!isBackupError(error)) throw error;
        this.#companionFailures.push({ path, error: toPlainError(error) });
        if (!this.#request.allowIncomplete) break;
      }
    }
    return packed;
  }

  #describe(packed: Packed[], at: Date): BundleContents {
    const { toolVersion, name, workspace, trigger, method } = this.#request;
    const entries = packed.map(({ entry }) => entry);
    const named = new Map(this.#request.databases.map((one) => [one.database, one.recordAs.path]));
    const failures = this.#failures.map(({ path, error: { code, message } }) => ({
      path: named.get(path) ?? basename(path),
      code,
      message,
    }));
    return {
      format: manifestFormat,
      kind: 'bundle',
      tool: { name: 'sqlite-backup', version: toolVersion, sqlite: sqliteVersion() },
      createdAt: at.toISOString(),
      ...(name !== undefined && { name }),
      ...(workspace !== undefined && { workspace }),
      trigger,
      method,
      cut: {
        ...this.#copying.cut,
        members: entries.filter(({ kind }) => kind === 'database').length,
      },
      complete: failures.length === 0,
      ...(failures.length > 0 && { failures }),
      ...(this.#warnings.length > 0 && { warnings: this.#warnings }),
      entries,
    };
  }

  async #write(
    packed: Packed[],
    contents: BundleContents,
  ): Promise<{ path: string; sizeBytes: number; sha256: string }> {
    const path = join(this.#scratch, 'bundle.zip');
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
    const { compression } = this.#request;
    const written = await writeZip(path, files, {
      compression,
      at: new Date(contents.createdAt),
      onProgress: (bytes) =>
        this.#hooks.onProgress({
          phase: 'copy',
          doneBytes: totalBytes + Math.min(bytes, totalBytes),
          totalBytes: 2 * totalBytes,
        }),
      // From here on the content is in the zip: there is no need for it to be on the disk twice.
      onPacked: ({ content }) => 'path' in content && rmSync(content.path),
    });
    const syncing = syncFileBeside(path);
    syncing.catch(() => undefined); // It is awaited below; until then a failure must not count as unhandled.
    await readBack(path, contents, (doneBytes) =>
      this.#hooks.onProgress({ phase: 'hash', doneBytes, totalBytes }),
    );
    await syncing;
    return { path, ...written };
  }

  #publish(
    zip: { path: string; sizeBytes: number; sha256: string },
    contents: BundleContents,
  ): Bundle {
    const { sizeBytes, sha256 } = zip;
    this.#hooks.onProgress({ phase: 'publish', doneBytes: sizeBytes, totalBytes: sizeBytes });
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
    const { path, manifestPath } = publishPair(zip.path, this.#folder, names, () =>
      serializeManifest(manifest),
    );
    return { path, manifestPath, manifest, durationMs: performance.now() - this.#startedAt };
  }
}

function byRecord(a: { recordAs: RecordAs }, b: { recordAs: RecordAs }): number {
  const [left, right] = [a, b].map(({ recordAs: { path, workspace = '' } }) =>
    [path, workspace].join('\0'),
  );
  return (left ?? '') < (right ?? '') ? -1 : 1;
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
  return { status: status ?? 'ok', checkedAt: new Date().toISOString(), findings };
}

function damaged(database: string, [first]: Finding[]): BackupError {
  return new BackupError(
    'corrupt',
    `${database} is damaged: ${first?.message ?? 'its check failed'}.`,
    {
      path: database,
      hint: 'Back it up by itself, which keeps the damaged copy, or restore it from an older backup.',
    },
  );
}
