/*
 * Several databases at the same moment, and copies of the files that belong to them, in one zip. The order of the steps is the
 * guarantee: copy and prove the databases -> copy the companions -> write the zip in a private folder, `manifest.json`
 * first -> sync it -> read all of it back -> publish it with its manifest beside it. What fails is named; nothing is left
 * out unless that was allowed, and then the manifest says so.
 */
import { basename, join } from 'node:path';
import { BackupError, isBackupError, type PlainError, toPlainError } from '../errors.ts';
import { inWorkplace } from '../files/workplace.ts';
import type { RecordAs, SnapshotHooks } from '../job.ts';
import { afterOf, type Earlier, earlierBackups, lossesSince } from '../manifest/earlier.ts';
import { identifyAll, type Identified } from '../manifest/identity.ts';
import {
  type BundleContents,
  type BundleEntry,
  type Compression,
  type Finding,
  manifestFormat,
} from '../manifest/manifest.ts';
import { type CopyFailure, Copying, type Member } from '../snapshot/copying.ts';
import { describeContents, prove, type Proved } from '../snapshot/proving.ts';
import { leftover, type SnapshotsRequest, sourceOf } from '../snapshot/snapshot.ts';
import { believeDamage } from '../snapshot/suspect.ts';
import { sqliteVersion } from '../sqlite/driver.ts';
import { siblingSuffixes } from '../files/siblingNames.ts';
import { packCompanion, type Packed, type PublishedBundle, writeBundle } from './bundleFile.ts';
import { type Companion, type CompanionGlobs, findCompanions } from './companions.ts';
import {
  bundleManifestName,
  bundleVersionName,
  companionsFolder,
  EntryNames,
} from './entryNames.ts';
import { Memory } from './readCompanion.ts';

export interface BundleRequest extends SnapshotsRequest {
  companions: CompanionGlobs[];
  /** What the bundle is called; the workspace's name otherwise. */
  name?: string;
  workspace?: string;
  compression: Compression;
  /** Whether to make a bundle of what there is when something fails. It is then marked as incomplete. */
  allowIncomplete: boolean;
}

