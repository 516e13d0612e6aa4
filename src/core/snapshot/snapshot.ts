/*
 * Consistent copies of live databases, proved and published. The order of the steps is the guarantee:
 * look at the files -> make sure of the target -> pin an instant -> copy -> unpin -> compare and check the copies ->
 * hash -> publish. Until the last step nothing exists under a final name, and the sources are only ever read.
 */
import { existsSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { BackupError, fromPlainError, toPlainError } from '../errors.ts';
import { inWorkplace } from '../files/workplace.ts';
import type { RecordAs, SnapshotHooks } from '../job.ts';
import {
  afterOf,
  type Earlier,
  earlierBackups,
  lossesSince,
  removeReplacedSuspects,
  thoseOf,
} from '../manifest/earlier.ts';
import { identifyAll, type Identified } from '../manifest/identity.ts';
import {
  type Cause,
  type CutLabel,
  type Finding,
  type Manifest,
  manifestFormat,
  type Method,
  serializeManifest,
  type Trigger,
} from '../manifest/manifest.ts';
import { publishPair } from '../manifest/manifestFile.ts';
import { type Offer, offerFor } from '../manifest/offer.ts';
import { snapshotNames, suspectNames } from '../manifest/names.ts';
import { sqliteVersion } from '../sqlite/driver.ts';
import { type CopyFailure, Copying, type CopyRequest, type Member, sum } from './copying.ts';
import { describeContents, prove, type Proved } from './proving.ts';
import { readGitHead } from './gitHead.ts';
import { withHelp } from './suspect.ts';

export interface SnapshotOptions {
  /** The backups folder; made when it is missing. */
  folder: string;
  method: Method;
  trigger: Trigger;
  /** Of a checkpoint; a function gets the real path once all databases are held. */
  cause?: Cause | ((database: string) => Cause) | undefined;
  /** Whether to check the copies with SQLite and to count rows. Size, facts and hash are always looked at. */
  verify: boolean;
  /** How long to wait for another program's lock, in ms. */
  busyTimeoutMs: number;
  /** Databases larger than this are refused before anything is written. */
  largestBytes: number;
  /** Of this extension, for the manifest. */
  toolVersion: string;
}

export interface SnapshotRequest extends SnapshotOptions {
  /** The live database. A symbolic link is followed. */
  database: string;
  recordAs: RecordAs;
}

export interface SnapshotsRequest extends SnapshotOptions {
  databases: CopyRequest['databases'];
}

export interface Snapshot {
  path: string;
  manifestPath: string;
  /** The database as asked for. */
  requested: string;
  /** Its real path. */
  database: string;
  manifest: Manifest;
  durationMs: number;
  /** Other backups that a person may say to be of this database. */
  offer?: Offer;
}

export interface Snapshots {
  snapshots: Snapshot[];
  /** The databases that have no backup now. */
  failures: CopyFailure[];
  /** Whether the snapshots share an instant, and why not. */
  cut: { label: CutLabel; reason?: string };
}

/** Takes one snapshot. Throws a BackupError; whatever it throws, nothing is left under a final name. */
export async function takeSnapshot(
  { database, recordAs, ...options }: SnapshotRequest,
  hooks: SnapshotHooks,
): Promise<Snapshot> {
  const { snapshots, failures } = await takeSnapshots(
    { ...options, databases: [{ database, recordAs }] },
    hooks,
  );
  const [snapshot] = snapshots;
  if (snapshot !== undefined) return snapshot;
  throw fromPlainError(failures[0]?.error ?? toPlainError(new Error('nothing was backed up')));
}

/**
 * Takes snapshots of several databases, at one instant where that can be had. What is wrong with one database is in
 * `failures`, also that there is no room for it, and the others go on; what else is wrong with the target ends all. A file under two names is backed up once.
 */
export async function takeSnapshots(
  request: SnapshotsRequest,
  hooks: SnapshotHooks,
): Promise<Snapshots> {
  const job = new Job(request, hooks);
  return job.run();
}

/** One run over one or several databases. */
class Job {
  readonly #request: SnapshotsRequest;
  readonly #hooks: SnapshotHooks;
  readonly #startedAt = performance.now();
  readonly #copying: Copying;
  /** The real path of the backups folder. */
  #folder = '';
  #identified: Identified = { identities: new Map() };
  #earlier: Earlier[] = [];

  constructor(request: SnapshotsRequest, hooks: SnapshotHooks) {
    this.#request = request;
    this.#hooks = hooks;
    this.#copying = new Copying(request, hooks, 'publish');
  }

  async run(): Promise<Snapshots> {
    const members = this.#copying.inspect();
    const snapshots = members.length === 0 ? [] : await this.#runIn(members);
    const failures = await Promise.all(
      this.#copying.failures.map(async ({ database, error }) => {
        const asked = this.#request.databases.find((one) => one.database === database);
        const helped = asked === undefined ? error : await withHelp(asked, error, this.#request);
        return { database, error: helped };
      }),
    );
    return { snapshots, failures, cut: this.#copying.cut };
  }

  async #runIn(members: Member[]): Promise<Snapshot[]> {
    return inWorkplace(this.#request.folder, async (place) => {
      this.#folder = place.folder;
      const fitting = this.#copying.fitting(place.folder, members);
      const proved = await prove(await this.#copying.copy(fitting, place), {
        folder: place.folder,
        verify: this.#request.verify,
        purpose: 'publish',
        onProgress: this.#hooks.onProgress,
        fail: (one, error) => this.#copying.fail(one, error),
      });
      this.#copying.requireAny(proved);
      if (proved.length === 0) return [];
      this.#identified = await identifyAll(
        proved.flatMap(({ source: { path } }) => (existsSync(path) ? [path] : [])),
      );
      const ids = [...this.#identified.identities.values()].map(({ id }) => id);
      this.#earlier = earlierBackups(place.folder, new Set(ids), new Date());
      await this.#hooks.beforePublish();
      return this.#publishAll(proved, place.stuck);
    });
  }

  /** Publishes the good copies; keeps a damaged one under a name that is not taken for a backup, and fails it. */
  #publishAll(proved: Proved[], stuck: string[]): Snapshot[] {
    const totalBytes = sum(proved.map(({ sizeBytes }) => sizeBytes));
    this.#hooks.onProgress({ phase: 'publish', doneBytes: totalBytes, totalBytes });
    const members = proved.filter(({ check }) => check?.status !== 'damaged').length;
    return proved.flatMap((one) => {
      const { identities, problem } = this.#identified;
      const unknown = identities.has(one.source.path) || problem === undefined ? [] : [problem];
      const warnings = [...one.warnings, ...unknown, ...stuck.map(leftover)];
      const git = readGitHead(dirname(one.source.path));
      const manifest: Manifest = {
        ...this.#describe(one),
        ...(git !== undefined && { git }),
        ...(members > 1 && { cut: { ...this.#copying.cut, members } }),
        ...(warnings.length > 0 && { warnings }),
      };
      if (this.#hooks.isWanted?.(one.source.path, manifest) === false) return [];
      const snapshot = this.#copying.attempt(one, () => this.#publishOne(one, manifest));
      return snapshot === undefined ? [] : [snapshot];
    });
  }

  #describe(one: Proved): Manifest {
    const { method, trigger, toolVersion } = this.#request;
    const { cause: asked } = this.#request;
    const cause = typeof asked === 'function' ? asked(one.source.path) : asked;
    const source = sourceOf(one, this.#identified);
    const earlier = thoseOf(this.#earlier, source.id);
    const contents = describeContents(one);
    const isDamaged = contents.verdict.status === 'damaged';
    return {
      format: manifestFormat,
      kind: 'snapshot',
      tool: { name: 'sqlite-backup', version: toolVersion, sqlite: sqliteVersion() },
      createdAt: one.at.toISOString(),
      ...afterOf(earlier, one.at),
      source,
      method,
      trigger,
      ...(cause !== undefined && { cause, livePath: one.source.path }),
      ...(one.stamp !== undefined && { stamp: one.stamp }),
      sizeBytes: one.sizeBytes,
      sha256: one.sha256,
      ...(one.isCloned && { cloned: true }),
      ...contents,
      ...(!isDamaged && lossesSince(earlier, one.at, [{ ...contents, id: source.id }])),
    };
  }

  #publishOne({ database, source, copy }: Proved, manifest: Manifest): Snapshot {
    const names = snapshotNames(source.path, new Date(manifest.createdAt));
    const isDamaged = manifest.verdict.status === 'damaged';
    const { path, manifestPath } = publishPair(
      copy,
      this.#folder,
      isDamaged ? suspectNames(names) : names,
      () => serializeManifest(manifest),
      { isSynced: true },
    );
    if (isDamaged) {
      removeReplacedSuspects(thoseOf(this.#earlier, manifest.source.id));
      throw damaged(source.path, path, manifest.verdict.findings);
    }
    const durationMs = performance.now() - this.#startedAt;
    const offer = this.#offerFor(source.path, manifest);
    return {
      ...{ path, manifestPath, requested: database, database: source.path, manifest, durationMs },
      ...(offer !== undefined && { offer }),
    };
  }

  #offerFor(database: string, manifest: Manifest): Offer | undefined {
    try {
      return offerFor(this.#folder, this.#identified.identities.get(database), manifest);
    } catch {
      return undefined; // The backup is made: what cannot be looked through cannot be offered.
    }
  }
}

/** How a manifest names a database. */
export function sourceOf(
  { recordAs, source }: Member,
  { identities }: Identified,
): Manifest['source'] {
  const { path, workspace } = recordAs;
  const id = identities.get(source.path)?.id;
  return {
    path,
    ...(workspace !== undefined && { workspace }),
    ...(id !== undefined && { id }),
  };
}

function damaged(database: string, suspect: string, findings: Finding[]): BackupError {
  const [first] = findings;
  return new BackupError(
    'corrupt',
    `${database} is damaged: ${first?.message ?? 'its check failed'}. This is no backup; the damaged copy is kept as ${basename(suspect)}.`,
    {
      path: database,
      hint: 'Restore it from an older backup, or try `sqlite3 DATABASE .recover` on the kept copy.',
      facts: { suspect, findings: findings.length },
    },
  );
}

export function leftover(name: string): Finding {
  return {
    code: 'leftover',
    message: `${name} was left by an interrupted backup and could not be removed.`,
  };
}