export interface Bundle extends PublishedBundle {
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

/** Of small companions, which need no files of their own on their way. */
const mostMemoryBytes = 64 * 1024 * 1024;

class Job {
  readonly #request: BundleRequest;
  readonly #hooks: SnapshotHooks;
  readonly #startedAt = performance.now();
  /** Of the look before the companions were searched, when there was one more look after it. */
  #failedFirst: CopyFailure[] = [];
  readonly #damaged: CopyFailure[] = [];
  readonly #companionFailures: Bundled['failures'] = [];
  /** Databases among the companions that no bundle can take: said, and no reason to make none. */
  readonly #omitted: Bundled['failures'] = [];
  readonly #warnings: Finding[] = [];
  readonly #names = new EntryNames();
  #copying: Copying;
  #identified: Identified = { identities: new Map() };
  #earlier: Earlier[] = [];
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
    const bundled = await inWorkplace(this.#request.folder, async ({ folder, scratch, stuck }) => {
      [this.#folder, this.#scratch] = [folder, scratch];
      this.#warnings.push(...stuck.map(leftover));
      const bundle = await this.#runIn(named);
      return { ...(bundle !== undefined && { bundle }), failures: this.#failures };
    });
    return { ...bundled, failures: await this.#believed(bundled.failures) };
  }

  /** A failed read may look like damage. */
  async #believed(failures: Bundled['failures']): Promise<Bundled['failures']> {
    const databases = new Set(this.#databaseFailures.map(({ database }) => database));
    const believed: Bundled['failures'] = [];
    for (const { path, error } of failures) {
      const isOfDatabase = databases.has(path);
      const seen = isOfDatabase ? await believeDamage(path, error, this.#request.folder) : error;
      believed.push({ path, error: seen });
    }
    return believed;
  }

  async #runIn(named: Member[]): Promise<Bundle | undefined> {
    const { members: all, files } = this.#find(named);
    if (this.#mustStop(all)) return undefined;
    const members = this.#copying.fitting(this.#folder, all);
    if (this.#mustStop(members)) return undefined;
    const place = { folder: this.#folder, scratch: this.#scratch };
    const copied = await this.#copying.copy(members, place);
    this.#copying.requireAny(copied);
    if (this.#mustStop(copied)) return undefined;
    const { onProgress } = this.#hooks;
    const { verify } = this.#request;
    const fail = this.#copying.fail.bind(this.#copying);
    const proved = this.#withoutDamaged(
      await prove(copied, { folder: this.#folder, verify, purpose: 'pack', onProgress, fail }),
    );
    if (this.#mustStop(proved)) return undefined;
    this.#identified = await identifyAll(proved.map(({ source }) => source.path));
    if (this.#identified.problem !== undefined) this.#warnings.push(this.#identified.problem);
    const ids = [...this.#identified.identities.values()].map(({ id }) => id);
    this.#earlier = earlierBackups(this.#folder, new Set(ids), new Date());
    const at = proved[0]?.at ?? new Date();
    const packed = [...this.#packDatabases(proved), ...this.#packCompanions(files)];
    if (this.#mustStop(proved)) return undefined;
    const contents = this.#describe(packed, at);
    const { compression } = this.#request;
    const published = await writeBundle(packed, contents, { ...place, compression }, this.#hooks);
    return { ...published, durationMs: performance.now() - this.#startedAt };
  }

  get #failures(): Bundled['failures'] {
    const ofDatabases = this.#databaseFailures.map(({ database, error }) => ({
      path: database,
      error,
    }));
    return [...ofDatabases, ...this.#companionFailures];
  }

  get #databaseFailures(): CopyFailure[] {
    const known = new Set(this.#failedFirst.map(({ database }) => database));
    const later = this.#copying.failures.filter(({ database }) => !known.has(database));
    return [...this.#failedFirst, ...later, ...this.#damaged];
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
    const hooks = { ...this.#hooks, onProgress };
    return new Copying({ ...this.#request, databases }, hooks, 'pack');
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
    this.#omitted.push(...found.omitted);
    for (const { error } of found.omitted)
      this.#warnings.push({
        code: 'omitted',
        message: `${error.message} It is not in the bundle.`,
      });
    if (found.databases.length === 0) return { members: named, files: found.files };
    for (const { recordAs } of found.databases) {
      this.#warnings.push({
        code: 'database-found',
        message: `${recordAs.path} matched a companion glob, but is a database: it was copied as one.`,
      });
    }
    // Looked at twice, a database may fail only the first time; then it has failed.
    this.#failedFirst = [...this.#copying.failures];
    this.#copying = this.#copyingOf([...this.#request.databases, ...found.databases]);
    const known = new Set(this.#failedFirst.map(({ database }) => database));
    const members = this.#copying.inspect().filter(({ database }) => !known.has(database));
    return { members, files: found.files };
  }

  #withoutDamaged(proved: Proved[]): Proved[] {
    return proved.filter(({ check, database, source }) => {
      if (check?.status !== 'damaged') return true;
      const error = damaged(source.path, check.findings);
      this.#damaged.push({ database, error: toPlainError(error) });
      return false;
    });
  }

  #packDatabases(proved: Proved[]): Packed[] {
    const sorted = [...proved].sort((a, b) => byRecord(a, b));
    return sorted.map((one) => {
      const { sizeBytes, sha256, crc32, warnings } = one;
      if (crc32 === undefined) throw new Error(`${one.copy} was not read for a zip.`);
      const name = this.#names.take(one.recordAs.path);
      const entry: BundleEntry = {
        name,
        kind: 'database',
        source: sourceOf(one, this.#identified),
        sizeBytes,
        sha256,
        ...describeContents(one),
        ...(warnings.length > 0 && { warnings }),
      };
      return { name, sizeBytes, crc32, content: { path: one.copy }, entry };
    });
  }

  #packCompanions(files: Companion[]): Packed[] {
    const packed: Packed[] = [];
    const memory = new Memory(mostMemoryBytes);
    for (const [index, file] of files.entries()) {
      const { path, recordAs } = file;
      try {
        const takeName = (): string => this.#names.take(`${companionsFolder}/${recordAs.path}`);
        const one = packCompanion(
          file,
          join(this.#scratch, `companion-${index}`),
          takeName,
          memory,
        );
        if (one === undefined) this.#warnings.push(vanished(recordAs));
        else packed.push(one);
        if (one !== undefined && typeof path !== 'string')
          this.#warnings.push(renamed(recordAs, one.name));
      } catch (error) {
        // Only what is wrong with the file itself is explained by now.
        if (!isBackupError(error)) throw error;
        const named = typeof path === 'string' ? path : recordAs.path;
        this.#companionFailures.push({ path: named, error: toPlainError(error) });
        if (!this.#request.allowIncomplete) break;
      }
    }
    return packed;
  }

  #describe(packed: Packed[], at: Date): BundleContents {
    const { toolVersion, name, workspace, trigger, method } = this.#request;
    const entries = packed.map(({ entry }) => entry);
    const named = new Map(this.#request.databases.map((one) => [one.database, one.recordAs.path]));
    const failures = [...this.#failures, ...this.#omitted].map(
      ({ path, error: { code, message } }) => ({
        path: named.get(path) ?? basename(path),
        code,
        message,
      }),
    );
    return {
      format: manifestFormat,
      kind: 'bundle',
      tool: { name: 'sqlite-backup', version: toolVersion, sqlite: sqliteVersion() },
      createdAt: at.toISOString(),
      ...afterOf(this.#earlier, at),
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
      ...lossesSince(
        this.#earlier,
        at,
        entries.map((entry) => ({
          ...(entry.kind === 'database' && entry),
          id: entry.kind === 'database' ? entry.source.id : undefined,
        })),
      ),
      entries,
    };
  }
}

function vanished({ path }: RecordAs): Finding {
  const message = `${path} was deleted before it could be read. It is not in the bundle.`;
  return { code: 'vanished', message };
}

function renamed({ path }: RecordAs, name: string): Finding {
  const message = `The name of ${path} is not UTF-8. The file is in the bundle as ${name}.`;
  return { code: 'renamed', message };
}

function byRecord(a: { recordAs: RecordAs }, b: { recordAs: RecordAs }): number {
  const [left, right] = [a, b].map(({ recordAs: { path, workspace = '' } }) =>
    [path, workspace].join('\0'),
  );
  return (left ?? '') < (right ?? '') ? -1 : 1;
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
